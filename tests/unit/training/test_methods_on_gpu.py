"""Training on a GPU: every recipe, no waiting within a step, resuming, and what is said when memory runs out."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from small_recipes import RUN, SMALL, backbone_of, stopped_in_step, teacher_of

from repdiag.checkpoints.load import load_encoder
from repdiag.checkpoints.own.native import read_native
from repdiag.core.errors import TrainingError
from repdiag.data.datasets import open_dataset
from repdiag.data.loaders import TrainLoader
from repdiag.embeddings.extract import extract
from repdiag.training.assembly import resolve_settings
from repdiag.training.loop import train
from repdiag.training.step import Stepper

pytestmark = pytest.mark.gpu


def settings_of(recipe: str, *more: str):
    overrides = [f"backbone.name={backbone_of(recipe)}", *RUN, *SMALL[recipe], *more]
    return resolve_settings(recipe, data="digits", overrides=overrides)


@pytest.mark.parametrize("recipe", SMALL)
def test_a_step_never_waits_for_the_device(recipe, tmp_path, monkeypatch):
    """Augmentation, forward, backward and update are queued without a look at any value."""
    seen = []

    def watched(function, name):
        def wrapped(*args, **kwargs):
            if seen.count(name) < 2:  # libraries set themselves up in the first steps
                seen.append(name)
                return function(*args, **kwargs)
            torch.cuda.set_sync_debug_mode("error")
            try:
                seen.append(name)
                return function(*args, **kwargs)
            finally:
                torch.cuda.set_sync_debug_mode("default")

        return wrapped

    from repdiag.data.views import Frames

    monkeypatch.setattr(Frames, "finish", watched(Frames.finish, "finish"))
    monkeypatch.setattr(Stepper, "prepare", watched(Stepper.prepare, "prepare"))
    monkeypatch.setattr(Stepper, "take", watched(Stepper.take, "take"))
    last = train(settings_of(recipe), tmp_path, device="cuda", teacher=teacher_of(recipe))
    assert min(seen.count(name) for name in ("finish", "prepare", "take")) == 15
    assert read_native(last)["backbone"].keys() == read_native(last.with_name("initial.pt"))["backbone"].keys()
    encoder = load_encoder(last, backbone=backbone_of(recipe))
    rows = open_dataset("digits", "val").balanced(2, seed=0)
    on_cpu, on_gpu = (extract(encoder, rows, device=device).features for device in ("cpu", "cuda"))
    assert torch.allclose(on_cpu, on_gpu, rtol=1e-3, atol=1e-3)


def test_what_cannot_be_reproduced_is_named(tmp_path):
    """The position embeddings of a transformer are resized for local views: that gradient has no such algorithm."""
    settings = settings_of("sslight_dino_vit", "loop.deterministic=true")
    with pytest.raises(TrainingError, match="no reproducible algorithm") as caught:
        train(settings, tmp_path, device="cuda")
    assert "upsample_bicubic2d" in str(caught.value)


@pytest.mark.parametrize("recipe", [name for name in SMALL if name != "sslight_dino_vit"])
def test_interrupted_and_resumed(recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    settings = settings_of(recipe, "loop.deterministic=true")
    run = partial(train, settings, device="cuda", teacher=teacher_of(recipe))
    whole = run(tmp_path / "whole")
    with stopped_in_step(4, monkeypatch):
        run(tmp_path / "run")
    assert read_native(run(tmp_path / "run"))["digest"] == read_native(whole)["digest"]


def test_workers_change_no_view(tmp_path):
    settings = settings_of("moco_v2", "data.workers=2")
    split = open_dataset("digits", "train")
    made = [
        next(
            TrainLoader(
                split,
                settings.views.resolved(),
                image_size=8,
                batch_size=16,
                seed=0,
                workers=workers,
                device="cuda",
            ).batches(0)
        )
        for workers in (0, 2)
    ]
    assert torch.equal(made[0].index, made[1].index)
    for first, second in zip(made[0].views, made[1].views, strict=True):
        assert first.is_cuda
        assert torch.equal(first, second)


def test_a_full_device_names_the_batch_that_fits(tmp_path):
    """The pool is bounded, so that the search for a fitting batch meets a real shortage."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved() + (3 << 30)) / total))
    overrides = ["backbone.name=resnet18", "data.image_size=224", "loop.batch_size=512", "loop.precision=fp32"]
    settings = resolve_settings("moco_v2", data="digits", overrides=[*overrides, "method.queue_size=512"])
    try:
        with pytest.raises(TrainingError) as caught:
            train(settings, tmp_path, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "out of memory" in str(caught.value)
    assert "fits: loop.batch_size=" in str(caught.value)
