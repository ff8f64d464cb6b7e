"""Fetches checkpoint files: resumed where they stopped, verified, and in place only when complete."""

from __future__ import annotations

import hashlib
import os
import re
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath
from urllib.parse import quote, urlsplit

from repdiag.core.errors import CheckpointError, unknown_name

_BLOCK = 2**20
_TIMEOUT = 60.0
_HUGGING_FACE = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>[^@]+?)(?:@(?P<revision>[\w./-]+))?")


def file_name_of(source: str) -> str:
    """Return the name under which a source is kept, without asking the network or a library."""
    if source.startswith(("timm:", "torchvision:")):
        return re.sub(r"[^\w.-]", "_", source.partition(":")[2]) + ".weights"
    path = source.partition("@")[0] if source.startswith("hf://") else urlsplit(source).path
    return PurePosixPath(path).name or "checkpoint"


def url_of(source: str) -> str:
    """Return the https address of a source; names of timm and torchvision are asked of these libraries."""
    if source.startswith("https://"):
        return source
    if source.startswith("hf://"):
        match = _HUGGING_FACE.fullmatch(source)
        if match is None:
            raise CheckpointError(f"{source!r} is not an address", hint="hf://organisation/repository/file@revision")
        return _hub_url(match["repo"], match["file"], match["revision"] or "main")
    library, _, name = source.partition(":")
    if library == "torchvision":
        return _torchvision_url(name)
    if library == "timm":
        return _timm_url(name)
    raise CheckpointError(f"{source!r} is not an address", hint="https://, hf://, timm:NAME or torchvision:NAME")


def download(url: str, path: Path, *, sha256: str | None = None, size: int | None = None) -> Path:
    """Fetch a file to `path`: a part that is already here is continued, a wrong file is removed and reported."""
    part = path.with_name(path.name + ".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _fetch(url, part)
    except (OSError, urllib.error.URLError) as error:
        have = part.stat().st_size if part.exists() else 0
        raise CheckpointError(
            f"the download of {url} stopped after {have} bytes",
            found=str(error)[:160],
            hint="run it again: it goes on where it stopped",
        ) from error
    _check(part, sha256=sha256, size=size, url=url)
    part.replace(path)
    return path


def _fetch(url: str, part: Path) -> None:
    """Continue a part of the same version of the file; a server that has another version sends it from the start."""
    version = part.with_name(part.name + ".etag")
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    if have and version.exists():
        headers["If-Range"] = version.read_text("utf-8")
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to fetch
            version.unlink(missing_ok=True)
            return
        raise
    with response, part.open("ab" if response.status == 206 else "wb") as stream:
        if etag := response.headers.get("ETag"):
            version.write_text(etag, "utf-8")
        start, length = stream.tell(), response.headers.get("Content-Length")
        while block := response.read(_BLOCK):
            stream.write(block)
        stream.flush()
        os.fsync(stream.fileno())
        # A connection that breaks looks like the end of the file.
        if length is not None and stream.tell() - start != int(length):
            raise ConnectionError(f"the connection broke: {stream.tell() - start} of {length} bytes")
    version.unlink(missing_ok=True)


def _check(part: Path, *, sha256: str | None, size: int | None, url: str) -> None:
    with part.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    length = part.stat().st_size
    if (size is not None and length != size) or (sha256 is not None and found != sha256):
        part.unlink()
        raise CheckpointError(
            f"{url} is not the file that was expected; it was removed",
            found=f"{length} bytes, sha256 {found}",
            hint=f"expected {size or 'any number of'} bytes, sha256 {sha256 or 'unknown'}",
        )


def _hub_url(repo: str, file: str, revision: str) -> str:
    return f"https://huggingface.co/{repo}/resolve/{quote(revision)}/{quote(file)}"


def _torchvision_url(name: str) -> str:
    import torchvision

    if name not in torchvision.models.list_models():
        raise unknown_name("torchvision model", name, torchvision.models.list_models())
    return str(torchvision.models.get_model_weights(name).DEFAULT.url)


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
