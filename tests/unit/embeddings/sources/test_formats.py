"""Each kind of container gives the vectors, labels and names that it holds; what it cannot give is said."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import fsspec
import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
import scipy.io
import torch
import zarr

from repdiag.core.errors import DataError, DependencyError, RepdiagError
from repdiag.embeddings.as_embedding_set import as_embedding_set
from repdiag.embeddings.sources.read_vectors import bank_beside
from repdiag.embeddings.sources.recognise_vectors import means_vectors

ROWS = np.random.default_rng(0).normal(size=(24, 5)).astype(np.float32)
NAMES = np.array(["cat", "dog", "fox"])[np.arange(24) % 3]
IDS = np.array([f"img_{n:02d}.png" for n in range(24)])
TABLE = pd.DataFrame({"id": IDS, "label": NAMES, "openai": list(ROWS)})


def arrow_stream(path: Path) -> None:
    table = pa.Table.from_pandas(TABLE)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["val/emb"], file["val/id"], file["val/label"] = ROWS, IDS.astype("S"), NAMES.astype("S")


def h5ad(path: Path) -> None:
    """Write the layout of an AnnData file: obs with an index and a categorical, obsm, X."""
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        file["X"], file["obsm/X_scVI"] = np.abs(ROWS), ROWS
        obs = file.create_group("obs")
        obs.attrs["_index"] = "_index"
        obs.create_dataset("_index", data=IDS.tolist(), dtype=text)
        obs.create_dataset("label/categories", data=["cat", "dog", "fox"], dtype=text)
        obs["label/codes"] = (np.arange(24) % 3).astype(np.int8)


def zarr_group(path: Path) -> None:
    group = zarr.open_group(str(path), mode="w")
    group["z"], group["label"] = ROWS, (np.arange(24) % 3)
    group["id"] = np.arange(24)[::-1].copy()


def word_vectors(path: Path) -> None:
    lines = [f"{name} {' '.join(map(repr, row.tolist()))}" for name, row in zip(IDS, ROWS, strict=True)]
    path.write_text("24 5\n" + "\n".join(lines))


def saved_dataset(path: Path) -> None:
    """Write what `save_to_disk` of Hugging Face's datasets writes, with the names of a ClassLabel in the schema."""
    path.mkdir()
    feature = {"_type": "ClassLabel", "names": ["cat", "dog", "fox"]}
    described = json.dumps({"info": {"features": {"label": feature}}})
    table = pa.table({"id": IDS, "label": np.arange(24) % 3, "emb": pa.array(list(ROWS))})
    table = table.replace_schema_metadata({"huggingface": described})
    for place, part in enumerate((table.slice(0, 10), table.slice(10))):
        name = str(path / f"data-{place}.arrow")
        with pa.OSFile(name, "wb") as sink, pa.ipc.new_stream(sink, part.schema) as writer:
            writer.write_table(part)
    files = [{"filename": f"data-{place}.arrow"} for place in range(2)]
    (path / "state.json").write_text(json.dumps({"_data_files": files}))


def ray_folder(path: Path) -> None:
    """Write parquet parts with the tensor extension of Ray Data, whose type is not known here."""
    path.mkdir()
    marks = {b"ARROW:extension:name": b"ray.data.arrow_tensor", b"ARROW:extension:metadata": b"[5]"}
    emb = pa.field("emb", pa.list_(pa.float32()), metadata=marks)
    schema = pa.schema([pa.field("path", pa.string()), pa.field("label", pa.string()), emb])
    for place, rows in enumerate((slice(0, 2), slice(2, 24))):
        columns = [pa.array(IDS[rows]), pa.array(NAMES[rows]), pa.array(list(ROWS[rows]), pa.list_(pa.float32()))]
        pq.write_table(pa.table(columns, schema=schema), path / f"8{place}_000000_00000{place}.parquet")


