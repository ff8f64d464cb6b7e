"""Lints the words of README, docs and studies: proselint's checks that fit technical English, and a short list of ours.

    python -m docs.prose            all pages; exit code 1 with findings
    python -m docs.prose FILE ...   these

Code, tables and links are left out: what is checked is sentences. Runs offline.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "docs/adr/*.md",
    "docs/results/*.md",
    "analyses/**/*.md",
    "tests/*.md",
)
GENERATED = {"checkpoint-formats.md", "metrics.md", "findings.md"}  # their words stand in docstrings
CHECKS = (
    *("cliches", "industrial_language.corporate_speak", "lexical_illusions", "malapropisms", "mixed_metaphors"),
    *("needless_variants", "nonwords", "redundancy", "uncomparables", "misc.metadiscourse"),
)
LONGEST = 45  # words of a sentence
# What we write otherwise: pattern, what to write.
OURS = {
    r"\b(utili[sz]e[sd]?|leverag(?:e[sd]?|ing))\b": "use",
    r"\bin order to\b": "to",
    r"\b(please note|note that|it should be noted)\b": "say it",
    r"\b(obviously|basically|simply put|of course)\b": "leave it out",
    r"\b(state[- ]of[- ]the[- ]art|cutting[- ]edge|powerful|seamless(?:ly)?|blazing(?:ly)?)\b": "a number",
    r"\bmore rows would decide\b": "say how many rows",
    r"\bnot told apart from it\b": "statistically tied with",
    r"\bis without (?:a )?reason\b": "say what is missing",
    r"[-+]\d+(?:\.\d+)? percent\b": "points, for a difference of shares",
    r"\bgap of [-+]?\d+(?:\.\d+)? %": "points, for a difference of shares",
    r"\b(e\.g\.|i\.e\.|etc\.)": "for example, that is, or a whole list",
    r"\b(don't|doesn't|isn't|can't|won't|it's|you're|we're)\b": "the long form",
}


def findings(path: Path) -> Iterator[str]:
    """Yield one line a finding: place, words, advice."""
    text = prose_of(path.read_text("utf-8"))
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    for pattern, instead in OURS.items():
        for found in re.finditer(pattern, text, flags=re.IGNORECASE):
            yield f"{name}:{line_of(text, found.start())}: {found.group()!r}: {instead}"
    for start, sentence in sentences(text):
        if (words := len(sentence.split())) > LONGEST:
            yield f"{name}:{line_of(text, start)}: a sentence of {words} words: make it two"
    for start, message in published(text):
        yield f"{name}:{line_of(text, start)}: {message}"


def published(text: str) -> Iterator[tuple[int, str]]:
    """Yield the findings of proselint's checks."""
    from proselint.checks import __register__
    from proselint.config import DEFAULT
    from proselint.registry import CheckRegistry
    from proselint.tools import LintFile

    registry = CheckRegistry()
    if not registry.checks:
        registry.register_many(__register__)
    enabled = dict.fromkeys(CHECKS, True)
    page = LintFile("page", text)
    for found in page.lint({**DEFAULT, "checks": enabled}):
        start, end = found.check_result.span
        if re.search(r"[A-Za-z]", page.content[start:end]):  # numbers in a row repeat one another rightly
            yield start, f"{found.check_result.message} ({found.check_result.check_path})"


def prose_of(page: str) -> str:
    """Return the page with everything that is no sentence blanked out, every line in its place."""
    kept, fenced = [], False
    for line in page.split("\n"):
        fence = line.lstrip().startswith(("```", "~~~"))
        fenced ^= fence
        quiet = fence or fenced or line.lstrip().startswith(("|", "#", "<", "    ")) or line.startswith("[")
        kept.append("" if quiet else line)
    text = "\n".join(kept)
    text = re.sub(r"`[^`\n]+`", "code", text)
    return re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield sentences with their places; a paragraph and an item of a list end one too."""
    for found in re.finditer(r"(?:[^.!?:;\n]|\n(?!\s*\n|\s*[-*\d])|[.!?:;](?!\s))+", text):
        words = found.group().lstrip()
        yield found.end() - len(words), words


def line_of(text: str, place: int) -> int:
    """Return the line of a place in a text, from 1."""
    return text.count("\n", 0, place) + 1


def pages() -> list[Path]:
    """Return the pages that are written by hand."""
    return sorted(path for pattern in PAGES for path in ROOT.glob(pattern) if path.name not in GENERATED)


def main() -> int:
    """Print what is found; return 1 where there is something."""
    chosen = [Path(name).resolve() for name in sys.argv[1:]] or pages()
    found = [line for path in chosen for line in findings(path)]
    print("\n".join(found) if found else f"{len(chosen)} pages: no finding")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
