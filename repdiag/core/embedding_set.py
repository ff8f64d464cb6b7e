"""`EmbeddingSet`: the row-aligned outputs of one encoder on one split; the noun where both halves meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repdiag.core.arrays import TEXT_KINDS, to_array, to_class_names, to_class_numbers, to_floating
from repdiag.core.errors import MetricError
from repdiag.core.provenance import Provenance

Space = Literal["features", "projections"]
SPACES: tuple[Space, ...] = ("features", "projections")
UNLABELLED = -1
# Types say what a set holds: tensors. When it is made, whatever becomes one is taken, and the constructor says so.
if TYPE_CHECKING:
    from repdiag.core.given import Given

    Held = Tensor
else:
    Held = Any
RowIds = NDArray[Any]  # text or int64; beartype cannot check fixed-width text


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddingSet:
    """Row-aligned outputs of one encoder on one split. Frozen; computes nothing.

    Shapes: features [N, D] (after pooling, before any projector, never normalised here), projections [N, P],
    labels [N] integers, views [V, N, D], view_projections [V, N, P], row_ids [N]. Only `features` is required. Arrays,
    lists and frames become tensors, text labels numbers with `class_names`. A label of -1 is no class: the row is
    unlabelled. `label_matrix` [N, C] says which of C classes a row has, where it may have several, instead of `labels`.
    `groups` [N] numbers the rows that were drawn together. Raises `MetricError` when a field does not align with the
    rows.

    Example:
        >>> import repdiag
        >>> rows = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
        >>> found = repdiag.EmbeddingSet(features=rows, labels=["cat", "dog", "cat"])
        >>> tuple(found.features.shape), found.class_names, found.labels.tolist()
        ((3, 2), ('cat', 'dog'), [0, 1, 0])
    """

    features: Held
    projections: Held | None = None
    labels: Held | None = None
    views: Held | None = None
    view_projections: Held | None = None
    label_matrix: Held | None = None
    groups: Held | None = None
    row_ids: RowIds | None = None
    class_names: tuple[str, ...] | None = None
    provenance: Provenance = field(default_factory=Provenance)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            features: Given,
            projections: Given | None = None,
            labels: Given | None = None,
            views: Given | None = None,
            view_projections: Given | None = None,
            label_matrix: Given | None = None,
            groups: Given | None = None,
            row_ids: Given | None = None,
            class_names: Sequence[str] | None = None,
            provenance: Provenance = ...,
        ) -> None: ...

    def __post_init__(self) -> None:
        for name in ARRAY_FIELDS:
            value = getattr(self, name)
            if value is not None and name not in ("labels", *_NUMBERED):
                object.__setattr__(self, name, to_floating(name, value))
        for name in _NUMBERED:
            if getattr(self, name) is not None:
                object.__setattr__(self, name, to_class_numbers(name, getattr(self, name)))
        self._number_labels()
        for name, rank in (
            ("features", 2),
            ("projections", 2),
            ("labels", 1),
            ("views", 3),
            ("view_projections", 3),
            ("label_matrix", 2),
            ("groups", 1),
        ):
            value = getattr(self, name)
            if value is not None:
                _check_rows(name, value, rank=rank, rows=self.features.shape[0] if self.features.ndim else 0)
        ids = np.arange(len(self)) if self.row_ids is None else np.asarray(self.row_ids)
        if ids.shape != (len(self),):
            raise MetricError("row_ids must name every row once", found=f"{ids.shape} for {len(self)} rows")
        object.__setattr__(self, "row_ids", ids)

    def _number_labels(self) -> None:
        values: Any = self.labels
        if values is None:
            return
        if not isinstance(values, Tensor):
            values = to_array("labels", values)
            if values.dtype.kind in TEXT_KINDS:
                if self.class_names is not None:
                    raise MetricError("text labels already name their classes", hint="leave out class_names")
                names, values = np.unique(to_class_names("labels", values), return_inverse=True)
                object.__setattr__(self, "class_names", tuple(str(name) for name in names))
        numbers = to_class_numbers("labels", values)
        object.__setattr__(self, "labels", numbers)
        if self.label_matrix is not None:
            raise MetricError(
                "give labels or label_matrix, not both", hint="label_matrix is for several classes per row"
            )
        if self.class_names is not None and numbers.numel() > 0 and int(numbers.max()) >= len(self.class_names):
            found = f"label {int(numbers.max())}, {len(self.class_names)} names"
            raise MetricError("class_names must name every label", found=found, hint="label c is named class_names[c]")

    def __len__(self) -> int:
        return int(self.features.shape[0])

    def class_name(self, label: int) -> str:
        """Return the name of a class; its number where classes have no names, or for a negative label: that is none."""
        return self.class_names[label] if self.class_names and label >= 0 else str(label)

    def labelled_rows(self) -> Tensor | None:
        """Return which rows [N] have a label; None where all have one, or none has.

        A label of -1 is none, unless the labels are -1 and 1: then both are classes.
        """
        if self.labels is None or not bool((self.labels == UNLABELLED).any()):
            return None
        given = torch.unique(self.labels).tolist()
        return None if given in ([UNLABELLED], [UNLABELLED, 1]) else self.labels != UNLABELLED

    def available(self) -> tuple[str, ...]:
        """Return the names of the array fields that are present."""
        return tuple(name for name in ARRAY_FIELDS if getattr(self, name) is not None)

    def select(self, rows: Sequence[int] | Tensor | NDArray[Any]) -> EmbeddingSet:
        """Return the set of the given rows, in that order (indices or a boolean mask)."""
        index = rows.cpu() if isinstance(rows, Tensor) else torch.as_tensor(np.asarray(rows))
        index = index.nonzero().squeeze(1) if index.dtype == torch.bool else index.long()
        assert self.row_ids is not None
        picked: dict[str, Any] = {"row_ids": self.row_ids[index.numpy()]}
        for name in self.available():
            value = getattr(self, name)
            picked[name] = value[:, index] if value.ndim == 3 else value[index]
        return replace(self, **picked)

    def to(self, device: str | torch.device) -> EmbeddingSet:
        """Return the set with its tensors on the device; metrics run where the rows lie."""
        return replace(self, **{name: getattr(self, name).to(device) for name in self.available()})

    def in_space(self, space: Space) -> EmbeddingSet:
        """Return the set with the named space as its `features` and `views`."""
        if space == "features":
            return replace(self, projections=None, view_projections=None)
        if self.projections is None:
            raise MetricError("the set has no projections", hint="the checkpoint came without a projector")
        return replace(
            self,
            features=self.projections,
            views=self.view_projections,
            projections=None,
            view_projections=None,
        )


_NUMBERED = ("label_matrix", "groups")
ARRAY_FIELDS = ("features", "projections", "labels", "views", "view_projections", *_NUMBERED)
FIELD_NAMES = tuple(item.name for item in fields(EmbeddingSet))


_AXES = {
    1: "one value per row",
    2: "one vector per row [rows, dimensions]: flatten or average further axes, give single numbers as [rows, 1]",
    3: "one set of vectors per view [views, rows, dimensions]",
}


def _check_rows(name: str, value: Tensor, *, rank: int, rows: int) -> None:
    if not isinstance(value, Tensor) or value.ndim != rank:
        found = f"{type(value).__name__} of shape {tuple(getattr(value, 'shape', ()))}"
        raise MetricError(f"{name} must be a tensor with {rank} axes", found=found, hint=_AXES[rank])
    if value.shape[1 if rank == 3 else 0] != rows:
        found = f"{len(value)} entries" if rank == 1 else f"{tuple(value.shape)}"
        hint = "give as many as there are rows, in their order"
        raise MetricError(f"{name} must have one entry for each of the {rows} rows", found=found, hint=hint)
