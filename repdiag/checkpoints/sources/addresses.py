"""Where a checkpoint's source is on the network, and under which name its file is kept here."""

from __future__ import annotations

import os
import re
import string
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit, urlunsplit

from repdiag.core.errors import CheckpointError, unknown_name
from repdiag.core.printable import brief

REMOTE = ("https://", "hf://", "timm:", "torchvision:")
_HUGGING_FACE = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>[^@]+?)(?:@(?P<revision>[\w./-]+))?")
_KEPT = string.ascii_letters + string.digits + "._+=,@-"
_LONGEST_NAME = 120
_LONGEST_ADDRESS = 2000


def file_name_of(source: str) -> str:
    """Return the name under which a source is kept, without asking the network or a library.

    >>> file_name_of("https://host/a/model.pth?x=1"), file_name_of("https://host/.."), file_name_of("timm:a/b")
    ('model.pth', 'checkpoint', 'a_b.weights')
    """
    if source.startswith(("timm:", "torchvision:")):
        return _safe_name(source.partition(":")[2]) + ".weights"
    path = re.split(r"[?#]", source, maxsplit=1)[0].partition("://")[2].partition("/")[2]
    path = path.partition("@")[0] if source.startswith("hf://") else path
    return _safe_name(PurePosixPath(path).name)


def url_of(source: str) -> str:
    """Return the https address of a source; names of timm and torchvision are asked of these libraries."""
    if source.startswith("https://"):
        return checked_address(source)
    if source.startswith("hf://"):
        match = _HUGGING_FACE.fullmatch(source)
        if match is None or ".." in source.partition("://")[2].replace("@", "/").split("/"):
            raise CheckpointError(
                f"{brief(source, 200)} is not an address", hint="hf://organisation/repository/file@revision"
            )
        return checked_address(_hub_url(match["repo"], match["file"], match["revision"] or "main"))
    library, _, name = source.partition(":")
    if library == "torchvision":
        return _torchvision_url(name)
    if library == "timm":
        return _timm_url(name)
    raise CheckpointError(
        f"{brief(source, 200)} is not an address", hint="https://, hf://, timm:NAME or torchvision:NAME"
    )


def checked_address(url: str) -> str:
    """Return an address that a request can be made of, what is not ASCII in its path escaped."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        name = (host or "").encode("idna").decode()
        path, query = (quote(part, safe="/%:=&?~#+!$,;'@()*[]") for part in (parts.path, parts.query))
    except ValueError as error:  # also what encodings raise
        raise CheckpointError(f"{brief(url, 200)} is not an address", found=str(error)[:120]) from error
    odd = any(mark.isspace() or not mark.isprintable() for mark in url.replace(" ", ""))
    if not name or odd or parts.username is not None or len(url) > _LONGEST_ADDRESS:
        hint = "https://host/path, without a user name and of at most 2000 characters"
        raise CheckpointError(f"{brief(url, 200)} is not an address", hint=hint)
    name = f"[{name}]" if ":" in name else name
    return urlunsplit((parts.scheme, name if port is None else f"{name}:{port}", path or "/", query, ""))


def _safe_name(name: str) -> str:
    """Return a name that is a file's on every system, and no hidden one; the end is what tells the kind of file."""
    kept = "".join(mark if mark in _KEPT else "_" for mark in name)[-_LONGEST_NAME:].lstrip(".")
    return kept or "checkpoint"


def _hub_url(repo: str, file: str, revision: str) -> str:
    host = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    return f"{host}/{repo}/resolve/{quote(revision)}/{quote(file)}"


def _torchvision_url(name: str) -> str:
    import torchvision

    if name not in torchvision.models.list_models():
        raise unknown_name("torchvision model", name, torchvision.models.list_models())
    return str(torchvision.models.get_model_weights(name).DEFAULT.url)


def hub_repository_of(name: str) -> str | None:
    """Return "hf://org/repo" for a model of timm whose weights are on the hub; raises for a name that timm has not."""
    import timm

    config = timm.get_pretrained_cfg(name) if timm.is_model(name.partition(".")[0]) else None
    if config is None:
        raise unknown_name("timm model", name, timm.list_models(pretrained=True))
    return f"hf://{config.hf_hub_id}" if config.hf_hub_id else None


def digest_in(url: str) -> str | None:
    """Return the first digits of a file's sha256 that its name has, as torchvision's and torch.hub's names do.

    >>> digest_in("https://host/resnet18-f37072fd.pth"), digest_in("https://host/last-20240101.pth?x=1")
    ('f37072fd', None)
    """
    found = re.search(r"-([0-9a-f]{8,64})\.pth$", re.split(r"[?#]", url, maxsplit=1)[0])
    return found[1] if found and not found[1].isdigit() else None


def _timm_url(name: str) -> str:
    import timm

    config = timm.get_pretrained_cfg(name) if timm.is_model(name.partition(".")[0]) else None
    if config is None:
        raise unknown_name("timm model", name, timm.list_models(pretrained=True))
    if config.hf_hub_id:
        return _hub_url(config.hf_hub_id, config.hf_hub_filename or "model.safetensors", "main")
    if config.url:
        return str(config.url)
    raise CheckpointError(f"timm has no pretrained weights for {name}")
