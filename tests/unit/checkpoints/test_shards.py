"""Sharded safetensors: read as the whole file is, and refused wherever index and shards do not say the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from repdiag.checkpoints.inspect import inspect_checkpoint
from repdiag.checkpoints.load import load_encoder
from repdiag.checkpoints.reading.safe_load import read
from repdiag.checkpoints.reading.shards import INDEX_NAME, sha256_of_weights
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints.families import vit

FILES = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
STATE = {"a": torch.arange(6.0), "b": torch.ones(2, 2), "c": torch.zeros(3, dtype=torch.half)}


def written(folder: Path, state: dict[str, Tensor]) -> dict[str, Any]:
    """Write a state dict as two shards and return the content of its index."""
    names = list(state)
    parts = (names[: len(names) // 2], names[len(names) // 2 :])
    for file, part in zip(FILES, parts, strict=True):
        save_file({name: state[name] for name in part}, folder / file, metadata={"format": "pt"})
    total = sum(value.numel() * value.element_size() for value in state.values())
    placed = {name: file for file, part in zip(FILES, parts, strict=True) for name in part}
    index = {"metadata": {"total_size": total}, "weight_map": placed}
    (folder / INDEX_NAME).write_text(json.dumps(index))
    return index


def test_the_folder_and_its_index_are_the_network(tmp_path: Path) -> None:
    network = vit()
    written(tmp_path, network.state_dict())
    image = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for path in (tmp_path, tmp_path / INDEX_NAME):
        encoder = load_encoder(path)
        assert torch.allclose(encoder(image), network(image), atol=1e-5)
    assert inspect_checkpoint(tmp_path).bytes == sum((tmp_path / file).stat().st_size for file in FILES)
    before = encoder.info.sha256
    assert before == sha256_of_weights(tmp_path / INDEX_NAME)
    with pytest.raises(CheckpointError, match="one of 2 shards"):
        load_encoder(tmp_path / FILES[0])
    (tmp_path / FILES[1]).write_bytes((tmp_path / FILES[1]).read_bytes()[:-4] + b"\0\0\0\0")
    assert load_encoder(tmp_path).info.sha256 != before


def without_a_shard(folder: Path, index: dict[str, Any]) -> None:
    (folder / FILES[1]).unlink()


def with_a_shard_left_out(folder: Path, index: dict[str, Any]) -> None:
    index["weight_map"] = {"a": FILES[0]}
    index["metadata"] = {}


def with_a_name_that_no_shard_has(folder: Path, index: dict[str, Any]) -> None:
    index["weight_map"]["d"] = FILES[0]


def with_a_name_in_two_shards(folder: Path, index: dict[str, Any]) -> None:
    save_file({"a": STATE["a"], "b": STATE["b"], "c": STATE["c"]}, folder / FILES[1])


def with_another_total(folder: Path, index: dict[str, Any]) -> None:
    index["metadata"]["total_size"] += 1


def with_a_path_out_of_the_folder(folder: Path, index: dict[str, Any]) -> None:
    index["weight_map"]["a"] = f"../{folder.name}/{FILES[0]}"


def with_a_pickle_as_a_shard(folder: Path, index: dict[str, Any]) -> None:
    index["weight_map"]["a"] = "pytorch_model.bin"


def with_no_map(folder: Path, index: dict[str, Any]) -> None:
    index["weight_map"] = {"a": 3}


def with_a_total_that_is_no_number(folder: Path, index: dict[str, Any]) -> None:
    index["metadata"]["total_size"] = float("inf")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_a_shard, "missing"),
        (with_a_shard_left_out, "leaves out shards"),
        (with_a_name_that_no_shard_has, "lacks tensors"),
        (with_a_name_in_two_shards, "places elsewhere"),
        (with_another_total, "do not add up"),
        (with_a_path_out_of_the_folder, "not a shard next to it"),
        (with_a_pickle_as_a_shard, "not a shard next to it"),
        (with_no_map, "not a readable index"),
        (with_a_total_that_is_no_number, "not a readable index"),
    ],
)
def test_what_does_not_agree_is_refused(
    change: Callable[[Path, dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    index = written(tmp_path, STATE)
    change(tmp_path, index)
    (tmp_path / INDEX_NAME).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path)


@pytest.mark.parametrize("text", ['{"weight_map": {"a": "x", "a": "y"}}', "[" * 10**5, "[1]", "\udcff"])
def test_an_index_that_cannot_be_trusted_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / INDEX_NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match="not a readable index"):
        read(tmp_path)
