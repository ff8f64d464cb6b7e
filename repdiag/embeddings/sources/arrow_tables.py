"""Tables that pyarrow reads: parquet, Arrow and Feather files, JSON lines, frames; each column when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from repdiag.core.errors import DataError
from repdiag.embeddings.declared_sizes import check_parquet
from repdiag.embeddings.sources.contents import Column, Contents, Numbers, unreadable
from repdiag.embeddings.sources.struct_vectors import is_record_of_vectors, of_records

if TYPE_CHECKING:
    import pyarrow as pa

PARQUET_KINDS = (".parquet", ".pq")
ARROW_KINDS = (".arrow", ".feather", ".ipc")
JSON_KINDS = (".jsonl", ".ndjson", ".json")
_BYTES = (
    "bytes do not say of which numbers they are made: np.stack([np.frombuffer(v, 'float32') for v in frame['{name}']])"
)


def open_parquet(path: Path) -> Contents:
    """Return the columns of a parquet file; only those that are used are read."""
    import pyarrow.dataset as pads

    found = pads.dataset(path, format="parquet")
    # Those of a wide table are read one by one, and lie in memory together.
    check_parquet(path, [field.name for field in found.schema if _numbers_of(field.type) in ("float", "integer")])

    def column(name: str) -> pa.ChunkedArray:
        check_parquet(path, [name])
        return found.to_table(columns={name: pads.field(name)}).column(0)

    return of_schema(path.name, found.schema, column, rows=found.count_rows())


def open_arrow(path: Path) -> Contents:
    """Return the columns of an Arrow file or stream, or of a Feather file, mapped into memory."""
    return of_table(path.name, read_arrow(path))


def read_arrow(path: Path) -> pa.Table:
    """Return the table of an Arrow file, an Arrow stream or a Feather file."""
    import pyarrow as pa
    from pyarrow import feather

    with path.open("rb") as stream:
        start = stream.read(6)
    if start.startswith(b"FEA1"):
        return feather.read_table(path)
    source = pa.memory_map(str(path))
    return pa.ipc.open_file(source).read_all() if start == b"ARROW1" else pa.ipc.open_stream(source).read_all()


def open_json(path: Path) -> Contents:
    """Return the columns of JSON lines, of a list of records, or of a dictionary of lists."""
    import pyarrow as pa
    import pyarrow.json as pj

    with path.open("rb") as stream:
        start = stream.read(64).lstrip()
    if path.suffix.lower() != ".json" or (start[:1] == b"{" and _is_lines(path)):
        options = pj.ReadOptions(block_size=max(1 << 20, min(path.stat().st_size, 1 << 30)))
        return of_table(path.name, pj.read_json(path, read_options=options))
    content = json.loads(path.read_text("utf-8"))
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        content = content["data"]
    if isinstance(content, list) and content and all(isinstance(item, dict) for item in content):
        return of_table(path.name, pa.Table.from_pylist(content))
    if isinstance(content, list) and content and all(isinstance(item, list) for item in content):
        return of_table(path.name, pa.table({"features": content}))
    if isinstance(content, dict) and all(isinstance(item, list) for item in content.values()):
        return of_table(path.name, pa.table(content))
    if isinstance(content, dict) and content and all(isinstance(item, str | int) for item in content.values()):
        named = {"id": list(content), "label": [str(item) for item in content.values()]}
        return of_table(path.name, pa.table(named))
    if isinstance(content, dict) and all(isinstance(item, dict) for item in content.values()):
        return of_table(path.name, pa.Table.from_pylist([{"id": key, **item} for key, item in content.items()]))
    hint = "a list of records, a record a line, or a dictionary of lists of one length"
    raise DataError(f"no table found in {path.name}", found=f"a {type(content).__name__}", hint=hint)


def _is_lines(path: Path) -> bool:
    with path.open("rb") as stream:
        first, second = stream.readline().strip(), stream.readline().strip()
    return first.endswith(b"}") and second.startswith(b"{")


def of_table(name: str, table: pa.Table) -> Contents:
    """Return the columns of a table that is at hand."""
    return of_schema(name, table.schema, table.column, rows=table.num_rows)


def of_schema(name: str, schema: pa.Schema, column: Callable[[str], pa.ChunkedArray], *, rows: int | None) -> Contents:
    """Return the columns of a schema, each loaded by `column` when it is asked for."""
    named = _class_names(schema)
    columns = tuple(
        _of_classes(field, column, rows=rows, names=named[field.name])
        if field.name in named
        else _column(field, held, rows)
        for field, held in _flattened(schema, column)
    )
    return Contents(name=name, columns=columns, index=_only_numbers(schema), is_table=True)


def _flattened(
    fields: Iterable[pa.Field], column: Callable[[str], pa.ChunkedArray]
) -> Iterator[tuple[pa.Field, Callable[[str], pa.ChunkedArray]]]:
    """Yield the fields; those of a record (a payload, metadata) one by one, as record/field.

    Records that hold bytes are images, and those of Spark and Ray are vectors: they stay whole.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for field in fields:
        kind = field.type
        if not pa.types.is_struct(kind) or is_record_of_vectors(kind) or any(_is_bytes(one.type) for one in kind):
            yield field, column
            continue
        inner = [pa.field(f"{field.name}/{one.name}", one.type) for one in kind]

        def held(name: str, record: str = field.name) -> pa.ChunkedArray:
            return pc.struct_field(column(record), name.removeprefix(f"{record}/"))

        yield from _flattened(inner, held)


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names of classes that Hugging Face's datasets keeps beside columns of their numbers."""
    try:
        info = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = info["info"]["features"]
        named = {name: feature for name, feature in features.items() if feature.get("_type") == "ClassLabel"}
        return {name: [str(one) for one in feature["names"]] for name, feature in named.items() if feature.get("names")}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _of_classes(
    field: pa.Field, column: Callable[[str], pa.ChunkedArray], *, rows: int | None, names: list[str]
) -> Column:
    def load() -> Any:
        numbers = column(field.name).to_pylist()
        found = np.empty(len(numbers), dtype=object)
        found[:] = [names[number] if number is not None and 0 <= number < len(names) else None for number in numbers]
        return found

    return Column(name=field.name, numbers="text", axes=1, rows=rows, said=f"{len(names)} classes", load=load)


