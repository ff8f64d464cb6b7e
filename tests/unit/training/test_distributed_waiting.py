"""Waiting for one process that works for hours."""

from datetime import timedelta

import torch.distributed as dist

from repdiag.core.distributed.world import World


def test_the_wait_for_a_pack_outlasts_a_barriers_time_limit(monkeypatch):
    calls = []
    monkeypatch.setattr(dist, "new_group", lambda **options: calls.append(options) or "patient")
    monkeypatch.setattr(dist, "barrier", lambda group=None: calls.append(group))
    monkeypatch.setattr(dist, "destroy_process_group", lambda group=None: calls.append(f"end of {group}"))
    World(rank=1, size=2).wait_for_long_work()
    assert calls[0]["timeout"] >= timedelta(days=2)  # ImageNet from a slow disk takes hours
    assert calls[1:] == ["patient", "end of patient"]
    World().wait_for_long_work()
    assert len(calls) == 3
