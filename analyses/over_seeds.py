"""Draws the measured part of a page of docs/results/ from comparisons of the same encoders trained from several seeds.

python -m analyses.over_seeds out/seed-*/comparison --page docs/results/NAME.md --against mobilenet_v3_small \\
    --command '...' --date 2026-12-01 --commit 0123abc

Each number is a mean over the seeds with the lowest and the highest: the spread of trainings, which the interval of one
encoder does not hold. An answer is counted over the seeds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from analyses.results_page import arguments, draw

QUESTIONS = {
    "over_clustering": "over-clustering",
    "grouping": "classes grouped",
    "overfitting": "overfitting",
    "accuracy": "kNN accuracy",
}
TURNED = {"more": "less", "less": "more", "better": "worse", "worse": "better", "coarser": "finer", "finer": "coarser"}


@dataclass(frozen=True, kw_only=True)
class Seeds:
    """What the comparisons of all seeds hold: headline values, answers to pairs, and the verdicts on each encoder."""

    values: pd.DataFrame
    pairs: pd.DataFrame
    verdicts: pd.DataFrame

    @property
    def encoders(self) -> list[str]:
        """Return the trained encoders in their order."""
        return list(dict.fromkeys(self.values["checkpoint"]))


def main() -> None:
    """Draw the page that the command line names."""
    parser = arguments(doc=__doc__)
    parser.add_argument("comparisons", type=Path, nargs="+", help="folders of finished comparisons, one a seed")
    parser.add_argument("--page", type=Path, required=True, help="a page of docs/results/ with the two marks")
    parser.add_argument("--against", action="append", required=True, help="an encoder that the others are held against")
    options = parser.parse_args()
    found = read_seeds(options.comparisons)
    text = "\n".join([*verdict_lines(found), "", *value_lines(found)])
    for reference in options.against:
        text += "\n".join(["", f"Against `{reference}`, seed by seed:", "", *answer_lines(found, reference), ""])
    draw(options, text)


def read_seeds(folders: Sequence[Path]) -> Seeds:
    """Return what the folders hold; an encoder need not be in all of them."""
    values, pairs, verdicts = [], [], []
    for seed, folder in enumerate(folders):
        table = pd.read_csv(folder / "headline.csv")
        values.append(table[table["role"] == "trained"].assign(seed=seed))
        pairs.append(pd.read_csv(folder / "pairs.csv").assign(seed=seed))
        judged = json.loads((folder / "verdict.json").read_text("utf-8"))
        verdicts.append(pd.DataFrame([*_verdicts(judged)]).assign(seed=seed))
    found = Seeds(values=pd.concat(values), pairs=pd.concat(pairs), verdicts=pd.concat(verdicts))
    trained = found.verdicts["checkpoint"].isin(found.encoders)  # the untrained copies are judged too
    return replace(found, verdicts=found.verdicts[trained])


def value_lines(found: Seeds) -> Iterator[str]:
    """Yield the headline table in Markdown: an encoder a row, mean (lowest to highest) over its seeds."""
    labels = found.values.drop_duplicates("metric").set_index("metric")
    yield "| encoder | seeds | " + " | ".join(labels["label"]) + " |"
    yield "|---|---:|" + "---:|" * len(labels)
    for encoder in found.encoders:
        mine = found.values[found.values["checkpoint"] == encoder]
        cells = [_cell(mine.loc[mine["metric"] == metric, "value"], row) for metric, row in labels.iterrows()]
        yield f"| `{encoder}` | {mine['seed'].nunique()} | " + " | ".join(cells) + " |"


def verdict_lines(found: Seeds) -> Iterator[str]:
    """Yield what was found of each encoder, counted over its seeds."""
    yield "| encoder | over-clustering | classes in separate groups | overfitting | collapse |"
    yield "|---|---|---:|---|---|"
    for encoder in dict.fromkeys(found.verdicts["checkpoint"]):
        mine = found.verdicts[found.verdicts["checkpoint"] == encoder]
        answers = [_counted(mine[question]) for question in ("over_clustering", "overfitting", "collapse")]
        split = ", ".join(str(number) for number in mine["split"])
        yield f"| `{encoder}` | {answers[0]} | {split} | {answers[1]} | {answers[2]} |"


def answer_lines(found: Seeds, reference: str) -> Iterator[str]:
    """Yield the answers of every other encoder against the reference, counted over the seeds that have both."""
    yield "| encoder | " + " | ".join(QUESTIONS.values()) + " |"
    yield "|---|" + "---|" * len(QUESTIONS)
    for encoder in found.encoders:
        here = [answers_against(pairs, encoder, reference) for _, pairs in found.pairs.groupby("seed")]
        if any(here):
            cells = [_counted([answers[which] for answers in here if which in answers]) for which in QUESTIONS]
            yield f"| `{encoder}` | " + " | ".join(cells) + " |"


def answers_against(pairs: pd.DataFrame, encoder: str, reference: str) -> dict[str, str]:
    """Return the answer to each question of the encoder against the reference, whichever of them was named first."""
    found = {}
    for pair in pairs.to_dict("records"):
        if (pair["first"], pair["second"]) == (encoder, reference):
            found[pair["question"]] = pair["answer"]
        elif (pair["second"], pair["first"]) == (encoder, reference):
            word, *rest = pair["answer"].split()
            found[pair["question"]] = " ".join([TURNED.get(word, word), *rest])
    return found


def _verdicts(judged: Any) -> Iterator[dict[str, Any]]:
    for verdict in judged.values():
        if "over_clustering" in verdict:
            yield {
                "checkpoint": verdict["checkpoint"],
                "split": len(verdict["over_clustering"]["split_classes"]),
                **{name: verdict[name]["verdict"] for name in ("over_clustering", "overfitting", "collapse")},
            }


def _counted(answers: Any) -> str:
    counts = Counter(answers)
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{answer} ({count})" for answer, count in counts.most_common()) or "-"


def _cell(values: pd.Series[float], row: pd.Series[Any]) -> str:
    known = values.dropna()
    if not len(known):
        return "-"
    scale, digits = (100.0, 1) if row["percent"] else (1.0, 2)
    mean, low, high = (f"{scale * number:.{digits}f}" for number in (known.mean(), known.min(), known.max()))
    unit = " %" if row["percent"] and row.name != "pretext_gap" else ""
    return f"{mean}{unit}" if len(known) == 1 else f"{mean}{unit} ({low} to {high})"


if __name__ == "__main__":
    main()
