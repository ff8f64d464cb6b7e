"""The native format: readable without code, and no flipped bit goes unnoticed."""

import random

import pytest
import torch

from repdiag.checkpoints.own.native import payload_digest, read_native, write_native
from repdiag.core.errors import CheckpointError


def payload():
    return {
        "backbone": {"weight": torch.arange(6.0).view(2, 3), "half": torch.ones(3, dtype=torch.bfloat16)},
        "optimizer": {"state": {0: {"momentum_buffer": torch.ones(2)}}, "param_groups": [{"lr": 0.1, "params": [0]}]},
        "progress": '{"step": 3}',
        "image_size": 16,
    }


def test_round_trip_and_plain_loading(tmp_path):
    digest = write_native(tmp_path / "a.pt", payload())
    found = read_native(tmp_path / "a.pt")
    assert found["digest"] == digest == torch.load(tmp_path / "a.pt", weights_only=True)["digest"]
    assert torch.equal(found["backbone"]["weight"], payload()["backbone"]["weight"])
    assert found["optimizer"]["param_groups"] == [{"lr": 0.1, "params": [0]}]


def test_the_digest_sees_values_names_dtypes_and_shapes_but_not_order():
    base = payload_digest(payload())
    assert payload_digest(dict(reversed(payload().items()))) == base
    changed = []
    for edit in (
        lambda p: p["backbone"]["weight"].add_(1e-6),
        lambda p: p["backbone"].update(weight=p["backbone"]["weight"].view(3, 2)),
        lambda p: p["backbone"].update(half=p["backbone"]["half"].half()),
        lambda p: p["backbone"].update(other=p["backbone"].pop("weight")),
        lambda p: p.update(image_size=17),
        lambda p: p.update(image_size=16.0),
        lambda p: p["optimizer"]["param_groups"].append({}),
    ):
        content = payload()
        edit(content)
        changed.append(payload_digest(content))
    assert len({base, *changed}) == 8


def test_no_flipped_bit_changes_what_is_read(tmp_path):
    """A flip is refused, or it hit bytes that carry nothing (padding, time stamps of the zip)."""
    path = tmp_path / "a.pt"
    write_native(path, payload())
    content, expected = path.read_bytes(), payload_digest(payload() | {"format": "repdiag", "format_version": 1})
    chance, refused = random.Random(0), 0
    for _ in range(150):
        damaged = bytearray(content)
        damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            found = read_native(path)
        except CheckpointError:
            refused += 1
        else:
            assert payload_digest(found) == expected
    assert refused > 20


@pytest.mark.parametrize("size", [0, 1, 100, 600])
def test_truncated_and_foreign_files_are_refused(tmp_path, size):
    path = tmp_path / "a.pt"
    write_native(path, payload())
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError):
        read_native(path)
    torch.save({"state_dict": {}}, path)
    with pytest.raises(CheckpointError, match="not a repdiag checkpoint"):
        read_native(path)


def test_another_version_is_named(tmp_path):
    path = tmp_path / "a.pt"
    write_native(path, payload())
    torch.save(torch.load(path, weights_only=True) | {"format_version": 99}, path)
    with pytest.raises(CheckpointError, match="another format version"):
        read_native(path)


def test_images_that_nobody_makes_are_refused_before_a_network_is_built(tmp_path, monkeypatch):
    from repdiag.checkpoints.load import load_encoder
    from repdiag.checkpoints.own import native_encoder
    from repdiag.config.training import TrainSettings

    monkeypatch.setattr(native_encoder, "build_backbone", lambda *_, **__: pytest.fail("a network was built"))
    write_native(tmp_path / "a.pt", payload() | {"config": TrainSettings().model_dump_json(), "image_size": 20_000})
    with pytest.raises(CheckpointError, match="20000 pixels"):
        load_encoder(tmp_path / "a.pt")
