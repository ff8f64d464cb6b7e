"""Shape letters used in every annotation of the package.

N rows, M rows of a second set, D features, E features of a second encoder, P projections, V views, C classes,
K neighbours, B batch, H height, W width. The annotations are executed in the tests.
"""

from __future__ import annotations

from jaxtyping import Bool, Float, Int, Integer, UInt8
from torch import Tensor

Features = Float[Tensor, "N D"]
Labels = Integer[Tensor, "N"]
LabelMatrix = Float[Tensor, "N C"]  # zeros and ones: which of C labels each row has
Views = Float[Tensor, "V N D"]

__all__ = ["Bool", "Features", "Float", "Int", "Integer", "LabelMatrix", "Labels", "Tensor", "UInt8", "Views"]