def spark_folder(path: Path) -> None:
    """Write the records of Spark ML's vectors: dense rows, and sparse ones of the places that are not zero."""
    kept = [np.flatnonzero(row) if n % 2 else None for n, row in enumerate(ROWS)]
    vectors = [
        {"type": 1, "size": None, "indices": None, "values": row.tolist()}
        if places is None
        else {"type": 0, "size": 5, "indices": places.tolist(), "values": row[places].tolist()}
        for row, places in zip(ROWS, kept, strict=True)
    ]
    fields = {"type": pa.int8(), "size": pa.int32(), "indices": pa.list_(pa.int32()), "values": pa.list_(pa.float64())}
    path.mkdir()
    table = pa.table({"id": IDS, "label": NAMES, "features": pa.array(vectors, pa.struct(fields))})
    pq.write_table(table, path / "part-00000-c000.snappy.parquet")
    (path / "_SUCCESS").touch()


def ray_records(path: Path) -> None:
    """Write the records of tensors that Ray Data writes where their shapes could differ."""
    kind = pa.struct({"data": pa.list_(pa.float32()), "shape": pa.list_(pa.int64())})
    emb = pa.array([{"data": row.tolist(), "shape": [5]} for row in ROWS], kind)
    path.mkdir()
    pq.write_table(pa.table({"path": IDS, "label": NAMES, "emb": emb}), path / "2_000000_000000.parquet")


def records(path: Path) -> None:
    torch.save([{"id": i, "emb": torch.tensor(v), "label": n} for i, v, n in zip(IDS, ROWS, NAMES, strict=True)], path)


KINDS: dict[str, Callable[[Path], object]] = {
    "a.parquet": TABLE.to_parquet,
    "a.jsonl": lambda path: TABLE.to_json(path, orient="records", lines=True, double_precision=15),
    "a.json": lambda path: TABLE.to_json(path, orient="records", double_precision=15),
    "a.feather": lambda path: pyarrow.feather.write_feather(TABLE, str(path)),
    "a.arrow": arrow_stream,
    "a.tsv": lambda path: (
        TABLE.drop(columns="openai")
        .assign(**dict(zip("12345", ROWS.T, strict=True)))
        .to_csv(path, sep="\t", index=False)
    ),
    "a.h5": hdf5,
    "a.h5ad": h5ad,
    "saved": saved_dataset,
    "ray": ray_folder,
    "ray records": ray_records,
    "spark": spark_folder,
    "named.pt": lambda path: torch.save({"emb": ROWS, "label": list(NAMES), "id": IDS}, path),
    "records.pt": records,
    "a.pkl": lambda path: path.write_bytes(pickle.dumps({"emb": ROWS, "y": NAMES, "ids": IDS})),
    "b.pkl": lambda path: path.write_bytes(pickle.dumps({"emb": ROWS, "y": NAMES.tolist(), "ids": IDS}, protocol=2)),
}


@pytest.mark.parametrize("name", KINDS)
def test_vectors_labels_and_names_of_every_kind(tmp_path: Path, name: str) -> None:
    KINDS[name](tmp_path / name)
    found = as_embedding_set(tmp_path / name)
    assert np.allclose(found.features.float().numpy(), ROWS, atol=1e-6)
    assert [found.class_names[label] for label in found.labels.tolist()] == NAMES.tolist()
    assert found.row_ids.tolist() == IDS.tolist()
    assert means_vectors(tmp_path / name) or name.endswith((".pt", ".pkl", ".json"))


def test_arrays_without_labels(tmp_path: Path) -> None:
    vectors = b"".join(struct.pack("<i5f", 5, *row) for row in ROWS.tolist())
    (tmp_path / "a.fvecs").write_bytes(vectors)
    scipy.io.savemat(tmp_path / "a.mat", {"emb": ROWS, "label": np.arange(24) % 3})
    torch.save({name: torch.tensor(row) for name, row in zip(IDS, ROWS, strict=True)}, tmp_path / "by_name.pt")
    torch.save((torch.tensor(ROWS), torch.arange(24) % 3), tmp_path / "pair.pt")
    word_vectors(tmp_path / "a.txt")
    zarr_group(tmp_path / "a.zarr")
    for name in ("a.fvecs", "a.mat", "by_name.pt", "pair.pt", "a.txt", "a.zarr"):
        found = as_embedding_set(tmp_path / name)
        assert np.allclose(found.features.numpy(), ROWS, atol=1e-6), name
        if name in ("by_name.pt", "a.txt"):
            assert found.row_ids.tolist() == IDS.tolist()
        if name in ("a.mat", "pair.pt", "a.zarr"):
            assert found.labels.tolist() == (np.arange(24) % 3).tolist()
    (tmp_path / "a.fvecs").write_bytes(vectors[:-3])
    with pytest.raises(DataError, match="damaged"):
        as_embedding_set(tmp_path / "a.fvecs")


