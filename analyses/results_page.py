"""Draws the measured part of a page of docs/results/ from the folder of a finished comparison.

python -m analyses.results_page figures/comparison docs/results/small_vs_large.md --command 'make figures'

What lies between the page's two marks is replaced: how it was made, the answers, the table. The reading beside it is
written by hand.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from repdiag.results.reading import StoredRun

BEGIN, END = "<!-- drawn: begin -->", "<!-- drawn: end -->"


def main() -> None:
    """Draw the page that the command line names."""
    parser = arguments(doc=__doc__)
    parser.add_argument("comparison", type=Path, help="the folder of a finished comparison")
    parser.add_argument("page", type=Path, help="a page of docs/results/ with the two marks")
    parser.add_argument("--rename", action="append", default=[], metavar="OLD=NEW", help="another name in the page")
    options = parser.parse_args()
    found = measured(options.comparison)
    for old, _, new in (each.partition("=") for each in options.rename):
        found = found.replace(old, new)
    draw(options, found)


def arguments(*, doc: str | None) -> argparse.ArgumentParser:
    """Return the parser of what every drawn page is asked: what made its numbers, when, by which code."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--command", required=True, help="what made them")
    parser.add_argument("--date", required=True, help="when")
    parser.add_argument("--commit", required=True, help="of which commit the code was")
    return parser


def draw(options: argparse.Namespace, found: str) -> None:
    """Draw the page that the options name, and say so."""
    redraw(options.page, f"Made by `{options.command}` on {options.date} at commit {options.commit}.", found)
    print(f"wrote {options.page}")


def redraw(page: Path, made: str, found: str) -> None:
    """Put what was found between the marks of a page."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{page} has no line {BEGIN} and no {END} behind it")
    page.write_text(f"{before}{BEGIN}\n{made}\n\n{found}{END}{after}", "utf-8")


def drawn_in(page: Path) -> str:
    """Return what stands between the marks of a page, without the line that says how it was made."""
    found = re.search(f"{BEGIN}\n[^\n]*\n\n(.*?){END}", page.read_text("utf-8"), re.S)
    assert found is not None, page
    return found.group(1)


def measured(folder: Path) -> str:
    """Return the answers and the headline table of a comparison in Markdown."""
    from repdiag.results.reading import read_run
    from repdiag.workflows.table import headline_text

    stored = read_run(folder)
    table, _ = headline_text([folder], "markdown", untrained=False)
    # Where the images lay is nobody's business but the machine's.
    table = re.sub(r"(imagefolder:)\S*/", r"\1", table)
    return "\n".join([*_answers(stored), "", table.rstrip("\n"), ""])


def _answers(stored: StoredRun) -> Iterator[str]:
    ranking: Any = stored.record.get("ranking") or {}
    if "headline" in ranking:
        yield f"- **Which one to take.** {_without_times(ranking['headline'])}"
    for name, verdict in stored.verdicts.items():
        if "summary" in verdict:
            yield f"- **{name}.** {verdict['summary']}"
    if stored.answers is not None:
        from repdiag.diagnosis.pair_answers import answer_sentences

        for sentence in answer_sentences(stored.answers):
            yield f"- {sentence}"


def _without_times(text: str) -> str:
    """Leave out how long an image took: another machine, or a busier one, has another number."""
    return re.sub(r",? [\d.]+ ms an image here", "", text)


if __name__ == "__main__":
    main()
