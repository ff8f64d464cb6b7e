"""A queue that is stored and read back goes on where it stood: its position is part of it."""

from __future__ import annotations

import io

import pytest
import torch

from repdiag.methods.key_queue import KeyQueue


def batches(count: int, *, size: int = 3) -> list[torch.Tensor]:
    numbers = torch.arange(count * size, dtype=torch.float32)
    return list(torch.stack([numbers, -numbers], dim=1).split(size))


@pytest.mark.parametrize("pushed", [1, 2, 3, 4])
def test_the_oldest_keys_go_first_also_after_a_resume(pushed: int) -> None:
    """Eight places, three keys a batch: the ring's end falls into a batch, and never twice at the same place."""
    before, after = batches(6)[:pushed], batches(6)[pushed:]
    undisturbed, stopped = KeyQueue(8, 2), KeyQueue(8, 2)
    stopped.keys.copy_(undisturbed.keys)
    for keys in before:
        undisturbed.push(keys)
        stopped.push(keys)
    stored = io.BytesIO()
    torch.save(stopped.state(), stored)
    stored.seek(0)
    resumed = KeyQueue(8, 2)
    resumed.load(torch.load(stored, weights_only=True))
    assert resumed.position == 3 * pushed % 8
    for keys in after:
        undisturbed.push(keys)
        resumed.push(keys)
        assert torch.equal(resumed.keys, undisturbed.keys)
    last = {float(value) for value in torch.cat(batches(6))[-8:, 0]}
    assert {float(value) for value in resumed.keys[:, 0]} == last
