"""Stored sets are verified on read; the cache survives damage and many writers without a lock."""

import errno
import multiprocessing
import os

import numpy as np
import pytest
import torch

from repdiag import EmbeddingSet, Provenance
from repdiag.core.errors import StoreError
from repdiag.embeddings.cache import EmbeddingCache
from repdiag.embeddings.store import load_embedding_set, save_embedding_set


def make(seed: int = 0) -> EmbeddingSet:
    generator = torch.Generator().manual_seed(seed)
    return EmbeddingSet(
        features=torch.randn(20, 8, generator=generator),
        projections=torch.randn(20, 4, generator=generator),
        labels=torch.arange(20) % 5,
        views=torch.randn(2, 20, 8, generator=generator),
        row_ids=np.array([f"class/{i:03d}.jpg" for i in range(20)]),
        class_names=("a", "b", "c", "d", "e"),
        provenance=Provenance(checkpoint="x", dataset="digits", views_seed=3),
    )


def equal(a: EmbeddingSet, b: EmbeddingSet) -> bool:
    same = all(torch.equal(getattr(a, name), getattr(b, name)) for name in a.available())
    return same and a.available() == b.available() and a.row_ids.tolist() == b.row_ids.tolist()


def test_round_trip(tmp_path):
    stored = save_embedding_set(make(), tmp_path / "set")
    loaded = load_embedding_set(stored)
    assert equal(loaded, make())
    assert loaded.class_names == make().class_names
    assert loaded.provenance == make().provenance


def test_every_flipped_byte_is_found(tmp_path):
    folder = save_embedding_set(make(), tmp_path / "set")
    for path in sorted(folder.iterdir()):
        if path.name == "manifest.json":
            continue
        data = bytearray(path.read_bytes())
        for place in range(0, len(data), max(1, len(data) // 7)):
            data[place] ^= 1
            path.write_bytes(data)
            with pytest.raises(StoreError, match="damaged"):
                load_embedding_set(folder)
            data[place] ^= 1
        path.write_bytes(data)
    assert equal(load_embedding_set(folder), make())


def test_a_full_disk_is_said_of_the_set_and_not_of_its_private_folder(tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="disk is full") as raised:
        save_embedding_set(make(), tmp_path / "set")
    assert raised.value.problem == f"could not write {tmp_path / 'set'}"
    assert list(tmp_path.iterdir()) == []


def test_saving_over_a_finished_set_keeps_it(tmp_path):
    save_embedding_set(make(), tmp_path / "set")
    save_embedding_set(make(), tmp_path / "set")
    assert [item.name for item in tmp_path.iterdir()] == ["set"]


def test_a_damaged_entry_is_made_again(tmp_path, caplog):
    cache, key = EmbeddingCache(tmp_path), EmbeddingCache.key({"weights": "w"})
    cache.get_or_make(key, make)
    (entry,) = tmp_path.glob("embeddings/*/*")
    (entry / "features.safetensors").write_bytes(b"")
    calls = []
    again = cache.get_or_make(key, lambda: calls.append(1) or make())
    assert calls == [1]
    assert equal(again, make())
    assert "damaged" in caplog.text
    assert equal(cache.get_or_make(key, lambda: pytest.fail("must be cached")), make())


def test_the_key_does_not_depend_on_the_order_of_its_parts():
    assert EmbeddingCache.key({"a": 1, "b": 2}) == EmbeddingCache.key({"b": 2, "a": 1})
    assert EmbeddingCache.key({"a": 1}) != EmbeddingCache.key({"a": 2})


def write_many(root: str, rounds: int) -> None:
    for number in range(rounds):
        seed = number % 3
        found = EmbeddingCache(root).get_or_make(EmbeddingCache.key({"seed": seed}), lambda seed=seed: make(seed))
        assert equal(found, make(seed))


def test_many_writers_of_one_key_never_read_a_wrong_set(tmp_path):
    from pathlib import Path

    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=write_many, args=(Path(tmp_path), 9)) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 6
    assert not list(tmp_path.rglob("*.tmp"))
