"""The page of findings, from the catalogue of their codes."""

from __future__ import annotations

from repdiag.diagnosis.codes import CODES, Code

_QUESTIONS = {
    "over_clustering": "Over-clustering",
    "overfitting": "Overfitting",
    "collapse": "Collapse",
    "preprocessing": "How the images were prepared",
    "rows": "Rows to look at",
    "reference": "Beside a reference",
}


def findings_page() -> str:
    """Return docs/findings.md: a table of all codes, then a section each."""
    lines = [
        "# Findings",
        "",
        "Generated from the catalogue by `make docs`. `repdiag analyze` prints each finding with its code, which keeps",
        "its meaning. `--mute RD503,RD302` leaves findings out; `--fail-on RD502` exits 3 where one is found.",
        'In Python: `diagnosis.findings`, `diagnosis.mute("RD503")`; in JSON: `findings`.',
        "",
        "| code | finding | about |",
        "|---|---|---|",
    ]
    lines += [
        f"| [{code.code}](#{_anchor(code)}) | {code.title} | {_QUESTIONS[code.question]} |" for code in CODES.values()
    ]
    for code in CODES.values():
        lines += ["", f"## {code.code}: {code.title}", "", code.means, ""]
        lines += [f"- **Why it matters.** {code.matters}", f"- **What decides it.** {code.decides}"]
        lines += [f"- **What to try.** {code.tries}"]
    return "\n".join(lines) + "\n"


def _anchor(code: Code) -> str:
    kept = "".join(letter for letter in f"{code.code}: {code.title}".lower() if letter.isalnum() or letter in " -")
    return kept.replace(" ", "-")
