"""Files that torch or pickle wrote, read without running anything in them: tensors, numpy arrays, lists, by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repdiag.checkpoints.reading.numpy_stand_ins import plain_array
from repdiag.checkpoints.reading.stand_ins import Placeholder
from repdiag.core.errors import DataError
from repdiag.embeddings.sources.contents import Column, Contents, of_array, unreadable

TORCH_KINDS = (".pt", ".pth")
PICKLE_KINDS = (".pkl", ".pickle")


def open_torch(path: Path) -> Contents:
    """Return what torch.save wrote: a tensor, named ones, (vectors, labels), rows, or vectors by the row's name."""
    from repdiag.checkpoints.reading.safe_load import read

    return _contents(path, read(path).tree)


def open_pickle(path: Path) -> Contents:
    """Return the arrays of a pickle, which is interpreted and never run; classes in it stay names."""
    from repdiag.checkpoints.reading.bounded_tree import BoundedTree
    from repdiag.checkpoints.reading.restricted_unpickler import RestrictedUnpickler
    from repdiag.core.errors import CheckpointError

    def no_tensors(record: Any) -> Any:
        raise CheckpointError("a tensor in a plain pickle is not read", found=str(record)[:60])

    with path.open("rb") as stream:
        inert = RestrictedUnpickler(stream).load()
    return _contents(path, BoundedTree(no_tensors).convert(inert))


def _contents(path: Path, tree: Any) -> Contents:
    found = plain_array(tree)
    if isinstance(found, Tensor | np.ndarray):
        if isinstance(found, np.ndarray) and found.ndim < 2 and not isinstance(tree, Placeholder):
            raise _nothing(path, tree)
        return Contents(name=path.name, columns=(of_array("features", found, is_named=False),))
    if isinstance(tree, list | tuple):
        return Contents(name=path.name, columns=_of_sequence(path, tree))
    if isinstance(tree, Mapping) and tree:
        return Contents(name=path.name, columns=_of_mapping(tree))
    raise _nothing(path, tree)


def _nothing(path: Path, tree: Any) -> DataError:
    called = tree.name if isinstance(tree, Placeholder) else type(tree).__name__
    hint = "name them features: torch.save({'features': features, 'labels': labels}, path)"
    return DataError(f"{path.name} holds neither a tensor nor named tensors", found=f"a {called}", hint=hint)


def _of_sequence(path: Path, tree: Any) -> tuple[Column, ...]:
    """Return (vectors, labels), in this order, as np.savez names what has no name."""
    if tree and all(isinstance(item, Mapping) and item.keys() == tree[0].keys() for item in tree):
        return _of_mapping({name: [item[name] for item in tree] for name in tree[0]})
    items = [plain_array(item) for item in tree]
    arrays = [item for item in items if isinstance(item, Tensor | np.ndarray) and item.ndim]
    if not arrays or len(arrays) != len(items) or len(items) > 8:
        raise _nothing(path, tree)
    return tuple(of_array(f"arr_{place}", item) for place, item in enumerate(arrays))


def _of_mapping(tree: Mapping[Any, Any]) -> tuple[Column, ...]:
    values = {str(name): plain_array(value) for name, value in tree.items()}
    arrays = {name: value for name, value in values.items() if isinstance(value, Tensor | np.ndarray)}
    shapes = {tuple(value.shape) for value in arrays.values()}
    if len(arrays) == len(values) > 2 and len(shapes) == 1 and len(next(iter(shapes))) == 1 and _are_rows(tree):
        rows = [value.detach() if isinstance(value, Tensor) else torch.as_tensor(value) for value in arrays.values()]
        names = np.asarray(list(arrays))
        return (of_array("key", names), of_array("features", torch.stack(rows)))
    return tuple(column for name, value in values.items() for column in _of_value(name, value))


def _are_rows(tree: Mapping[Any, Any]) -> bool:
    """Say whether names stand for rows, and not for what the values are."""
    from repdiag.embeddings.sources.column_names import FEATURE_NAMES, is_label_name

    return not any(str(name).lower() in FEATURE_NAMES or is_label_name(str(name)) for name in tree)


def _of_value(name: str, value: Any) -> tuple[Column, ...]:
    if isinstance(value, Tensor | np.ndarray):
        if isinstance(value, Tensor) and value.layout != torch.strided:
            return (unreadable(name, f"sparse {tuple(value.shape)}", "it is sparse: call .to_dense() first"),)
        return (of_array(name, value),)
    if isinstance(value, Mapping):
        return tuple(
            column for inner, item in value.items() for column in _of_value(f"{name}/{inner}", plain_array(item))
        )
    called = value.name if isinstance(value, Placeholder) else type(value).__name__
    if isinstance(value, list | tuple) and value:
        return (unreadable(name, f"a list of {len(value)}", "its items are not of one kind and length"),)
    return (unreadable(name, f"a {called}", f"it is a {called}"),)
