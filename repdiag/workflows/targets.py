"""Which checkpoint a word on the command line means: a file, a run directory, or an entry of a manifest."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.checkpoints.read_options import ReadOptions
from repdiag.checkpoints.sources.manifest_path import is_manifest
from repdiag.core.errors import CheckpointError, RepdiagError, UsageError
from repdiag.core.metric_table import untrained_name

if TYPE_CHECKING:
    from repdiag.checkpoints.sources.manifest import Entry
    from repdiag.workflows.speaking import Speaker

_REMOTE = ("https://", "hf://", "timm:", "torchvision:")
MANIFEST = Path("checkpoints_manifest.yaml")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A checkpoint to work on: its name, its file, how it is to be read, and its manifest's entry, if it has one."""

    name: str
    path: Path
    read_options: ReadOptions = field(default_factory=ReadOptions)
    entry: Entry | None = None


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The checkpoints that are here; those that are not, with how to get them; those that could not be had, and why."""

    here: tuple[Target | Any, ...]  # encoders in memory too, under a name
    missing: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def find_checkpoint(word: str, *, download: bool = False) -> Target:
    """Return the checkpoint for a file, a training run's folder, or a name in ./checkpoints_manifest.yaml.

    Names of hubs (timm:NAME, torchvision:NAME, hf://org/repo, hf://org/repo/file, https://) are fetched into the cache.
    """
    if word.startswith(_REMOTE):
        return _of_hub(word)
    path = Path(word).expanduser()
    if path.is_file() or (path.is_dir() and not (path / "checkpoints").is_dir()):
        return Target(name=default_name(path), path=path)
    if path.is_dir():
        last = path / "checkpoints" / "last.pt"
        if last.is_file():
            return Target(name=default_name(last), path=last)
        if (path / "run.json").is_file():
            raise CheckpointError(f"the run {path} has no checkpoint yet", found="checkpoints/last.pt is missing")
        return Target(name=default_name(path), path=path)  # another program's run
    if MANIFEST.is_file():
        from repdiag.checkpoints.sources.manifest import read_manifest

        entry = read_manifest(MANIFEST).find(word)
        if entry is not None:
            return _target_of(entry, download=download)
    if path.is_symlink() and not path.exists():
        raise CheckpointError(f"{path} is a broken link", found=f"it points to {path.readlink()}")
    if path.exists():
        raise CheckpointError(f"{path} is not a regular file")
    raise CheckpointError(f"no checkpoint {word!r}", hint=_nearest_files(path))


def _of_hub(word: str) -> Target:
    from repdiag.checkpoints.sources.hub_folder import fetch_file, fetch_repository, is_hub_file, is_hub_repository

    name = word.partition("://")[2] or word.partition(":")[2]
    if is_hub_repository(word):
        return Target(name=name.partition("@")[0].replace("/", "-"), path=fetch_repository(word))
    short = re.sub(r"[^A-Za-z0-9._-]", "-", name.rpartition("/")[2]).lstrip("._-") or "checkpoint"
    if is_hub_file(word):
        return Target(name=short.partition("@")[0], path=fetch_file(word))
    from repdiag.checkpoints.sources.addresses import hub_repository_of
    from repdiag.checkpoints.sources.manifest import Entry

    if word.startswith("timm:") and (repository := hub_repository_of(name)) is not None:
        return Target(name=short, path=fetch_repository(repository))  # with its config.json: input, pooling
    return replace(_target_of(Entry(id=short, source=word), download=True), entry=None)


def find_checkpoints(words: Sequence[str], *, only: str | None, download: bool, told: Speaker) -> Targets:
    """Return every target; a manifest stands for its entries, and one that cannot be had does not stop the rest."""
    manifests = [Path(word) for word in words if is_manifest(Path(word))]
    if only is not None and not manifests:
        raise UsageError("--only needs a manifest, and none was given", found=" ".join(words))
    here: list[Target] = []
    missing: dict[str, str] = {}
    failures: dict[str, str] = {}
    for entry in (entry for path in manifests for entry in _chosen(path, only)):
        if not entry.is_present() and not (download and entry.is_remote()):
            missing[entry.id] = entry.how_to_get()
            continue
        try:
            if not entry.is_present():
                told.say(f"fetching {entry.id} from {entry.source}")
            here.append(_target_of(entry, download=download))
        except RepdiagError as error:
            failures[entry.id] = str(error)
            told.say(f"left out {entry.id}: {error}")
    for word in words:
        if _holds_results(Path(word)):
            if len(words) == 1:
                raise CheckpointError(
                    f"{word} holds results of repdiag, not a checkpoint", hint=f"repdiag report {word}"
                )
            told.say(f"left out {word}: results of repdiag, not a checkpoint")
        elif not is_manifest(Path(word)):
            here.append(find_checkpoint(word))
    if not here:
        ways = [f"{name}: {how}" for name, how in [*failures.items(), *missing.items()]]
        more = [f"and {len(ways) - 8} more"] if len(ways) > 8 else []
        fetched = any(how.startswith("--download") for how in missing.values())
        raise CheckpointError(
            "none of the checkpoints named is here",
            found="\n    ".join(["", *ways[:8], *more]),
            hint="--download fetches those that have an address" if fetched else None,
        )
    names = unique_names(here)
    targets = tuple(replace(target, name=name) for target, name in zip(here, names, strict=True))
    return Targets(here=targets, missing=missing, failures=failures)


def named_sources(sources: Mapping[str, Any] | Sequence[Any]) -> dict[str, Any]:
    """Return what is to be compared by name: files by their own names, anything else by its number."""
    if isinstance(sources, Mapping):
        return {str(name): source for name, source in sources.items()}
    if isinstance(sources, str | Path):
        raise UsageError("give several to compare", found=str(sources), hint="a list of paths, or {name: path}")
    names: list[str] = []
    for number, source in enumerate(sources, start=1):
        name = default_name(Path(source)) if isinstance(source, str | Path) else f"encoder {number}"
        names.append(name if name not in names else f"{name}#{number}")
    return dict(zip(names, sources, strict=True))


def with_reference(targets: Targets, word: str, *, download: bool) -> tuple[Targets, str]:
    """Return the targets with the reference among them, and its name; one of the targets may be named again."""
    named = [target.name for target in targets.here if target.name == word]
    if named:
        return targets, named[0]
    reference = find_checkpoint(word, download=download)
    for target in targets.here:
        if target.path.resolve() == reference.path.resolve():
            return targets, target.name
    here = (*targets.here, reference)
    names = unique_names(here)
    added = tuple(replace(target, name=name) for target, name in zip(here, names, strict=True))
    return replace(targets, here=added), names[-1]


def _holds_results(folder: Path) -> bool:
    """Say whether a folder is what analyses, comparisons or extractions left; `runs/*` names it beside the runs."""
    if not folder.is_dir() or (folder / "checkpoints" / "last.pt").is_file():
        return False
    inside = (path for path in (folder, *folder.iterdir()) if path.is_dir())
    return any((path / "metrics.parquet").is_file() or (path / "rows.parquet").is_file() for path in inside)


def _chosen(path: Path, only: str | None) -> list[Entry]:
    import fnmatch

    from repdiag.checkpoints.sources.manifest import read_manifest

    entries = read_manifest(path).entries
    found = [entry for entry in entries if fnmatch.fnmatch(entry.id, only or "*")]
    if not found:
        raise UsageError(f"no entry of {path} matches {only!r}", hint=", ".join(entry.id for entry in entries[:6]))
    return found


def _target_of(entry: Entry, *, download: bool) -> Target:
    """Return a manifest's entry whose file is here and is the one that the manifest names."""
    path = entry.fetch() if download else entry.present_path()
    return Target(name=entry.id, path=path, read_options=entry.read_options(), entry=entry)


def _nearest_files(path: Path) -> str:
    import difflib

    folder = path.parent
    names = [item.name for item in folder.iterdir()] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + ", ".join(str(folder / name) for name in near)
    return "give a checkpoint file, a run directory, or a name from ./checkpoints_manifest.yaml"


def run_of(path: Path) -> Path | None:
    """Return the folder of the training run that a checkpoint belongs to, or None."""
    run = path.parent.parent
    return run if path.parent.name == "checkpoints" and (run / "run.json").is_file() else None


def default_name(path: Path) -> str:
    """Return a short name for a checkpoint: its run's name for our own, else its file name without suffixes."""
    run = run_of(path)
    if run is not None:
        return run.resolve().name if path.stem == "last" else f"{run.resolve().name}/{path.stem}"
    name = path.name
    for suffix in (".tar", ".pth", ".pt", ".th", ".ckpt", ".safetensors", ".bin", ".onnx", ".tflite", ".pte"):
        name = name.removesuffix(suffix)
    return name


def unique_names(targets: Sequence[Target]) -> list[str]:
    """Return one name for each target, told apart by parent folders, then by number, where they would coincide."""
    names: list[str] = []
    for target in targets:
        options = (target.name, f"{target.path.resolve().parent.name}/{target.name}")
        taken = {_folder(name) for used in names for name in (used, untrained_name(used))}
        free = [name for name in options if _folder(name) not in taken]
        names.append(free[0] if free else f"{target.name}#{len(names) + 1}")
    return names


def _folder(name: str) -> str:
    """Return the name of the folder that a checkpoint's results go to; see `comparison`."""
    return name.replace("/", "-")
