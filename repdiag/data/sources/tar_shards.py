"""`wds:SHARDS`: WebDataset's tars, and plain tars of class folders, read in place by the members' offsets."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from repdiag.core.errors import DataError, UsageError
from repdiag.core.files import write_atomic
from repdiag.data.assembly import ReadRequest
from repdiag.data.extensions import EXTENSIONS, UNREAD_IMAGES
from repdiag.data.folders import cache_folder
from repdiag.data.image_split import Excluded, ImageSplit
from repdiag.data.reading_notes import ReadingNote
from repdiag.data.sources.columns import LABELS
from repdiag.data.sources.listing import Listing, label_or_none, open_listing
from repdiag.data.sources.named_members import read_names
from repdiag.data.splits import part_of
from repdiag.data.walk import FoundFile

_LABEL_ENDS = ("cls", "label", "class", "target", "y", "label.txt", "cls.txt")
_PACKED = (".gz", ".tgz", ".bz2", ".xz", ".zst")
_SMALL = 1 << 20  # bytes of a member that holds a label


@dataclass(frozen=True)
class _Member:
    shard: int
    offset: int
    size: int


@dataclass
class _Sample:
    shard: int
    members: dict[str, _Member] = field(default_factory=dict)


def open_tars(pattern: str, split: str, *, options: Mapping[str, str], request: ReadRequest, name: str) -> ImageSplit:
    """Open a split of one or several tars; `pattern` may hold {000..127}, stars, or be a folder of tars.

    Members of one name up to its first dot are a sample: its image, and its label in .cls, .label or .json. Without
    labels beside them the folders in the names are the classes. Parts are read off the shards' names.
    """
    shards = [_readable(path) for path in _shards(pattern)]
    archive = TarImages(shards)
    samples = _samples(shards)
    kept, excluded, notes = _images(samples, options, name)
    files = archive.index({key: member for key, (member, _) in kept.items()})
    labels = [_label(archive, samples[key], options) for key in kept]
    parts = [_part_of_shard(shards[member.shard]) for member, _ in kept.values()]
    if not any(labels) and options.get("label") != "none":
        found = read_names([f"{key}.{end}" for key, (_, end) in kept.items()], name)
        by_key = dict(zip(found.names, zip(found.labels, found.parts, strict=True), strict=True))
        whole = [by_key.get(f"{key}.{end}", (None, None)) for key, (_, end) in kept.items()]
        labels = [label for label, _ in whole]
        parts = [own or part for own, (_, part) in zip(parts, whole, strict=True)]
        notes += list(found.notes)
    listing = Listing(
        name=name,
        archive=archive,
        files=files,
        labels=labels,
        parts=parts,
        excluded=tuple(excluded),
        notes=tuple(notes),
    )
    return open_listing(listing, split, request)


def _shards(pattern: str) -> list[Path]:
    found: list[Path] = []
    for one in _braces(pattern):
        path = Path(one).expanduser()
        if path.is_dir():
            found += sorted(place for place in path.rglob("*") if ".tar" in place.suffixes or place.suffix == ".tgz")
        elif path.is_file():
            found.append(path)
        else:
            matches = sorted(path.parent.glob(path.name))
            if not matches:
                raise DataError(f"{path} is not here", hint="name tars: wds:PATH, wds:'PATH-{000..127}.tar', a folder")
            found += matches
    if not found:
        raise DataError(f"{pattern} holds no tar")
    return list(dict.fromkeys(found))


def _braces(pattern: str) -> list[str]:
    """Return the names that {000..003} and {a,b} stand for, and those joined by ::."""
    names: list[str] = []
    for one in pattern.split("::"):
        pieces = re.split(r"\{([^{}]*)\}", one)
        choices = [_choices(piece) if number % 2 else [piece] for number, piece in enumerate(pieces)]
        names += ["".join(combination) for combination in itertools.product(*choices)]
    return names


def _choices(text: str) -> list[str]:
    ends = re.fullmatch(r"(\d+)\.\.(\d+)", text)
    if ends is None:
        return text.split(",")
    width = len(ends[1])
    return [f"{number:0{width}d}" for number in range(int(ends[1]), int(ends[2]) + 1)]


def _readable(path: Path) -> Path:
    """Return the tar itself, or of a packed one its unpacked copy in the cache, which can be read anywhere."""
    if path.suffix not in _PACKED:
        return path
    if path.suffix == ".zst":
        raise DataError(f"{path} is packed by zstandard", hint="unpack it to a plain tar")
    status = path.stat()
    identity = f"{path.resolve()}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"
    stem = path.name.partition(".")[0]
    target = cache_folder("unpacked") / f"{hashlib.sha256(identity.encode()).hexdigest()[:24]}-{stem}.tar"
    if target.is_file():
        return target

    def copy(stream: Any) -> None:
        import bz2
        import gzip
        import lzma
        import shutil

        openers: dict[str, Any] = {".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
        with openers[path.suffix](path, "rb") as source:
            shutil.copyfileobj(source, stream)

    try:
        return write_atomic(target, copy)
    except (EOFError, ValueError) as error:
        raise DataError(f"{path} cannot be unpacked", found=str(error)) from error


def _samples(shards: Sequence[Path]) -> dict[str, _Sample]:
    samples: dict[str, _Sample] = {}
    for number, shard in enumerate(shards):
        stem = f"{shard.name.partition('.')[0]}/" if len(shards) > 1 else ""
        try:
            with tarfile.open(shard, "r:") as tar:
                for member in tar:
                    if member.isfile() and not member.name.rsplit("/", 1)[-1].startswith("."):
                        key, end = _split_name(member.name)
                        sample = samples.setdefault(stem + key, _Sample(number))
                        if end in sample.members:
                            raise DataError(
                                f"{shard} holds {member.name} twice", hint="every sample needs a unique name"
                            )
                        sample.members[end] = _Member(number, member.offset_data, member.size)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise DataError(
                f"{shard} is not a complete tar", found=str(error), hint="fetch or write it again"
            ) from error
    return samples


def _split_name(name: str) -> tuple[str, str]:
    """Return the sample's key and the member's end: up to the first dot of the name, and from there."""
    name = name.removeprefix("./")
    folder, slash, file = name.rpartition("/")
    key, _, end = file.partition(".")
    return folder + slash + key, end.lower()


def _images(
    samples: Mapping[str, _Sample], options: Mapping[str, str], name: str
) -> tuple[dict[str, tuple[_Member, str]], list[Excluded], list[ReadingNote]]:
    kept: dict[str, tuple[_Member, str]] = {}
    excluded: list[Excluded] = []
    unread: Counter[str] = Counter()
    several: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for key, sample in samples.items():
        ends = [end for end in sample.members if f".{end.rsplit('.', 1)[-1]}" in EXTENSIONS]
        if "image" in options:
            ends = [end for end in ends if end == options["image"]]
        if len(ends) > 1:
            several[tuple(sorted(ends))].append(key)
        elif not ends:
            reasons = [UNREAD_IMAGES.get(f".{end.rsplit('.', 1)[-1]}") for end in sample.members]
            why = next((reason for reason in reasons if reason), f"no image among {', '.join(sample.members)}")
            excluded.append(Excluded(key, why))
        else:
            kept[key] = sample.members[ends[0]], ends[0]
            unread.update(set(sample.members) - {ends[0], "json", *_LABEL_ENDS})
    if several:
        both, keys = next(iter(several.items()))
        raise UsageError(
            f"{sum(map(len, several.values()))} samples of {name} hold several images",
            found=f"{keys[0]}: {', '.join(both)}",
            hint=f"name the one that is meant: ,image={both[0]}",
        )
    notes = []
    if unread:
        kinds = ", ".join(f"{count} {kind}" for kind, count in unread.most_common(4))
        what = f"next to the images, not read ({kinds})"
        notes.append(ReadingNote(what=what, count=sum(unread.values()), of="members"))
    return kept, excluded, notes


def _label(archive: TarImages, sample: _Sample, options: Mapping[str, str]) -> str | None:
    asked = options.get("label")
    if asked == "none":
        return None
    for end in (asked,) if asked in sample.members else _LABEL_ENDS:
        if end in sample.members and sample.members[end].size <= _SMALL:
            return label_or_none(archive.bytes_of(sample.members[end]).decode("utf-8", "replace").strip())
    record = sample.members.get("json")
    if record is None or record.size > _SMALL:
        return None
    try:
        values = json.loads(archive.bytes_of(record))
    except ValueError:
        return None
    if isinstance(values, dict):
        names = (asked,) if asked else LABELS
        return next((label_or_none(values[name]) for name in names if isinstance(values.get(name), str | int)), None)
    return label_or_none(values) if isinstance(values, str | int) else None


def _part_of_shard(path: Path) -> str | None:
    pieces = [*re.split(r"[-_.]", path.name), path.parent.name]
    return next((part for piece in pieces if (part := part_of(piece)) is not None), None)


class TarImages:
    """Members of tars by their offsets; each process opens the files for itself, at every read."""

    def __init__(self, shards: Sequence[Path]) -> None:
        self.shards = tuple(shards)
        self.root = self.shards[0]
        self._members: dict[str, _Member] = {}

    def index(self, members: Mapping[str, _Member]) -> list[FoundFile]:
        """Take the members that are read, and return one entry each."""
        self._members = dict(members)
        times = [(status.st_mtime_ns, status.st_ctime_ns) for status in (shard.stat() for shard in self.shards)]
        return [FoundFile(name, member.size, *times[member.shard]) for name, member in self._members.items()]

    def read(self, path: str) -> bytes:
        """Return the bytes of one member."""
        return self.bytes_of(self._members[path])

    def bytes_of(self, member: _Member) -> bytes:
        """Return the bytes of a member."""
        with self.shards[member.shard].open("rb") as stream:
            stream.seek(member.offset)
            return stream.read(member.size)
