"""A whole repository of the Hugging Face hub: the weights and the settings beside them, through its own client.

Token, mirror, cache and offline mode are those of `huggingface_hub` (HF_TOKEN, HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE).
"""

from __future__ import annotations

import re
from pathlib import Path

from repdiag.core.errors import CheckpointError

_REPOSITORY = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[\w./-]+))?")
_SETTINGS = ("config.json", "preprocessor_config.json", "processor_config.json", "open_clip_config.json", "args.json")
# In this order; the first that the repository has is fetched, so that no weights come twice.
_WEIGHTS = (
    ("model.safetensors",),
    ("model.safetensors.index.json", "model-*-of-*.safetensors"),
    ("open_clip_model.safetensors",),
    ("pytorch_model.bin",),
    ("open_clip_pytorch_model.bin",),
)


def is_hub_repository(word: str) -> bool:
    """Say whether a word names a repository of the hub and not a file of one."""
    return _REPOSITORY.fullmatch(word) is not None


def fetch_repository(word: str) -> Path:
    """Return the folder of a repository, fetched unless the cache has it; "hf://org/repo@revision" pins it."""
    from huggingface_hub import snapshot_download

    match = _REPOSITORY.fullmatch(word)
    if match is None:
        raise CheckpointError(f"{word!r} is not a repository", hint="hf://organisation/repository@revision")
    repo, revision = match["repo"], match["revision"]
    try:
        names = _files(repo, revision)
        chosen = next((part for part in _WEIGHTS if names is None or part[0] in names), None)
        if chosen is None:
            raise CheckpointError(
                f"{word} has no weights that are read here",
                found=", ".join(sorted(names or ())[:8]),
                hint="hf://organisation/repository/file names one file",
            )
        wanted = [*_SETTINGS, *(chosen if names is not None else (name for part in _WEIGHTS for name in part))]
        return Path(snapshot_download(repo, revision=revision, allow_patterns=wanted))
    except CheckpointError:
        raise
    except Exception as error:  # its client and the one below it have dozens of kinds
        raise CheckpointError(
            f"{word} cannot be fetched",
            found=f"{type(error).__name__}: {error}".partition("\n")[0][:160],
            hint="is the name right, the network there, HF_TOKEN set for a private or gated one?",
        ) from error


def _files(repo: str, revision: str | None) -> set[str] | None:
    """Return the names of the repository's files; None where the hub is not to be asked."""
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return None
    return set(HfApi().list_repo_files(repo, revision=revision))
