"""`ReadingNote`: what was scaled, turned, converted, assumed or left out while images were read, said once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "turned": "rotated as their EXIF says",
        "gray": "gray, repeated as red, green and blue",
        "alpha": "with extra channels, left out as alpha (channels=all keeps them)",
        "palette": "with a palette, converted to colours",
        "colours": "of other colours (CMYK, YCbCr, LAB), converted to RGB",
        "frames": "animated: the first frame is read",
        "pages": "with several pages or frames: the first is read (pages=channels reads each as a channel)",
        "pages-are-channels": "with several pages, each read as a channel (pages=channels)",
        "channel-axis": "whose axes have no names: the shortest is read as the channels",
        "16-bit": "of 16 bits, with 65535 as white (levels=LOW..HIGH changes that)",
        "scaled": "with black and white from levels=...",
        "clipped": "with levels below black or above white, which are clipped",
        "each": "each with its lowest level as black and highest as white (levels=each)",
        "unit-floats": "of floats in [0, 1], rounded to 8 bits where they have one or three channels",
        "not-finite": "with NaN or infinite pixels, which are shown as black",
        "window": "DICOM, with the window of the file (levels=LOW..HIGH changes it)",
        "stored-bits": "DICOM without a window, from the lowest to the highest stored level (levels=... changes that)",
        "inverted": "DICOM with black as the highest level, inverted",
    }
)


@dataclass(frozen=True, kw_only=True)
class ReadingNote:
    """One thing that was done to some images, or assumed about all of them (then `count` is 0)."""

    what: str
    count: int = 0
    of: str = "images"
    first: tuple[str, ...] = ()

    def __str__(self) -> str:
        if not self.count:
            return self.what
        named = f" ({', '.join(self.first)}{', ...' if self.count > len(self.first) else ''})" if self.first else ""
        return f"{self.count} {self.of} {self.what}{named}"

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


def counted_notes(names: Sequence[str], keys: Iterable[Sequence[str]]) -> tuple[ReadingNote, ...]:
    """Return one note for each key of `SENTENCES` that some of the named images have."""
    found: dict[str, list[str]] = defaultdict(list)
    for name, of_image in zip(names, keys, strict=True):
        for key in of_image:
            found[key].append(name)
    return tuple(
        ReadingNote(what=SENTENCES[key], count=len(found[key]), first=tuple(found[key][:2]))
        for key in SENTENCES
        if key in found
    )


def dark_note(highest: Sequence[float]) -> tuple[ReadingNote, ...]:
    """Return a note where images of 16 bits stay far below its white, as those of a camera of 12 bits do."""
    dark = [level for level in highest if level < 2**14]
    if not dark:
        return ()
    bits = max(1, int(max(dark)).bit_length())
    what = (
        f"{len(dark)} of {len(highest)} images of 16 bits have no level above {max(dark):.0f} of 65535 and are dark; "
        f"levels={bits}bit after the data's path makes {2**bits - 1} white"
    )
    return (ReadingNote(what=what),)
