"""Every method keeps all of its state in the checkpoint: interrupted in the middle, it ends with the same bits."""

from functools import partial

import pytest
import torch
from small_recipes import DINO, RUN, SMALL, TINY, backbone_of, stopped_in_step, teacher_of

from repdiag.checkpoints.load import load_encoder
from repdiag.checkpoints.own.native import read_native
from repdiag.config.recipe_files import list_recipes
from repdiag.config.training import LoopSettings
from repdiag.data.datasets import open_dataset
from repdiag.embeddings.extract import extract
from repdiag.metrics.evaluate import evaluate
from repdiag.training.assembly import resolve_settings
from repdiag.training.compute import choose_compute
from repdiag.training.loop import train
from repdiag.training.progress import SilentProgress

TWO_STEPS = ["data.limit=16", "loop.batch_size=8", "schedule.epochs=1", "schedule.warmup_epochs=0"]


def test_every_recipe_is_among_them():
    assert set(SMALL) == set(list_recipes())


def test_a_transformer_trains_on_local_views_of_no_whole_number_of_patches(tmp_path):
    overrides = ["backbone.name=vit_tiny", *RUN, *DINO, "data.image_size=32", "views.local_size=10", *TWO_STEPS]
    last = train(resolve_settings("sslight_dino_vit", data="digits", overrides=overrides), tmp_path, device="cpu")
    first = read_native(last.with_name("initial.pt"))["backbone"]
    assert not torch.equal(read_native(last)["backbone"]["pos_embed"], first["pos_embed"])
    assert load_encoder(last).info.feature_dim == 192


@pytest.mark.parametrize("recipe", SMALL)
def test_interrupted_and_resumed(recipe, tmp_path, monkeypatch):
    teacher, backbone = teacher_of(recipe), backbone_of(recipe)
    overrides = [f"backbone.name={backbone}", *RUN, *SMALL[recipe]]
    settings = resolve_settings(recipe, data="digits", overrides=overrides)
    whole = train(settings, tmp_path / "whole", device="cpu", teacher=teacher)
    with stopped_in_step(4, monkeypatch):
        train(settings, tmp_path / "run", device="cpu", teacher=teacher)
    assert read_native(tmp_path / "run" / "checkpoints" / "last.pt")["digest"] != read_native(whole)["digest"]
    last = train(settings, tmp_path / "run", device="cpu", teacher=teacher)
    assert read_native(last)["digest"] == read_native(whole)["digest"]
    encoder = load_encoder(last, backbone=backbone)
    embeddings = extract(encoder, open_dataset("digits", "val").balanced(2, seed=0))
    assert evaluate(embeddings, ["uniformity"], intervals=False).value(metric="uniformity", space="features") <= 0.0


def test_attention_has_the_same_bits_wherever_its_inputs_lie():
    """The fused kernel of a CPU has not: its small products depend on the address modulo 16 bytes."""
    rows = torch.randn(4, 3, 5, 64, generator=torch.Generator().manual_seed(0))
    found = []
    with choose_compute(LoopSettings(), device="cpu").rules(threads=1):
        for offset in range(4):
            moved = torch.empty(rows.numel() + offset)[offset:].view(rows.shape).copy_(rows)
            found.append(torch.nn.functional.scaled_dot_product_attention(moved, moved, moved))
    assert all(torch.equal(found[0], other) for other in found)


def test_float16_keeps_the_scale_of_its_loss(tmp_path, monkeypatch):
    overrides = [f"backbone.name={TINY}:build", *RUN, "method.queue_size=32", "loop.precision=fp16"]
    settings = resolve_settings("moco_v2", data="digits", overrides=overrides)
    monkeypatch.setattr("torch.amp.GradScaler", partial(torch.amp.GradScaler, growth_interval=4))
    whole = train(settings, tmp_path / "whole", device="cpu")
    assert read_native(whole)["scaler"]["scale"] != read_native(whole.with_name("initial.pt"))["scaler"]["scale"]
    with stopped_in_step(6, monkeypatch):
        train(settings, tmp_path / "run", device="cpu")
    last = train(settings, tmp_path / "run", device="cpu")
    assert read_native(last)["digest"] == read_native(whole)["digest"]


def test_packed_images_and_overlapping_views_train(tmp_path, monkeypatch):
    monkeypatch.setenv("REPDIAG_CACHE", str(tmp_path / "cache"))
    overrides = [f"backbone.name={TINY}:build", *RUN, "method.queue_size=32", "data.pack=12", "data.image_size=16"]
    views = ["views.preset=moco_v2_32", "views.difficulty=easy"]
    settings = resolve_settings("moco_v2", data="digits", overrides=[*overrides, *views])
    lines = []

    class Told(SilentProgress):
        def message(self, text):
            lines.append(text)

    last = train(settings, tmp_path / "run", device="cpu", progress=Told())
    assert lines == ["packed 80 of 80 images at 12 px"]
    plain = resolve_settings("moco_v2", data="digits", overrides=[*overrides, views[0]])
    assert read_native(last)["digest"] != read_native(train(plain, tmp_path / "plain", device="cpu"))["digest"]
