"""Other names for encoders, as a figure or a table is to show them."""

from __future__ import annotations

from collections.abc import Sequence

from repdiag.core.errors import UsageError


def new_names(known: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Return what each of the known encoders is called, in their order; nothing without names.

    Raises `UsageError` for names that are not as many as the encoders.
    """
    if not names:
        return {}
    if len(names) != len(known):
        raise UsageError(
            f"{len(names)} names for {len(known)} encoders", found=", ".join(known), hint="give one each, in this order"
        )
    return dict(zip(known, names, strict=True))
