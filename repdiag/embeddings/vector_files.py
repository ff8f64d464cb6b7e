"""Files of vectors and of labels: arrays by name out of npz, npy, parquet, safetensors, pt; labels out of text too."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from repdiag.core.errors import CheckpointError, DataError
from repdiag.embeddings.declared_sizes import check_npz, check_parquet

if TYPE_CHECKING:
    import pyarrow as pa

FILE_KINDS = (".npz", ".npy", ".parquet", ".safetensors", ".pt", ".pth")
TEXT_KINDS = (".txt", ".csv", ".tsv")
FEATURE_NAMES = (
    "features",
    "embeddings",
    "embedding",
    "vectors",
    "x",
    "arr_0",
)  # the last is what np.savez calls an array without a name
LABEL_NAMES = ("labels", "label", "targets", "target", "y", "class", "classes", "class_name", "category")
ROW_NAMES = ("row_ids", "row_id", "ids", "id", "path", "filename", "file")
_VECTOR_COLUMNS = "vectors are a list column named embedding, or a column of floating-point numbers for each dimension"

Arrays = dict[str, Any]


def read_arrays(path: Path) -> Arrays:
    """Return the arrays of a file by name, in lower case; nothing in it is executed."""
    kind = path.suffix.lower()
    try:
        if kind == ".npy":
            # Mapped into memory, so that a file may be larger than it; "c": changes would stay in memory.
            return {"features": np.load(path, mmap_mode="c", allow_pickle=False)}
        if kind == ".npz":
            check_npz(path)
            with np.load(path, allow_pickle=False) as archive:
                return {name.lower(): archive[name] for name in archive.files}
        if kind == ".safetensors":
            from safetensors.torch import load_file

            return {name.lower(): value for name, value in load_file(path).items()}
        return _read_torch(path) if kind in {".pt", ".pth"} else _read_parquet(path)
    except DataError:
        raise
    except CheckpointError as error:
        raise DataError(f"cannot read {path.name}", found=error.problem, hint=error.hint) from error
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"cannot read {path.name}", found=str(error), hint=_hint(error)) from error
    except Exception as error:  # safetensors and pyarrow raise kinds of their own
        said = f"{type(error).__name__}: {error}"
        raise DataError(f"cannot read {path.name}", found=said, hint=_hint(error)) from error


def _hint(error: Exception) -> str:
    if "object" in str(error).lower():
        return "save an array of numbers: objects would have to be unpickled, which can run code"
    return "the file may be cut off or of another kind than its name says: write or copy it again"


def pick(arrays: Arrays, names: tuple[str, ...]) -> Any:
    """Return the array under the first of these names, None where there is none."""
    return next((arrays[name] for name in names if name in arrays), None)


def pick_labels(arrays: Arrays) -> Any:
    """Return the array that is named as labels are, or the second of two that np.savez named itself; None without."""
    second: Any = arrays.get("arr_1")
    unnamed = "arr_0" in arrays and getattr(second, "ndim", 0) == 1 and second.dtype.kind in "iubUS"
    return second if unnamed else pick(arrays, LABEL_NAMES)


def pick_features(arrays: Arrays, path: Path) -> Any:
    """Return the array that is named as vectors are."""
    named = pick(arrays, FEATURE_NAMES)
    if named is not None:
        return named
    if path.suffix.lower() == ".parquet":
        raise DataError(f"no vectors found in {path.name}", found=_columns_of(path), hint=_VECTOR_COLUMNS)
    found = ", ".join(f"{name} {tuple(getattr(value, 'shape', ()))}" for name, value in arrays.items())
    raise DataError(f"no vectors found in {path.name}", found=found or "nothing", hint="name them features")


def read_labels(path: Path) -> Any:
    """Return one label a row: a column of a text file, or the labels of a file of arrays."""
    if not path.is_file():
        raise DataError(f"no such file: {path}")
    if path.suffix.lower() in TEXT_KINDS:
        return _labels_from_text(path)
    if path.suffix.lower() not in FILE_KINDS:
        hint = f"known kinds: {', '.join(TEXT_KINDS + FILE_KINDS)}"
        raise DataError(f"cannot read labels from {path.name}", hint=hint)
    arrays = read_arrays(path)
    found = pick(arrays, (*LABEL_NAMES, "features"))
    if found is None and path.suffix.lower() == ".parquet":
        found = _only_column(path)
    if found is None and len(arrays) == 1:
        found = next(iter(arrays.values()))
    if found is None:
        raise DataError(
            f"no labels found in {path.name}", found=", ".join(arrays) or "nothing", hint="name them labels"
        )
    return found


def _labels_from_text(path: Path) -> Any:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name} is not UTF-8 text", found=str(error)) from error
    if path.suffix.lower() == ".txt":
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return _numbers_where_all_are(lines if len(lines) != 1 else lines[0].replace(",", " ").split())
    table = [row for row in csv.reader(text.splitlines(), delimiter=_delimiter(path, text)) if row]
    if not table:
        raise DataError(f"{path.name} is empty")
    heading = [cell.strip().lower() for cell in table[0]]
    column = next((heading.index(name) for name in LABEL_NAMES if name in heading), None)
    if column is not None:
        table = table[1:]
    elif len(heading) == 1:
        column = 0
    else:
        raise DataError(f"no column of {path.name} is named labels", found=", ".join(table[0]), hint="name one labels")
    short = [number for number, row in enumerate(table) if len(row) <= column]
    if short:
        raise DataError(
            f"{path.name} has lines without a label", found=f"{len(short)}, the first is line {short[0] + 1}"
        )
    return _numbers_where_all_are([row[column].strip() for row in table])


def _delimiter(path: Path, text: str) -> str:
    """Return what separates cells: spreadsheets write semicolons where a comma is the decimal point."""
    first = text.partition("\n")[0]
    return "\t" if path.suffix.lower() == ".tsv" else ";" if ";" in first and "," not in first else ","


def _numbers_where_all_are(labels: list[str]) -> Any:
    values = np.asarray(labels)
    whole = bool(labels) and all(label.removeprefix("-").isdecimal() and len(label) < 18 for label in labels)
    return values.astype(np.int64) if whole else values


def _read_torch(path: Path) -> Arrays:
    from torch import Tensor

    from repdiag.checkpoints.reading.safe_load import read

    payload = read(path).tree
    if isinstance(payload, Tensor):
        return {"features": payload}
    if not isinstance(payload, Mapping):
        found = f"a {type(payload).__name__}"
        raise DataError(f"{path.name} holds neither a tensor nor named tensors", found=found, hint="name them features")
    return {str(name).lower(): value for name, value in payload.items() if isinstance(value, Tensor | list)}


def _read_parquet(path: Path) -> Arrays:
    """Read either one list column of vectors or one numeric column for each dimension."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_parquet(path)
    table = pq.read_table(path)
    arrays: Arrays = {}
    numeric: list[str] = []
    index = _index_columns(table.schema)
    for field in table.schema:
        name, column = field.name.lower(), table.column(field.name)
        if _is_list(field.type):
            arrays[name] = _matrix(name, column)
        elif name in LABEL_NAMES or name in ROW_NAMES:
            arrays[name] = np.asarray(column.to_pylist())
        elif pa.types.is_floating(field.type) and field.name not in index:
            numeric.append(field.name)
    if numeric and pick(arrays, FEATURE_NAMES) is None:
        arrays["features"] = np.stack([table.column(name).to_numpy() for name in numeric], axis=1)
    return arrays


