"""Protocols that train on images: what learns, what is read once, and that a killed run ends in the same bits."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import repdiag
from repdiag.checkpoints.own.native import read_native
from repdiag.core.errors import ConfigError, DataError, UsageError
from repdiag.data.datasets import open_dataset
from repdiag.downstream import label_subsets
from repdiag.downstream.classifier import EncoderClassifier, kept_head
from repdiag.downstream.fine_tuning import FineTuneSettings
from repdiag.downstream.label_subsets import listed_labels, share_of_labels
from repdiag.methods.base import Clock, TrainBatch

TINY = {"epochs": 2, "batch_size": 32, "milestones": (1,)}


def encoder(*, seed: int = 0, projector: nn.Module | None = None) -> repdiag.Encoder:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )
    made = repdiag.load_encoder(network, image_size=8)
    made.projector = projector
    return made


def state(folder: Path) -> dict[str, torch.Tensor]:
    found = read_native(folder / "checkpoints" / "last.pt")
    return {**found["backbone"], **found["method"]["classifier"]}


ASKED = {"data": "digits", "protocol": "semi-10", "limit": 400, "settings": {**TINY, "labels": 0.5}}
SAVED = {**ASKED, "settings": {**ASKED["settings"], "save_every_steps": 1}}


def die_in_the_second_epoch(folder: Path) -> None:
    """Fine-tune, and send this very process the signal that no program can catch."""
    step = EncoderClassifier.training_step
    done = []

    def dies(self: EncoderClassifier, batch: TrainBatch) -> object:
        done.append(self.clock.step)
        if len(done) == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, batch)

    EncoderClassifier.training_step = dies  # type: ignore[method-assign]
    repdiag.probe(encoder(), **SAVED, fits=folder)


def test_a_killed_fine_tuning_ends_in_the_same_bits(tmp_path: Path) -> None:
    whole = repdiag.probe(encoder(), **ASKED, fits=tmp_path / "whole")
    script = f"import pathlib, {Path(__file__).stem} as it; it.die_in_the_second_epoch(pathlib.Path('killed'))"
    places = os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[3])])
    given = os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    killed = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=given, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    again = repdiag.probe(encoder(), **SAVED, fits=tmp_path / "killed")
    (first,), (second,) = ((tmp_path / name).iterdir() for name in ("whole", "killed"))
    one, two = state(first), state(second)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert (whole.value, again.value) == (again.value, whole.value)
    assert np.array_equal(whole.per_image, again.per_image)
    with pytest.raises(ConfigError, match="other settings"):
        repdiag.probe(
            encoder(seed=1), **{**SAVED, "settings": {**SAVED["settings"], "lr": 0.3}}, fits=tmp_path / "killed"
        )


def test_fine_tuning_reaches_the_network_and_refuses_what_cannot_learn(tmp_path: Path) -> None:
    given = encoder()
    before = {name: value.clone() for name, value in given.backbone.state_dict().items()}
    settings = {"epochs": 1, "batch_size": 32, "milestones": ()}
    repdiag.probe(
        given, data="digits", protocol="fine-tune", limit=64, settings={**settings, "steps": 2}, fits=tmp_path
    )
    (folder,) = tmp_path.iterdir()
    learnt = read_native(folder / "checkpoints" / "last.pt")["backbone"]
    assert all(torch.equal(before[name], value) for name, value in given.backbone.state_dict().items())
    assert not torch.equal(learnt["function.0.weight"], before["function.0.weight"])
    fixed = repdiag.load_encoder(lambda images: images.mean(dim=(2, 3)).detach(), image_size=8)
    with pytest.raises(UsageError, match="cannot be fine-tuned"):
        repdiag.probe(fixed, data="digits", protocol="semi-10", limit=64, settings=settings)


def test_a_frozen_backbone_stays_as_it_is_and_the_last_epoch_counts() -> None:
    given = encoder()
    before = {name: value.clone() for name, value in given.state_dict().items()}
    settings = {**TINY, "epochs": 6, "lr": 1.0, "crop_scale": (0.9, 1.0)}
    found = repdiag.probe(given, data="digits", protocol="moco-lincls", limit=200, settings=settings)
    assert all(torch.equal(before[name], value) for name, value in given.state_dict().items())
    extra = found.row.extra
    assert found.value == extra["last_epoch"]
    assert extra["best_on_test"]["top1"] >= found.value
    assert extra["best_on_test"]["a_result"] is False
    assert "frozen" in extra["batch_norm"]
    assert found.value > 0.2


def test_crops_and_cached_features_are_two_protocols() -> None:
    found = [
        repdiag.probe(encoder(), data="digits", protocol="simclr-linear", limit=200, settings={"epochs": 3, **more})
        for more in ({}, {"augmentation": "none"})
    ]
    assert found[0].row.extra["augmentation"].startswith("crops of 0.08")
    assert found[1].row.extra["augmentation"].startswith("none")
    assert found[1].row.params["augmentation"] == "none"
    with pytest.raises(ConfigError, match="standardised"):
        repdiag.probe(
            encoder(), data="digits", protocol="moco-lincls", limit=200, settings={"rows": "standardised", **TINY}
        )
    with pytest.raises(UsageError, match="crops train images"):
        repdiag.probe([[1.0, 0.0]] * 4, bank=[[1.0, 0.0]] * 4, protocol="moco-lincls")


@pytest.mark.parametrize(("mode", "moves"), [("train", [1, 1]), ("eval", [0, 0]), ("first epoch", [1, 0])])
def test_batch_norm_follows_its_flag(mode: str, moves: list[int]) -> None:
    """Shi's published fine-tuning trains batch norm in its first epoch alone; by default ours goes on."""
    method = EncoderClassifier(encoder(), FineTuneSettings(batch_norm=mode), classes=2, rows="raw").train()
    norm = next(module for module in method.modules() if isinstance(module, nn.BatchNorm2d))
    batch = TrainBatch((torch.rand(4, 3, 8, 8),), torch.tensor([0, 1, 0, 1]))
    seen = []
    for epoch in range(2):
        before = norm.running_mean.clone()
        method(batch, Clock(epoch * 5, 10, 5))
        seen.append(int(not torch.equal(before, norm.running_mean)))
    assert seen == moves


