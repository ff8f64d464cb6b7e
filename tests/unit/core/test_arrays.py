"""Whatever holds numbers becomes a tensor; what holds none is named."""

import re

import numpy as np
import pandas as pd
import pytest
import torch

from repdiag.core.arrays import to_class_names, to_class_numbers, to_floating, to_tensor
from repdiag.core.errors import MetricError

ROWS = np.arange(12, dtype=np.float64).reshape(4, 3) - 5.0
TAKEN = {
    "array": ROWS,
    "list": ROWS.tolist(),
    "frame": pd.DataFrame(ROWS),
    "big-endian": ROWS.astype(">f8"),
    "long double": ROWS.astype(np.longdouble),
    "object": ROWS.astype(object),
    "negative strides": ROWS[::-1, ::-1][::-1, ::-1],
    "not contiguous": np.asfortranarray(ROWS),
    "masked nowhere": np.ma.masked_array(ROWS),
    "tensor with gradient": torch.tensor(ROWS, requires_grad=True),
}
REFUSED = {
    "text": (ROWS.astype(str), "found: text"),
    "objects": (np.array([{}, {}]), "objects of type dict"),
    "missing": (np.array([[1.0, None]], dtype=object), "objects of type NoneType, float"),
    "masked": (np.ma.masked_greater(ROWS, 4.0), "masked values\n  found: in 1 rows"),
    "unlike lengths": ([[1.0, 2.0], [1.0]], "equal length"),
    "sparse": (torch.tensor(ROWS).to_sparse(), "to_dense"),
    "dates": (np.array(["2020-01-01"], dtype="datetime64[D]"), "dtype datetime64"),
    "nothing": (None, "missing"),
}


@pytest.mark.parametrize("kind", TAKEN)
def test_what_holds_numbers_is_taken(kind: str) -> None:
    found = to_tensor("features", TAKEN[kind])
    assert found.tolist() == ROWS.tolist()
    assert not found.requires_grad


@pytest.mark.parametrize("kind", REFUSED)
def test_what_holds_none_is_named(kind: str) -> None:
    value, message = REFUSED[kind]
    with pytest.raises(MetricError, match=re.escape(message)):
        to_tensor("features", value)


def test_arrays_that_may_not_be_written_are_shared_without_a_warning() -> None:
    rows = ROWS.copy()
    rows.setflags(write=False)
    assert to_tensor("features", rows).data_ptr() == rows.ctypes.data


def test_vectors_of_whole_numbers_keep_them() -> None:
    large = np.array([[2**40 + 1, -3]])
    for values, dtype in (
        (large, torch.float64),
        (ROWS.astype(np.int8), torch.float32),
        (ROWS > 0, torch.float32),
        (torch.tensor(ROWS).to(torch.float8_e4m3fn), torch.float32),
        (torch.tensor(ROWS).bfloat16(), torch.bfloat16),
    ):
        found = to_floating("features", values)
        assert found.dtype == dtype
        assert found.tolist() == (values if isinstance(values, torch.Tensor) else np.asarray(values, float)).tolist()
    with pytest.raises(MetricError, match="real numbers"):
        to_floating("features", ROWS.astype(complex))


def test_labels_of_any_number_type_are_whole_numbers() -> None:
    for values in ([0.0, 3.0], np.array([0, 3], dtype=np.uint16), torch.tensor([0, 3], dtype=torch.int8)):
        found = to_class_numbers("labels", values)
        assert (found.tolist(), found.dtype) == ([0, 3], torch.int64)
    assert to_class_names("labels", np.array([b"caf\xc3\xa9", b"a"])).tolist() == ["caf\u00e9", "a"]
