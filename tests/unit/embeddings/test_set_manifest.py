"""What a stored set says of itself is under a digest: no bit of it can change unseen, and none is taken for another."""

import json
import logging
import random
import shutil

import pytest
import torch
from test_store_and_cache import equal, make

from repdiag.core.errors import StoreError
from repdiag.embeddings.cache import EmbeddingCache
from repdiag.embeddings.store import load_embedding_set, save_embedding_set

KEY, OTHER = EmbeddingCache.key({"weights": "w"}), EmbeddingCache.key({"weights": "v"})


def entry_of(cache, key):
    return cache.root / "embeddings" / key[:2] / key


def test_400_of_400_flipped_bits_of_the_manifest_are_found(tmp_path):
    path = save_embedding_set(make(), tmp_path / "set", key=KEY) / "manifest.json"
    data, chance, found = bytearray(path.read_bytes()), random.Random(0), 0
    for _ in range(400):
        place, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        data[place] ^= bit
        path.write_bytes(data)
        try:
            load_embedding_set(path.parent)
        except StoreError:
            found += 1
        data[place] ^= bit
    assert found == 400


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "[]",
        lambda text: "{}",
        lambda text: "[" * 100_000,
        lambda text: "",
        lambda text: text.replace('"format_version": 2', '"format_version": 99'),
        lambda text: text.replace('"format_version": 2', '"format_version": true'),
        lambda text: json.dumps({name: value for name, value in json.loads(text).items() if name != "arrays"}),
        lambda text: json.dumps({name: value for name, value in json.loads(text).items() if name != "digest"}),
        lambda text: json.dumps(json.loads(text) | {"sha256": {}}, indent=2),
        lambda text: text.replace('"a",\n    "b"', '"b",\n    "a"'),
        lambda text: json.dumps({"format_version": 1, "arrays": [[1]], "sha256": {}, "class_names": 3}),
    ],
)
def test_whatever_is_wrong_with_a_manifest_a_stored_set_names_it_and_the_cache_makes_it_again(tmp_path, damage):
    cache = EmbeddingCache(tmp_path)
    cache.get_or_make(KEY, make)
    path = entry_of(cache, KEY) / "manifest.json"
    changed = damage(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    with pytest.raises(StoreError):
        load_embedding_set(path.parent)
    calls = []
    assert equal(cache.get_or_make(KEY, lambda: calls.append(1) or make()), make())
    assert calls == [1]
    assert equal(cache.get_or_make(KEY, lambda: pytest.fail("must be cached")), make())


def test_an_entry_that_lies_under_another_key_is_made_again(tmp_path):
    cache = EmbeddingCache(tmp_path)
    cache.get_or_make(KEY, make)
    shutil.copytree(entry_of(cache, KEY), entry_of(cache, OTHER))
    found = cache.get_or_make(OTHER, lambda: make(1))
    assert torch.equal(found.features, make(1).features)


def test_the_first_format_is_read_with_a_note_and_cached_ones_are_made_again(tmp_path, caplog):
    cache = EmbeddingCache(tmp_path)
    cache.get_or_make(KEY, make)
    path = entry_of(cache, KEY) / "manifest.json"
    older = {name: value for name, value in json.loads(path.read_text()).items() if name not in ("digest", "key")}
    path.write_text(json.dumps(older | {"format_version": 1}))
    with caplog.at_level(logging.WARNING):
        assert equal(load_embedding_set(path.parent), make())
    assert "format 1" in caplog.text
    calls = []
    cache.get_or_make(KEY, lambda: calls.append(1) or make())
    assert calls == [1]
