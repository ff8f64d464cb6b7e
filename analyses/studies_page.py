"""Draws the measured part of docs/results/studies.md from the folders of finished studies.

python -m analyses.studies_page out/temperature out/projector ... --page docs/results/studies.md \\
    --command '...' --date 2026-12-01 --commit 0123abc
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analyses.over_seeds import answers_against
from analyses.results_page import arguments, draw

COLUMNS = ("knn_accuracy", "r_precision", "class_distance_ratio", "granularity")


def main() -> None:
    """Draw the page that the command line names."""
    parser = arguments(doc=__doc__)
    parser.add_argument("studies", type=Path, nargs="+", help="folders of finished studies")
    parser.add_argument("--page", type=Path, required=True, help="a page of docs/results/ with the two marks")
    options = parser.parse_args()
    draw(options, "\n".join(lines(options.studies)) + "\n")


def lines(studies: Sequence[Path]) -> Iterator[str]:
    """Yield the table of all studies in Markdown: a setting a row, with what is decided of it against the first."""
    labels = _headline(studies[0]).drop_duplicates("metric").set_index("metric")["label"]
    yield "| study | setting | " + " | ".join(labels[metric] for metric in COLUMNS) + " | against the first |"
    yield "|---|---|" + "---:|" * len(COLUMNS) + "---|"
    for folder in studies:
        table = _headline(folder)
        pairs = pd.read_csv(folder / "comparison" / "pairs.csv")
        settings = list(dict.fromkeys(table["checkpoint"]))
        for place, setting in enumerate(settings):
            rows = table[table["checkpoint"] == setting].set_index("metric")
            cells = [_cell(rows.loc[metric]) for metric in COLUMNS]
            decided = _decided(answers_against(pairs, setting, settings[0])) if place else ""
            study = "" if place else folder.name.replace("_", " ")
            yield f"| {study} | {setting} | " + " | ".join(cells) + f" | {decided} |"


def _headline(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "comparison" / "headline.csv")
    return table[table["role"] == "trained"]


def _decided(answers: dict[str, str]) -> str:
    """Return what is told apart, in words that stand alone."""
    of = {"grouping": "grouped ", "accuracy": "kNN "}
    found = [of.get(question, "") + answer for question, answer in answers.items() if answer != "not told apart"]
    return ", ".join(found) or "not told apart"


def _cell(row: pd.Series[Any]) -> str:
    if pd.isna(row["value"]):
        return "-"
    scale, digits, unit = (100.0, 1, " %") if row["percent"] else (1.0, 2, "")
    value, low, high = (f"{scale * row[name]:.{digits}f}" for name in ("value", "ci_low", "ci_high"))
    return f"{value}{unit}" if low == "nan" else f"{value}{unit} [{low}, {high}]"


if __name__ == "__main__":
    main()
