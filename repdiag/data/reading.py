"""`Reading`: how the levels, channels and pages of image files are to be read where a file leaves that open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from repdiag.core.errors import UsageError

Levels = tuple[float, float] | Literal["each"] | None
Channels = tuple[int, ...] | Literal["all"] | None
Pages = Literal["first", "channels"] | None

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a data name says after its path, such as `imagefolder:PATH,levels=0..4095,channels=4+3+2`.

    `levels` are black and white: `LOW..HIGH`, `12bit` (0..4095), or `each` (lowest and highest level of each image by
    itself). `channels` are `all`, or numbers from 1 in the order that is wanted. `pages` says what the pages of a TIFF
    are: `first` reads the first alone, `channels` takes each for a channel.
    """

    levels: Levels = None
    channels: Channels = None
    pages: Pages = None

    @property
    def key(self) -> str:
        """Return what tells the pixels from those of another reading: empty for the plain one."""
        return "" if self == PLAIN else repr((self.levels, self.channels, self.pages))


PLAIN = Reading()
READING_OPTIONS = ("levels", "channels", "pages")


def parse_reading(options: Mapping[str, str]) -> Reading:
    """Return the reading that options such as {"levels": "0..1"} ask for; raise `UsageError` for other values."""
    return Reading(
        levels=_levels(options["levels"]) if "levels" in options else None,
        channels=_channels(options["channels"]) if "channels" in options else None,
        pages=_pages(options["pages"]) if "pages" in options else None,
    )


def _levels(text: str) -> Levels:
    if text == "each":
        return "each"
    bits = re.fullmatch(r"(\d{1,2})bit", text)
    if bits and 1 <= int(bits[1]) <= 32:
        return 0.0, float(2 ** int(bits[1]) - 1)
    ends = _RANGE.fullmatch(text)
    if ends and float(ends[1]) < float(ends[2]):
        return float(ends[1]), float(ends[2])
    raise UsageError(
        "levels must be LOW..HIGH with LOW below HIGH, such as 0..4095; or 12bit; or each",
        found=f"levels={text}",
        hint="each takes the lowest and the highest level of each image by itself",
    )


def _channels(text: str) -> Channels:
    if text == "all":
        return "all"
    parts = text.split("+")
    if all(part.isdecimal() and int(part) >= 1 for part in parts):
        return tuple(int(part) for part in parts)
    raise UsageError("channels must be all, or numbers from 1 joined by +, such as 4+3+2", found=f"channels={text}")


def _pages(text: str) -> Pages:
    if text == "first":
        return "first"
    if text == "channels":
        return "channels"
    raise UsageError("pages must be first or channels", found=f"pages={text}")
