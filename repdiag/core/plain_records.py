"""Rows of a frame as JSON has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def plain_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one dictionary a row; what is not known is None.

    Example:
        >>> import pandas as pd
        >>> plain_records(pd.DataFrame({"n": [1.0, float("nan")]}))
        [{'n': 1.0}, {'n': None}]
    """
    known = frame.astype(object).where(frame.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in known.to_dict(orient="records")]
