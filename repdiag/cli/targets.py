"""Which checkpoint a word on the command line means: a file, a run directory, or an entry of a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from repdiag.core.errors import CheckpointError, UsageError

if TYPE_CHECKING:
    from repdiag.cli.console import Console

MANIFEST = Path("checkpoints_manifest.yaml")


def find_checkpoint(target: str) -> Path:
    """Return the checkpoint file for a file, a training run's folder, or a name in ./checkpoints_manifest.yaml."""
    path = Path(target).expanduser()
    if path.is_file() or (path.is_dir() and not (path / "checkpoints").is_dir()):
        return path
    if path.is_dir():
        last = path / "checkpoints" / "last.pt"
        if last.is_file():
            return last
        raise CheckpointError(f"the run {path} has no checkpoint yet", found="checkpoints/last.pt is missing")
    if MANIFEST.is_file():
        from repdiag.checkpoints.manifest import read_manifest

        entry = read_manifest(MANIFEST).find(target)
        if entry is not None:
            return entry.local_path()
    raise CheckpointError(f"no checkpoint {target!r}", hint=_nearest_files(path))


def find_checkpoints(targets: list[str], *, only: str | None, console: Console) -> dict[str, Path]:
    """Return name -> checkpoint for every target; a manifest stands for its entries, absent ones are listed."""
    named: dict[str, Path] = {}
    files: list[Path] = []
    for target in targets:
        if Path(target).suffix in {".yaml", ".yml"}:
            named.update(_manifest_entries(Path(target), only, console))
        else:
            files.append(find_checkpoint(target))
    return {**named, **dict(zip(unique_names(files), files, strict=True))}


def _manifest_entries(path: Path, only: str | None, console: Console) -> dict[str, Path]:
    import fnmatch

    from repdiag.checkpoints.manifest import read_manifest

    entries = [entry for entry in read_manifest(path).entries if fnmatch.fnmatch(entry.id, only or "*")]
    if not entries:
        raise UsageError(f"no entry of {path} matches {only!r}")
    present = {}
    for entry in entries:
        if entry.is_present():
            present[entry.id] = entry.local_path()
        else:
            console.say(f"not here: {entry.id} ({entry.how_to_get()})")
    if not present:
        raise CheckpointError(f"none of the {len(entries)} checkpoints named in {path} is here")
    return present


def _nearest_files(path: Path) -> str:
    import difflib

    folder = path.parent
    names = [item.name for item in folder.iterdir()] if folder.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    if near:
        return "did you mean " + ", ".join(str(folder / name) for name in near)
    return "give a checkpoint file, a run directory, or a name from ./checkpoints_manifest.yaml"


def default_name(path: Path) -> str:
    """Return a short name for a checkpoint: its run's name for our own, else its file name without suffixes."""
    if path.parent.name == "checkpoints":
        return path.parent.parent.name if path.stem == "last" else f"{path.parent.parent.name}/{path.stem}"
    name = path.name
    for suffix in (".tar", ".pth", ".pt", ".th", ".ckpt", ".safetensors", ".bin"):
        name = name.removesuffix(suffix)
    return name


def unique_names(paths: list[Path]) -> list[str]:
    """Return one name for each path, told apart by parent folders, then by number, where they would coincide."""
    names = [default_name(path) for path in paths]
    for index, name in enumerate(names):
        if names.count(name) > 1:
            parent = paths[index].resolve().parent.name
            candidate = f"{parent}/{name}"
            names[index] = candidate if candidate not in names else f"{name}#{index + 1}"
    return names
