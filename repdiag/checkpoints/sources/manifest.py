"""`checkpoints_manifest.yaml`: which checkpoints there are, where they come from, what is published about them."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator

from repdiag.checkpoints.formats.registry import all_formats
from repdiag.checkpoints.own.native import FORMAT
from repdiag.checkpoints.read_options import ReadOptions
from repdiag.checkpoints.reading.branches import BRANCH_NAMES
from repdiag.checkpoints.sources.addresses import REMOTE, file_name_of, url_of
from repdiag.checkpoints.sources.download import download
from repdiag.core.errors import CheckpointError, ConfigError, UsageError, unknown_name
from repdiag.core.printable import brief, one_line, printable
from repdiag.core.provenance import sha256_of_file
from repdiag.data.folders import cache_folder

_MAX_BYTES = 2**20
_HEX = r"^[0-9a-f]{64}$"


_Count = Annotated[int, Field(ge=1, le=10**15, strict=True)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Spread = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
_MAX_DEPTH = 16
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where PyYAML was built with it


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PublishedAccuracy(_Strict):
    """An accuracy that somebody published for this very file, and where."""

    value: Annotated[float, Field(ge=0.0, le=100.0)]
    measure: str
    citation: str


class Entry(_Strict):
    """One checkpoint. What is not known for certain is null: an address, a hash, a size is never invented."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    source: str | None = None
    """A path (relative to the manifest), https://..., hf://org/repo/file@revision, timm:NAME or torchvision:NAME."""
    sha256: Annotated[str, Field(pattern=_HEX)] | None = None
    size: _Count | None = None
    licence: str | None = None
    family: str | None = None
    backbone: str | None = None
    branch: str | None = None
    prefix: str | None = None
    heads: _Count | None = None
    pool: str | None = None
    activation: str | None = None
    norm_eps: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None
    grid: tuple[_Count, _Count] | None = None
    resample: str | None = None
    stem_padding: Annotated[int, Field(ge=0, le=8, strict=True)] | None = None
    stem: tuple[_Count, bool] | None = None
    output_stride: _Count | None = None
    dilated: bool | None = None
    stride_in: str | None = None
    resize: str | _Count | None = None
    interpolation: str | None = None
    channel_order: str | None = None
    pretraining_data: str | None = None
    epochs: _Count | None = None
    image_size: _Count | None = None
    mean: tuple[_Finite, _Finite, _Finite] | None = None
    std: tuple[_Spread, _Spread, _Spread] | None = None
    output: str | None = None
    published: tuple[PublishedAccuracy, ...] = ()
    notes: str | None = None

    _folder: Path = PrivateAttr(default=Path())

    @field_validator("size", mode="before")
    @classmethod
    def _size_is_in_bytes(cls, size: object) -> object:
        if isinstance(size, str):
            raise ValueError("is a number of bytes, such as 1100000")
        return size

    @field_validator("family")
    @classmethod
    def _family_is_known(cls, family: str | None) -> str | None:
        families = [FORMAT, *(form.name for form in all_formats())]
        if family is not None and family not in families:
            near = difflib.get_close_matches(family, families, n=3, cutoff=0.0)
            raise ValueError(f"must be one of the formats that are read, such as {', '.join(near)}")
        return family

    @model_validator(mode="after")
    def _choices_are_known(self) -> Entry:
        try:
            ReadOptions(**{item.name: getattr(self, item.name) for item in fields(ReadOptions)})
        except UsageError as error:
            raise ValueError(f"{error.problem}; {error.hint}") from error
        return self

    @field_validator("branch")
    @classmethod
    def _branch_is_known(cls, branch: str | None) -> str | None:
        if branch is not None and branch not in BRANCH_NAMES:
            raise ValueError(f"must be one of {', '.join(BRANCH_NAMES)}")
        return branch

    def local_path(self) -> Path:
        """Return where the file is, or would be once it is here."""
        if self.source is None:
            return self._folder / "checkpoints" / f"{self.id}.pth"
        if not self.is_remote():
            return _resolved(self._folder / _expanded(Path(self.source)))
        key = hashlib.sha256(self.source.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return cache_folder("checkpoints") / key / file_name_of(self.source)

    def is_remote(self) -> bool:
        """Say whether the file comes from the network."""
        return self.source is not None and self.source.startswith(REMOTE)

    def is_present(self) -> bool:
        """Say whether the file is here."""
        try:
            return self.local_path().exists()
        except (OSError, ValueError):  # a name that the file system does not take
            return False

    def how_to_get(self) -> str:
        """Say, in a few words, how to get a file that is not here."""
        if self.source is None:
            return f"no address is known; put the file at {self.local_path()}"
        return f"--download fetches {self.source}" if self.is_remote() else f"expected at {self.local_path()}"

    def verify(self) -> None:
        """Raise `CheckpointError` where the file is not the one that the manifest names."""
        path = self.local_path()
        if self.size is not None and path.stat().st_size != self.size:
            found = f"{path.stat().st_size} bytes instead of {self.size}"
            raise CheckpointError(f"{path} is not the file that the manifest names", found=found)
        if self.sha256 is not None and path.is_file() and sha256_of_file(path) != self.sha256:
            raise CheckpointError(f"{path} is not the file that the manifest names", found="another sha256")

    def present_path(self) -> Path:
        """Return the path of the file, which must be here and be the one that the manifest names."""
        if not self.is_present():
            raise CheckpointError(f"the checkpoint {self.id} is not here", hint=self.how_to_get())
        self.verify()
        return self.local_path()

    def fetch(self) -> Path:
        """Download the file unless it is here, verify it, and return its path. Uses the network."""
        if self.source is not None and self.is_remote() and not self.is_present():
            download(url_of(self.source), self.local_path(), sha256=self.sha256, size=self.size)
        return self.present_path()

    def read_options(self) -> ReadOptions:
        """Return what the entry says about reading the file, and what timm says of a model that it names."""
        said = ReadOptions(**{item.name: getattr(self, item.name) for item in fields(ReadOptions)})
        if self.source is None or not self.source.startswith("timm:"):
            return said
        return said.over(_input_in_timm(self.source.removeprefix("timm:")))


def _expanded(path: Path) -> Path:
    """Return the path with its `~`; a user that does not exist is the name of a folder, as in a shell."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def _resolved(path: Path) -> Path:
    """Return the path without links and `..`; one that no file system takes stays as it is."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path


def _input_in_timm(name: str) -> ReadOptions:
    """Return the input of one of timm's pretrained models, which its weights alone do not say."""
    import timm

    known = timm.get_pretrained_cfg(name) if timm.is_model(name.partition(".")[0]) else None
    if known is None or len(known.mean) != 3 or len(known.std) != 3:
        return ReadOptions()
    mean, std = ((float(red), float(green), float(blue)) for red, green, blue in (known.mean, known.std))
    return ReadOptions(image_size=known.input_size[-1], mean=mean, std=std)


@dataclass(frozen=True)
class Manifest:
    """The entries of a manifest file, in its order."""

    path: Path
    entries: tuple[Entry, ...]

    def find(self, name: str) -> Entry | None:
        """Return the entry of this id, or None."""
        return next((entry for entry in self.entries if entry.id == name), None)

    def get(self, name: str) -> Entry:
        """Return the entry of this id; an unknown one is an error with the nearest ids."""
        entry = self.find(name)
        if entry is None:
            raise unknown_name(f"checkpoint in {self.path}", name, [item.id for item in self.entries])
        return entry


def read_manifest(path: Path | str) -> Manifest:
    """Return a manifest after checking every field; errors name the line."""
    file = Path(path)
    root = _compose(file)
    folder, loader = file.resolve().parent, yaml.SafeLoader("")
    entries: dict[str, Entry] = {}
    for item in _items(file, root):
        entry = _entry(file, item, loader)
        entry._folder = folder
        if entry.id in entries:
            raise ConfigError(f"{file}, line {item.start_mark.line + 1}: the id {brief(entry.id)} appears twice")
        entries[entry.id] = entry
    return Manifest(file, tuple(entries.values()))


def _compose(file: Path) -> yaml.Node:
    """Return the YAML tree with its line numbers; what can be made to explode is refused."""
    if file.exists() and not file.is_file():
        raise ConfigError(f"{file} is not a regular file, and no manifest")
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ConfigError(f"{file} is too large for a manifest", found=f"{file.stat().st_size} bytes")
        text = file.read_text("utf-8")
        _check_events(file, text)
        root: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        if "nesting depth" in str(error.problem):
            raise ConfigError(f"{file}, line {line}: nested too deeply for a manifest") from error
        raise ConfigError(f"{file}, line {line}: not valid YAML", found=one_line(str(error.problem))) from error
    except ConfigError:
        raise
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise ConfigError(f"{file} cannot be read as a manifest", found=one_line(str(error), 120)) from error
    if root is None:
        raise ConfigError(f"{file} is empty", hint="checkpoints: [{id: ..., source: ...}]")
    return root


def _check_events(file: Path, text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"{file}, line {line}: aliases are not allowed in a manifest")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise ConfigError(f"{file}, line {line}: tags are not allowed in a manifest", found=str(tag)[:80])
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise ConfigError(f"{file}, line {line}: nested too deeply for a manifest")


def _refuse_repeats(file: Path, node: yaml.Node) -> None:
    """Raise `ConfigError` where a mapping has a key twice, of which YAML would take the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.value == "<<":
                raise ConfigError(f"{file}, line {line}: the name of a field must be a word")
            if key.value in seen:
                raise ConfigError(f"{file}, line {line}: {brief(key.value)} appears twice")
            seen.add(key.value)
            _refuse_repeats(file, value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeats(file, item)


def _items(file: Path, root: yaml.Node) -> list[yaml.Node]:
    _refuse_repeats(file, root)
    if isinstance(root, yaml.MappingNode):
        for key, value in root.value:
            if key.value == "checkpoints" and isinstance(value, yaml.SequenceNode):
                return list(value.value)
    raise ConfigError(f"{file} must have a list under `checkpoints:`", found=f"line {root.start_mark.line + 1}")


def _entry(file: Path, node: yaml.Node, loader: yaml.SafeLoader) -> Entry:
    line = node.start_mark.line + 1
    try:
        values = loader.construct_document(node)
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:  # dates, endless numbers
        found = one_line(str(getattr(error, "problem", None) or error), 120)
        raise ConfigError(f"{file}, line {line}: a value of this entry cannot be read", found=found) from error
    if not isinstance(values, Mapping):
        raise ConfigError(f"{file}, line {line}: an entry must be a mapping", found=type(values).__name__)
    for name, value in values.items():
        if isinstance(value, str) and printable(value) != value:
            at = f"{file}, line {_line_of(node, (name,))}: {one_line(str(name), 80)}"
            raise ConfigError(f"{at}: must be text without control characters", found=brief(value))
    try:
        entry = Entry.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = one_line(".".join(map(str, first["loc"])), 80) or "entry"
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigError(
            f"{file}, line {_line_of(node, first['loc'])}: {where}: {said}",
            found=brief(first.get("input")),
            hint=f"fields: {', '.join(Entry.model_fields)}" if first["type"] == "extra_forbidden" else None,
        ) from error
    return entry


def _line_of(node: yaml.Node, place: tuple[Any, ...]) -> int:
    """Return the line of the value at a place within an entry, or of the nearest value around it."""
    for part in place:
        if isinstance(node, yaml.MappingNode):
            inner = next((value for key, value in node.value if key.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            inner = node.value[part]
        else:
            inner = None
        if inner is None:
            break
        node = inner
    return int(node.start_mark.line) + 1
