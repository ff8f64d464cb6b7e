"""The papers that metrics and advice cite by key, as a line to read and as BibTeX to copy."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from repdiag.core.version import HOME, RELEASE_YEAR, __version__

_FILE = Path(__file__).with_name("references.bib")
_ACCENTS = {"'": "\u0301", '"': "\u0308", "v": "\u030c"}


@dataclass(frozen=True)
class Citation:
    """One paper."""

    key: str
    text: str
    bibtex: str


# The papers whose question repdiag asks: cited by every report, beside repdiag itself.
PAPERS = ("shi2022", "tan2023", "fang2021")
OURS = "repdiag"


def cite(key: str) -> Citation:
    """Return the paper of a key; a key of somebody else's metric is shown as it is."""
    return _all().get(key, Citation(key, key, ""))


@functools.lru_cache(maxsize=1)
def _all() -> dict[str, Citation]:
    lines = _FILE.read_text("utf-8").splitlines()
    return {OURS: _own(), **{entry.key: entry for entry in map(_parse, filter(None, lines))}}


def _own() -> Citation:
    """Return what CITATION.cff says, of the version that is running."""
    fields = {
        "author": "{The repdiag authors}",
        "title": "repdiag: Representation-Space Diagnostics",
        "version": __version__,
        "year": RELEASE_YEAR,
        "url": HOME,
    }
    shown = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    text = f"The repdiag authors {RELEASE_YEAR}. {fields['title']}, version {__version__}."
    return Citation(OURS, text, f"@misc{{{OURS},\n{shown}\n}}")


def _parse(line: str) -> Citation:
    """Read one entry of our own file: one line each, values in braces."""
    key = line.partition("{")[2].partition(",")[0]
    fields = dict(re.findall(r"(\w+) = \{((?:[^{}]|\{[^{}]*(?:\{[^{}]*\})?[^{}]*\})*)\}", line))
    names = [name.partition(",")[0] for name in fields["author"].split(" and ")]
    who = " & ".join(names) if len(names) < 3 else f"{names[0]} et al."
    where = next((fields[name] for name in ("booktitle", "journal", "publisher") if name in fields), "")
    text = f"{who} {fields['year']}. {fields['title']}. {where}."
    shown = line.replace(", author =", ",\n  author =")
    for name in ("title", "booktitle", "journal", "publisher", "volume", "pages", "year"):
        shown = shown.replace(f", {name} = {{", f",\n  {name} = {{")
    return Citation(key, _plain(text), shown)


def _plain(text: str) -> str:
    import unicodedata

    def accented(found: re.Match[str]) -> str:
        return unicodedata.normalize("NFC", found["letter"] + _ACCENTS[found["accent"]])

    text = re.sub(r"\{\\(?P<accent>['\"v])\{?(?P<letter>\w)\}?\}", accented, text)
    return text.replace("{", "").replace("}", "")