def test_the_projectors_pair_and_a_matrix_with_labels_in_it(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "tensors.tsv", ROWS, delimiter="\t")
    (tmp_path / "metadata.tsv").write_text("id\tclass\n" + "".join(f"{n}\t{c}\n" for n, c in enumerate(NAMES)))
    found = as_embedding_set(tmp_path / "tensors.tsv", labels=tmp_path / "metadata.tsv")
    assert np.allclose(found.features.numpy(), ROWS)
    assert [found.class_names[label] for label in found.labels.tolist()] == NAMES.tolist()
    np.savetxt(tmp_path / "both.csv", np.c_[np.arange(24) % 3, ROWS], delimiter=",")
    found = as_embedding_set(tmp_path / "both.csv", label_column="column 1")
    assert np.allclose(found.features.numpy(), ROWS)
    assert found.labels.tolist() == (np.arange(24) % 3).tolist()


def test_names_beside_labels_in_plain_lines_and_json(tmp_path: Path) -> None:
    order = np.random.default_rng(1).permutation(24)
    pairs = list(zip(IDS[order].tolist(), NAMES[order].tolist(), strict=True))
    (tmp_path / "l.txt").write_text("".join(f"val/{name} {label}\n" for name, label in pairs))
    (tmp_path / "l.json").write_text(json.dumps(dict(pairs)))
    for name in ("l.txt", "l.json"):
        found = as_embedding_set({"features": ROWS, "id": IDS}, labels=tmp_path / name)
        assert [found.class_names[label] for label in found.labels.tolist()] == NAMES.tolist()


def test_what_dino_dumps_is_two_splits(tmp_path: Path) -> None:
    for split, scale in (("train", 2.0), ("test", 1.0)):
        torch.save(torch.tensor(ROWS * scale), tmp_path / f"{split}feat.pth")
        torch.save(torch.arange(24) % 3, tmp_path / f"{split}labels.pth")
    assert means_vectors(tmp_path)
    found, bank = as_embedding_set(tmp_path), bank_beside(tmp_path)
    assert found.features.tolist() == ROWS.tolist()
    assert bank.features.tolist() == (ROWS * 2.0).tolist()
    assert found.labels.tolist() == bank.labels.tolist() == (np.arange(24) % 3).tolist()


def test_clip_retrievals_folder_takes_its_metadata_along(tmp_path: Path) -> None:
    for folder in ("img_emb", "metadata"):
        (tmp_path / folder).mkdir()
    for place, rows in enumerate((slice(0, 9), slice(9, 24))):
        np.save(tmp_path / f"img_emb/img_emb_{place}.npy", ROWS[rows])
        frame = pd.DataFrame({"image_path": IDS[rows], "caption": NAMES[rows]})
        frame.to_parquet(tmp_path / f"metadata/metadata_{place}.parquet")
    found = as_embedding_set(tmp_path, label_column="caption")
    assert found.features.tolist() == ROWS.tolist()
    assert [found.class_names[label] for label in found.labels.tolist()] == NAMES.tolist()
    assert found.row_ids.tolist() == IDS.tolist()
    (tmp_path / "text_emb").mkdir()
    np.save(tmp_path / "text_emb/text_emb_0.npy", ROWS)
    with pytest.raises(DataError, match=r"img_emb[\s\S]*text_emb[\s\S]*--column"):
        as_embedding_set(tmp_path)