def test_the_projection_head_is_kept_up_to_its_last_layer() -> None:
    head = nn.Sequential(nn.Linear(24, 16), nn.BatchNorm1d(16), nn.GELU(), nn.Linear(16, 5))
    kept = kept_head(encoder(projector=head))
    assert [type(layer).__name__ for layer in kept] == ["Linear", "BatchNorm1d", "GELU"]
    method = EncoderClassifier(encoder(projector=head), FineTuneSettings(keep_head=True), classes=3, rows="unit")
    assert method.logits(torch.rand(4, 24)).shape == (4, 3)
    assert method.classifier.in_features == 16
    with pytest.raises(UsageError, match="no projection head"):
        kept_head(encoder())


def test_one_percent_lies_inside_ten_and_every_class_has_an_image() -> None:
    train = open_dataset("digits", "train")
    one, ten = (share_of_labels(train, share, seed=3) for share in (0.01, 0.1))
    assert set(one.row_ids) < set(ten.row_ids)
    counts = train.class_counts()
    assert one.class_counts().tolist() == [max(1, n // 100) for n in counts.tolist()]
    assert ten.class_counts().tolist() == [n // 10 for n in counts.tolist()]
    assert set(one.row_ids) != set(share_of_labels(train, 0.01, seed=4).row_ids)


def test_lists_are_matched_by_file_name_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = open_dataset("digits", "train")
    names = [str(name).rpartition("/")[2] for name in train.row_ids[[5, 3, 900]]]
    plain, rows = tmp_path / "list.txt", tmp_path / "rows.txt"
    plain.write_text("\n".join(names), "utf-8")  # the last line without its end, as in the published file
    rows.write_text("".join(f"{9 - n},0,n01,{name}\n" for n, name in enumerate(names)), "utf-8")
    digest = hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()
    monkeypatch.setattr(label_subsets, "PUBLISHED", {digest: "a known list"})
    for path in (plain, rows):
        kept, which = listed_labels(train, path)
        assert kept.row_ids.tolist() == train.row_ids[[3, 5, 900]].tolist()
        assert "a known list" in which
    plain.write_text("\n".join([*names, "n9_1.JPEG"]), "utf-8")
    with pytest.raises(DataError, match="1 of the 4 images"):
        listed_labels(train, plain)