def _only_numbers(schema: pa.Schema) -> tuple[str, ...]:
    """Return the columns that pandas wrote a frame's index of numbers to: no dimension."""
    import pyarrow as pa

    named = (schema.pandas_metadata or {}).get("index_columns", [])
    columns = [name for name in named if isinstance(name, str) and name in schema.names]
    return tuple(name for name in columns if not pa.types.is_string(schema.field(name).type))


def _column(field: pa.Field, column: Callable[[str], pa.ChunkedArray], rows: int | None) -> Column:
    name = field.name
    kind, axes = _storage(field.type), 1
    said = str(field.type)
    if is_record_of_vectors(kind):
        return Column(
            name=name,
            numbers="float",
            axes=2,
            rows=rows,
            said="records of vectors",
            load=lambda: of_records(name, column(name)),
        )
    shape = _tensor_shape(field)
    while _is_list(kind):
        kind, axes = _storage(kind.value_type), axes + 1
    if shape is not None:
        axes = 1 + len(shape)
    numbers = _numbers_of(kind)
    if _is_bytes(kind):
        return unreadable(name, said, _BYTES.format(name=name))
    if numbers == "other" or (numbers == "text" and axes > 2):
        return unreadable(name, said, f"its type is {said}")
    several = axes == 2 and numbers in ("text", "integer")
    return Column(
        name=name,
        numbers=numbers,
        axes=axes,
        rows=rows,
        said=said,
        load=lambda: to_numpy(name, column(name), shape),
        sets=(lambda: [tuple(row or ()) for row in column(name).to_pylist()]) if several else None,
    )


def _storage(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa

    while isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _numbers_of(kind: pa.DataType) -> Numbers:
    import pyarrow as pa

    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "float"
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "integer"
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
    return "text" if text or str(kind) == "string_view" else "other"


def _tensor_shape(field: pa.Field) -> tuple[int, ...] | None:
    """Return the shape of a row of tensors that Arrow or Ray wrote flat; None for plain lists."""
    import pyarrow as pa

    if isinstance(field.type, pa.FixedShapeTensorType):
        return tuple(field.type.shape)
    extension = getattr(field.type, "extension_name", "")
    metadata: Mapping[bytes, bytes] = field.metadata or {}
    described: Any = metadata.get(b"ARROW:extension:metadata")
    if b"tensor" in metadata.get(b"ARROW:extension:name", b"") and described:
        return _shape_of(described)
    if "tensor" in extension:
        return _shape_of(field.type.__arrow_ext_serialize__())
    return None


def _shape_of(described: bytes) -> tuple[int, ...] | None:
    try:
        found = json.loads(described)
    except ValueError:
        return None
    shape = found.get("shape") if isinstance(found, dict) else found
    return tuple(int(size) for size in shape) if isinstance(shape, list) and shape else None


def to_numpy(name: str, column: pa.ChunkedArray, shape: tuple[int, ...] | None = None) -> Any:
    """Return a column as an array without a Python object for each number; rows without a value are masked."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _plain(column)
    if not _is_list(column.type):
        return _scalars(column)
    value_type = _storage(column.type.value_type)
    if pa.types.is_string(value_type) or pa.types.is_large_string(value_type):
        raise DataError(f"the column {name} is text", found=str(column.type))
    missing = pc.is_null(column).to_numpy()
    values, sizes = column, []
    while _is_list(values.type):
        lengths = np.unique(pc.list_value_length(values.drop_null()).to_numpy())
        if len(lengths) > 1:
            found = f"{int(missing.sum())} without a vector, lengths {lengths.tolist()[:5]}"
            raise DataError(f"the rows of {name} are not of one length", found=found)
        sizes.append(int(lengths[0]) if len(lengths) else 0)
        values = _plain(pc.list_flatten(values.drop_null()))
    given = _numbers(values).reshape(len(column) - int(missing.sum()), *(shape or sizes))
    if not missing.any():
        return given
    whole = np.zeros((len(column), *given.shape[1:]), dtype=given.dtype)
    whole[~missing] = given
    return np.ma.MaskedArray(whole, mask=np.broadcast_to(missing.reshape(-1, *[1] * (given.ndim - 1)), whole.shape))


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of a plain type: what extension types store."""
    import pyarrow as pa

    while isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], type=column.type.storage_type)
    return column


def _numbers(values: pa.ChunkedArray) -> Any:
    import pyarrow as pa

    return values.cast(pa.float64()).to_numpy() if pa.types.is_decimal(values.type) else values.to_numpy()


def _scalars(column: pa.ChunkedArray) -> Any:
    """Return numbers as numbers, NaN where one is missing, and text as objects, None where one is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if _numbers_of(column.type) == "text":
        return np.asarray([*column.to_pylist(), ""], dtype=object)[:-1]
    if column.null_count and pa.types.is_integer(column.type):
        largest = pc.max(pc.abs(column)).as_py() or 0
        if largest > 2**53:
            return np.asarray([*column.to_pylist(), ""], dtype=object)[:-1]
        return column.cast(pa.float64()).to_numpy()
    if column.null_count and pa.types.is_boolean(column.type):
        return column.cast(pa.int8()).cast(pa.float64()).to_numpy()
    return _numbers(column)