def test_folders_named_after_a_column_are_that_column(tmp_path: Path) -> None:
    for name in ("cat", "dog", "fox"):
        folder = tmp_path / f"label={name}"
        folder.mkdir()
        TABLE[name == NAMES][["id", "openai"]].to_parquet(folder / "part-00000-c000.snappy.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    found = as_embedding_set(tmp_path)
    named = dict(zip(found.row_ids.tolist(), found.labels.tolist(), strict=True))
    assert {name: found.class_names[label] for name, label in named.items()} == dict(zip(IDS, NAMES, strict=True))


@pytest.mark.parametrize("where", ["v/part-*.parquet", "v", "v/part-0.parquet"])
def test_addresses_are_read_by_fsspec(where: str) -> None:
    system = fsspec.filesystem("memory")
    for place, rows in enumerate((slice(0, 9), slice(9, 24))):
        content = BytesIO()
        TABLE[rows].to_parquet(content)
        system.pipe(f"/v/part-{place}.parquet", content.getvalue())
    found = as_embedding_set(f"memory://{where}")
    whole = not where.endswith("0.parquet")
    assert found.features.tolist() == (ROWS if whole else ROWS[:9]).tolist()
    assert found.row_ids.tolist() == (IDS if whole else IDS[:9]).tolist()


def test_an_address_that_needs_a_package_names_it() -> None:
    with pytest.raises(DependencyError, match="pip install s3fs"):
        as_embedding_set("s3://bucket/a.parquet")


def test_code_in_a_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(RepdiagError, match=r"cannot read a\.pkl[\s\S]*attack"):
        as_embedding_set(tmp_path / "a.pkl")


@pytest.mark.parametrize("name", ["a.tfrecord", "a.joblib", "a.xlsx"])
def test_a_kind_that_is_not_read_comes_with_a_recipe(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"cannot read vectors[\s\S]*(np\.savez|CSV)"):
        as_embedding_set(tmp_path / name)


def test_vectors_in_records_of_unlike_length_are_refused(tmp_path: Path) -> None:
    kind = pa.struct({"data": pa.list_(pa.float32()), "shape": pa.list_(pa.int64())})
    for rows, said in (([([1.0, 2.0], [2]), ([3.0], [1])], "not of one length"), ([([1.0], [1, 1])] * 2, "axes a row")):
        emb = pa.array([{"data": data, "shape": shape} for data, shape in rows], kind)
        pq.write_table(pa.table({"emb": emb}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match=said):
            as_embedding_set(tmp_path / "a.parquet")
    missing = pa.array([{"data": [1.0, 2.0], "shape": [2]}, None, {"data": [3.0, 4.0], "shape": [2]}], kind)
    pq.write_table(pa.table({"emb": missing}), tmp_path / "a.parquet")
    found = as_embedding_set(tmp_path / "a.parquet")
    assert found.features.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert "1 row was left out, 1 without a vector: 1." in found.provenance.reading.notes


def test_labels_in_a_payload_are_read(tmp_path: Path) -> None:
    """Exports of vector databases keep what describes a row in a record of its own."""
    points = [
        {"id": n, "vector": row.tolist(), "payload": {"label": name, "shelf": {"row": n}}}
        for n, (row, name) in enumerate(zip(ROWS, NAMES, strict=True))
    ]
    (tmp_path / "points.json").write_text(json.dumps(points))
    found = as_embedding_set(tmp_path / "points.json")
    assert [found.class_names[label] for label in found.labels.tolist()] == NAMES.tolist()
    assert "payload/shelf/row" in " ".join(found.provenance.reading.notes)


def test_a_number_of_the_class_at_the_end_of_each_line_is_no_dimension(tmp_path: Path) -> None:
    classes = np.arange(len(ROWS)) % 3
    np.savetxt(tmp_path / "rows.txt", np.c_[ROWS, classes], fmt="%.6f")
    found = as_embedding_set(tmp_path / "rows.txt")
    assert found.features.shape == ROWS.shape
    column = f"column {ROWS.shape[1] + 1}"
    assert column in " ".join(found.provenance.reading.notes)
    labelled = as_embedding_set(tmp_path / "rows.txt", label_column=column)
    assert labelled.labels.tolist() == classes.tolist()