def _columns_of(path: Path, *, shown: int = 8) -> str:
    import pyarrow.parquet as pq

    columns = [f"{field.name} {field.type}" for field in pq.read_schema(path)]
    return ", ".join(columns[:shown]) + (", ..." if len(columns) > shown else "") or "nothing"


def _index_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that pandas wrote a frame's index to: numbers of rows, no dimension."""
    named = (schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in named if isinstance(name, str)]


def _only_column(path: Path) -> Any:
    """Return the only column of a parquet file, whatever its name; None if there are more, or none."""
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    names = [name for name in schema.names if name not in _index_columns(schema)]
    return np.asarray(pq.read_table(path, columns=names).column(0).to_pylist()) if len(names) == 1 else None


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _matrix(name: str, column: pa.ChunkedArray) -> Any:
    """Return a list column as [N, D] without a Python object for each number."""
    import pyarrow.compute as pc

    lengths = pc.list_value_length(column).to_numpy()
    if column.null_count or len(np.unique(lengths)) > 1:
        found = f"{column.null_count} without a vector, lengths {np.unique(lengths[~np.isnan(lengths)]).tolist()[:5]}"
        raise DataError(f"the rows of {name} are not of one length", found=found)
    values = pc.list_flatten(column).to_numpy()
    return values.reshape(len(column), -1)
