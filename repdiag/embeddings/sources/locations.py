"""Where vectors lie: files, folders and patterns here, and addresses such as s3://, gs://, hf:// and https://."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from repdiag.core.errors import DataError, DependencyError

_MOST_FILES = 100_000


def is_remote(source: str | Path) -> bool:
    """Say whether a source is an address and no path."""
    # Path("s3://a/b") has lost a slash; both are taken.
    head, sign, _ = str(source).partition(":/")
    return bool(sign) and head.isalnum() and len(head) > 1


def address(source: str | Path) -> str:
    """Return the address as it was written, before a path lost its second slash."""
    head, _, rest = str(source).partition(":/")
    return f"{head}://{rest.lstrip('/')}" if head != "file" else f"file:///{rest.lstrip('/')}"


@contextmanager
def fetched(source: str | Path) -> Iterator[Path]:
    """Give the path of a copy of what lies at an address, for as long as it is read; a pattern gives a folder.

    Every protocol of fsspec is understood; the file systems of clouds are packages of their own.
    """
    url = address(source)
    with tempfile.TemporaryDirectory(prefix="repdiag-fetched-") as folder:
        yield _copied(url, Path(folder))


def _copied(url: str, folder: Path) -> Path:
    import fsspec

    name = url.rstrip("/").rpartition("/")[2].partition("?")[0] or "vectors"
    try:
        system, path = fsspec.core.url_to_fs(url)
        pattern = any(sign in name for sign in "*[")
        if pattern or system.isdir(path):
            return _copied_files(system, path, folder / (url.rstrip("/").split("/")[-2] if pattern else name))
        target = folder / name
        system.get_file(path, str(target))
        return target
    except ImportError as error:
        raise DependencyError(
            f"reading {url} needs a package", found=str(error), hint=f"pip install {_package(url)}"
        ) from error
    except DataError:
        raise
    except Exception as error:  # every file system raises kinds of its own
        said = f"{type(error).__name__}: {error}".partition("\n")[0][:200]
        raise DataError(f"cannot fetch {url}", found=said) from error


def _package(url: str) -> str:
    return {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}.get(
        url.partition(":")[0], "'repdiag[remote]'"
    )


def _copied_files(system: Any, path: str, target: Path) -> Path:
    """Copy the files of a folder or of a pattern, with the folders they lie in."""
    base = path.rstrip("/")
    if any(sign in base for sign in "*["):
        files = [str(found) for found in system.glob(base)]
        base = base.rpartition("/")[0]
    else:
        files = [str(found) for found in system.find(base)]
    if not files or len(files) > _MOST_FILES:
        raise DataError(f"no files at {path}" if not files else f"too many files at {path}", found=str(len(files)))
    for file in files:
        inside = file[len(base) :].lstrip("/") if file.startswith(base) else file.rpartition("/")[2]
        place = target / inside
        if target.resolve() not in place.resolve().parents:
            raise DataError(f"a name at {path} leads out of its folder", found=inside)
        place.parent.mkdir(parents=True, exist_ok=True)
        system.get_file(file, str(place))
    return target
