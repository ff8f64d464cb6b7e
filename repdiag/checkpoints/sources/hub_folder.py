"""The Hugging Face hub through its own client: a whole repository, with the settings beside the weights, or one file.

Token, mirror, cache and offline mode are those of `huggingface_hub` (HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repdiag.core.errors import CheckpointError
from repdiag.core.printable import brief, one_line

_REPOSITORY = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w./-]+))?")
_FILE = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>[^@]+?)(?:@(?P<revision>[\w./-]+))?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SETTINGS = ("config.json", "preprocessor_config.json", "processor_config.json", "open_clip_config.json", "args.json",
             "adapter_config.json")  # fmt: skip
# In this order; the first that the repository has is fetched, so that no weights come twice.
_WEIGHTS = (
    ("model.safetensors",),
    ("model.safetensors.index.json", "model-*-of-*.safetensors"),
    ("open_clip_model.safetensors",),
    ("pytorch_model.bin",),
    ("open_clip_pytorch_model.bin",),
    ("adapter_model.safetensors",),
)


def is_hub_repository(word: str) -> bool:
    """Say whether a word names a repository of the hub and not a file of one."""
    return _REPOSITORY.fullmatch(word) is not None


def is_hub_file(word: str) -> bool:
    """Say whether a word names one file of a repository of the hub."""
    return _FILE.fullmatch(word) is not None and not is_hub_repository(word)


def fetch_file(word: str) -> Path:
    """Return one file of a repository, fetched unless the cache has it: "hf://org/repo/file@revision"."""
    from huggingface_hub import hf_hub_download

    match = _FILE.fullmatch(word)
    if match is None or ".." in match["file"].split("/"):
        raise CheckpointError(f"{brief(word, 200)} is not a file", hint="hf://organisation/repository/file@revision")
    with _one_kind_of_error(word):
        return _whole(Path(hf_hub_download(match["repo"], match["file"], revision=match["revision"])))


def fetch_repository(word: str) -> Path:
    """Return the folder of a repository, fetched unless the cache has it; "hf://org/repo@revision" pins it."""
    from huggingface_hub import snapshot_download

    match = _REPOSITORY.fullmatch(word)
    if match is None:
        raise CheckpointError(f"{word!r} is not a repository", hint="hf://organisation/repository@revision")
    repo, revision = match["repo"], match["revision"]
    with _one_kind_of_error(word):
        names = _files(repo, revision)
        chosen = next((part for part in _WEIGHTS if names is None or part[0] in names), None)
        if chosen is None:
            raise CheckpointError(
                f"{word} has no weights that repdiag can read",
                found=", ".join(sorted(names or ())[:8]),
                hint="hf://organisation/repository/file names one file",
            )
        wanted = [*_SETTINGS, *(chosen if names is not None else (name for part in _WEIGHTS for name in part))]
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns=wanted))
        for part in chosen if names is not None else ():
            for file in folder.glob(part):
                _whole(file)
    return folder


def _whole(file: Path) -> Path:
    """Return a file whose content is what the hub said it is: large ones lie in the cache under their sha256."""
    stored = file.resolve()
    if _SHA256.fullmatch(stored.name):
        with stored.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != stored.name:
            raise CheckpointError(
                f"{file.name} in the hub's cache is not the file that the hub has",
                found=f"sha256 {digest}, expected {stored.name}",
                hint=f"remove {stored} and run it again",
            )
    return file


@contextmanager
def _one_kind_of_error(word: str) -> Iterator[None]:
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:  # its client and the one below it have dozens of kinds
        raise CheckpointError(
            f"{one_line(word)} cannot be fetched",
            found=one_line(f"{type(error).__name__}: {error}", 300),
            hint="is the name right, the network there, HF_TOKEN set for a private or gated one?",
        ) from error


def _files(repo: str, revision: str | None) -> set[str] | None:
    """Return the names of the repository's files; None where the hub is not to be asked."""
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return None
    return set(HfApi().list_repo_files(repo, revision=revision))
