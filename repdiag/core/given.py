"""What may be given where numbers are wanted: types say so, and one door (`core/arrays.py`) makes tensors of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor

    Given: TypeAlias = Tensor | NDArray[Any] | pd.DataFrame | pd.Series[Any] | Sequence[Any]
else:
    Given: TypeAlias = Any
