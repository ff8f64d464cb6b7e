"""One kind of error for whatever a stranger's file makes happen, so that who calls has one thing to expect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from repdiag.core.errors import CheckpointError, RepdiagError
from repdiag.core.printable import one_line


@contextmanager
def one_kind_of_error(path: Path) -> Iterator[None]:
    """Within, every failure over a file is a `RepdiagError`; what nobody foresaw is named by its type.

    A file that is damaged or made to break readers can bring about nearly every exception of Python and torch.
    """
    try:
        yield
    except RepdiagError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read", found=error.strerror or one_line(str(error), 120)) from error
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be understood",
            found=f"{type(error).__name__}: {one_line(str(error), 120)}",
            hint="it is damaged, or has an unknown layout; --debug shows where it failed",
        ) from error
