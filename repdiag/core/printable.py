"""Text that a stranger wrote, on its way to a terminal: no character acts there, and none of it is long.

Names of tensors, files and classes come from files of strangers. A terminal obeys escape sequences, and a person obeys
what looks like the program's own line; both are shown as escapes here. What is not text is named by its kind only:
the `repr` of a value of a few hundred bytes can take years.
"""

from __future__ import annotations

import unicodedata
from typing import Any

_LONGEST_NUMBER = 200  # bits
_CUT = " ... "
_MORE_LINES = "    ... and {} more lines"


def printable(text: str, *, lines: bool = True) -> str:
    r"""Return the text with every character that acts on a terminal or hides shown as its escape.

    Line ends and tabs stay unless `lines` is False: what must be one line cannot begin another.

    >>> print(printable("safe\x1b[2J no"), printable("a\nb", lines=False))
    safe\x1b[2J no a\nb
    """
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    # Looked at once a mark, not once a character: a name in a stranger's file may have millions.
    acting = {mark for mark in set(text).difference(kept) if not _is_harmless(mark)}
    return text.translate({ord(mark): _escape(mark) for mark in acting})


def one_line(text: str, most: int = 200) -> str:
    """Return the text as one line of at most so many characters, its middle left out where it is longer."""
    if len(text) > most:
        text = f"{text[: most // 2]}{_CUT}{text[-(most // 2 - len(_CUT)) :]}"
    return printable(text, lines=False)


def brief(value: Any, most: int = 60) -> str:
    """Return what a value from a file is in a few words: text and numbers themselves, containers by their length.

    >>> brief((1, 2)), brief("a" * 100, 8), brief(3.5), brief(2**999)
    ('a tuple of 2', "'aaaaaaaa'...", '3.5', 'a number of 1000 bits')
    """
    if isinstance(value, str | bytes):
        return repr(value[:most]) + ("..." if len(value) > most else "")
    if isinstance(value, bool | float | None):
        return repr(value)
    if isinstance(value, int):
        return repr(value) if value.bit_length() <= _LONGEST_NUMBER else f"a number of {value.bit_length()} bits"
    if isinstance(value, list | tuple | dict | set | frozenset):
        return f"a {type(value).__name__} of {len(value)}"
    return f"a {type(value).__name__}"[:most]


def on_screen(text: str, *, most_bytes: int, most_lines: int) -> str:
    """Return the text as a terminal may show it: as many of its lines as there is room for, none of them too long."""
    lines = text[: 64 * most_bytes].split("\n")
    shown = [_within(printable(line), most_bytes // 2) for line in lines[:most_lines]]
    room = most_bytes - len(_MORE_LINES) if len(lines) > 1 else most_bytes
    while len(shown) > 1 and sum(len(line.encode("utf-8", "replace")) + 1 for line in shown) > room:
        shown.pop()
    left = len(lines) - len(shown)
    return "\n".join(shown + ([_MORE_LINES.format(left)] if left else []))


def _within(text: str, most: int) -> str:
    """Return a text of at most so many bytes, its middle left out."""
    if len(text) * 4 <= most or len(text.encode("utf-8", "replace")) <= most:
        return text
    half = (most - len(_CUT)) // 2
    encoded = text.encode("utf-8", "replace")
    return encoded[:half].decode("utf-8", "ignore") + _CUT + encoded[-half:].decode("utf-8", "ignore")


def _is_harmless(mark: str) -> bool:
    return mark.isprintable() or unicodedata.category(mark) == "Zs"  # spaces of other widths


def _escape(mark: str) -> str:
    return mark.encode("unicode_escape").decode("ascii")
