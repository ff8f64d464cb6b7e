"""Checkpoints written beside the steps: the state of the moment, one after the other, no problem lost."""

import threading

import pytest
import torch

from repdiag.checkpoints.own.native import read_native
from repdiag.core.errors import StoreError
from repdiag.training.checkpoint_files import CheckpointFiles
from repdiag.training.saver import Saver


def payload(weight):
    return {"backbone": {"weight": weight}, "progress": '{"step": 1}', "parts": [weight, (weight, 2)]}


@pytest.mark.parametrize("beside", [False, True])
def test_what_is_written_is_the_state_of_the_moment(tmp_path, monkeypatch, beside):
    files, weight, may_write = CheckpointFiles(tmp_path), torch.zeros(3), threading.Event()
    files.folder.mkdir()
    save = CheckpointFiles.save

    def slow(self, *args, **kwargs):
        assert may_write.wait(timeout=60)
        return save(self, *args, **kwargs)

    monkeypatch.setattr(CheckpointFiles, "save", slow)
    if not beside:
        may_write.set()
    with Saver(files, beside=beside) as saver:
        saver.save(payload(weight))
        weight += 1.0  # the next step
        may_write.set()
    found = read_native(files.last)
    assert torch.equal(found["backbone"]["weight"], torch.zeros(3))
    assert torch.equal(found["parts"][1][0], torch.zeros(3))


def test_the_next_call_raises_what_a_write_raised(tmp_path, monkeypatch):
    def full(self, *args, **kwargs):
        raise StoreError("could not write", found="No space left on device")

    monkeypatch.setattr(CheckpointFiles, "save", full)
    with Saver(CheckpointFiles(tmp_path), beside=True) as saver:
        saver.save(payload(torch.zeros(1)))
        with pytest.raises(StoreError):
            saver.wait()
        saver.save(payload(torch.zeros(1)))
        with pytest.raises(StoreError):
            saver.save(payload(torch.zeros(1)))


def test_a_run_that_saves_beside_its_steps_ends_with_the_same_bits(tmp_path, monkeypatch):
    """What a GPU's run does, on the CPU."""
    from small_recipes import RUN, SMALL, backbone_of

    from repdiag.training import loop
    from repdiag.training.assembly import resolve_settings

    overrides = [f"backbone.name={backbone_of('moco_v2')}", *RUN, *SMALL["moco_v2"]]
    settings = resolve_settings("moco_v2", data="digits", overrides=overrides)
    whole = loop.train(settings, tmp_path / "at_once", device="cpu")
    monkeypatch.setattr(loop, "Saver", lambda files, **_: Saver(files, beside=True))
    other = loop.train(settings, tmp_path / "beside", device="cpu")
    assert read_native(other)["digest"] == read_native(whole)["digest"]
    assert read_native(other.with_name("previous.pt"))["digest"] != read_native(whole)["digest"]
