"""Runs that are unusual but meant: moved folders, other people's teachers, disks without locks or links, few images."""

import copy
import errno
import json

import pytest
import torch
from PIL import Image
from small_recipes import DINO, RUN, TINY
from torch import nn

from repdiag.checkpoints.load import load_encoder
from repdiag.checkpoints.own.native import read_native
from repdiag.core.distributed.world import World
from repdiag.core.errors import CheckpointError, ConfigError, DataError, StoppedError, TrainingError, UsageError
from repdiag.core.metric_table import MetricTable
from repdiag.data import packed
from repdiag.data.datasets import open_dataset
from repdiag.data.image_split import equal_galleries
from repdiag.methods.build import build_method
from repdiag.methods.moco_v2 import MoCoV2
from repdiag.models.dino_head import DINOHead
from repdiag.training import run_state, starting_point
from repdiag.training.assembly import assemble, open_train_split, pack_images, resolve_settings
from repdiag.training.compute import choose_compute
from repdiag.training.loop import train
from repdiag.training.run_state import changed_settings
from repdiag.training.starting_point import load_teacher

CPU = torch.device("cpu")


def draw_folder(root, counts):
    """Write PNGs of one colour each: `counts` images for each class name."""
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for image in range(count):
            Image.new("RGB", (12, 12), (60 * number, 9 * image, 50)).save(root / name / f"{image}.png")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("REPDIAG_CACHE", str(tmp_path / "cache"))


def read_digest(last):
    return read_native(last)["digest"]


def settings_of(tiny_overrides, folder, *overrides):
    return resolve_settings(
        "moco_v2", data=f"imagefolder:{folder}", overrides=[*tiny_overrides, "data.limit=null", *overrides]
    )


FOLDER = ["schedule.epochs=2", "loop.batch_size=4", "method.queue_size=8", f"backbone.name={TINY}:build"]


def test_a_run_goes_on_where_its_folder_of_images_was_moved_to(tmp_path, cache):
    draw_folder(tmp_path / "here", {"a b": 6, "ü": 6})
    digest = read_digest(train(settings_of(FOLDER, tmp_path / "here"), tmp_path / "run", device="cpu"))
    (tmp_path / "here").rename(tmp_path / "there")
    again = train(settings_of(FOLDER, tmp_path / "there"), tmp_path / "run", device="cpu")
    assert read_digest(again) == digest
    Image.new("RGB", (12, 12), "white").save(tmp_path / "there" / "ü" / "0.png")
    with pytest.raises(CheckpointError, match="images differ"):
        train(settings_of(FOLDER, tmp_path / "there"), tmp_path / "run", device="cpu")


def test_a_setting_that_is_newer_than_a_run_has_its_default_there(tiny):
    now = tiny().model_dump(mode="json")
    stored = copy.deepcopy(now)
    del stored["views"]["global_views"], stored["method"]["shuffle_groups"]
    assert changed_settings(run_state._completed(json.dumps(stored)), now) == []
    stored["method"]["temperature"] = 0.3
    assert changed_settings(run_state._completed(json.dumps(stored)), now) == ["method.temperature: 0.3 -> 0.2"]


def test_dinos_layers_up_to_the_bottleneck_are_its_projector_and_a_start(tmp_path):
    overrides = [f"backbone.name={TINY}:build", *RUN, *DINO, "schedule.epochs=1"]
    settings = resolve_settings("dino", data="digits", overrides=overrides)
    last = train(settings, tmp_path / "first", device="cpu")
    encoder = load_encoder(last, backbone=f"{TINY}:build", branch="online")
    head = DINOHead(8, outputs=9, hidden_dim=8, bottleneck_dim=4, batch_norm=True).eval()
    head.load_state_dict(read_native(last)["projector"])
    rows = torch.randn(5, 8)
    torch.testing.assert_close(encoder.project(rows), head.mlp(rows))
    assert encoder.info.projection_dim == 4
    method = build_method(settings, classes=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starting_point, "load_encoder", lambda _: encoder)
        assert "16 of 17 tensors of the projector" in starting_point.initialize_from(method, last)


@pytest.fixture
def teachers(tiny, tmp_path):
    """Checkpoints of two teachers of somebody's own code that differ in their seed."""
    runs = {seed: tmp_path / f"teacher{seed}" for seed in (0, 1)}
    return [train(tiny("schedule.epochs=1", f"loop.seed={seed}"), run, device="cpu") for seed, run in runs.items()]


SEED = [
    *("projector.out_dim=128", "schedule.epochs=1", "schedule.warmup_epochs=0", "data.image_size=16"),
    f"method.teacher_backbone={TINY}:build",
]


def test_a_distillation_goes_on_with_its_teacher_wherever_that_lies_and_with_no_other(tiny, teachers, tmp_path):
    def student(teacher):
        return tiny(*SEED, f"method.teacher={teacher}", recipe="seed")

    last = train(student(teachers[0]), tmp_path / "run", device="cpu")
    moved = teachers[0].rename(tmp_path / "moved.pt")
    assert read_digest(train(student(moved), tmp_path / "run", device="cpu")) == read_digest(last)
    teachers[1].rename(moved)
    with pytest.raises(CheckpointError, match="teacher differs"):
        train(student(moved), tmp_path / "run", device="cpu")


def test_a_teacher_sees_images_as_it_was_trained_on(tiny, teachers):
    """The same pixels normalised as the student's data are, where that is not how the teacher's were."""
    pixels = torch.rand(3, 3, 16, 16)
    embedded = []
    for mean, std in (((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), ((0.5, 0.4, 0.3), (0.1, 0.2, 0.5))):
        values = [f"data.mean={list(mean)}", f"data.std={list(std)}"]
        settings = tiny(*SEED, *values, f"method.teacher={teachers[0]}", recipe="seed")
        images = (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
        with torch.no_grad():
            embedded.append(load_teacher(settings, device=CPU).embed(images))
    torch.testing.assert_close(*embedded, rtol=1e-4, atol=1e-5)


def test_a_teacher_that_does_not_take_the_views_is_refused_before_training(tiny, teachers, monkeypatch):
    class Fixed(nn.Module):
        def forward(self, images):
            raise AssertionError("Input height doesn't match model (224).")

    load = starting_point.load_encoder

    def loaded(*args, **kwargs):
        encoder = load(*args, **kwargs)
        encoder.backbone.trunk = Fixed()
        return encoder

    monkeypatch.setattr(starting_point, "load_encoder", loaded)
    with pytest.raises(ConfigError, match="teacher cannot see the views") as caught:
        load_teacher(tiny(*SEED, f"method.teacher={teachers[0]}", recipe="seed"), device=CPU)
    assert "data.image_size=16" in str(caught.value)


def test_a_stop_while_images_are_packed_keeps_what_is_packed(cache, monkeypatch):
    monkeypatch.setattr(packed, "_SHARD_BYTES", 3 * 12 * 12 * 40)  # two shards
    settings = resolve_settings("moco_v2", data="digits", overrides=["data.limit=80", "data.pack=12"])
    split, said = open_train_split(settings), []
    with pytest.raises(StoppedError, match="40 of 80 images are packed"):
        pack_images(settings, split, tell=said.append, stop=lambda: True)
    made = packed.PackedSource.make
    monkeypatch.setattr(packed.PackedSource, "make", lambda self, number: said.append(number) or made(self, number))
    assert pack_images(settings, split, tell=said.append).native_size == 12
    assert said == [1, "packed 80 of 80 images at 12 px"]


def test_a_disk_without_locks_is_trained_on_and_said(tiny, tmp_path, monkeypatch, caplog):
    def refused(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refused)
    train(tiny("schedule.epochs=1"), tmp_path / "run", device="cpu")
    assert "not locked" in caplog.text


def test_a_batch_that_the_images_do_not_fill_is_said(tiny, caplog):
    assert tiny("loop.batch_size=4096").loop.batch_size == 80
    assert "a batch of 4096 is more than the 80 images" in caplog.text


def test_a_batch_that_cannot_be_shared_is_refused_before_anything_is_waited_for(tiny):
    settings = tiny("loop.batch_size=80")
    with pytest.raises(ConfigError, match=r"try:   loop\.batch_size=78"):
        assemble(settings, compute=choose_compute(settings.loop, device="cpu"), world=World(rank=1, size=3))


def test_a_backbone_of_a_wrong_name_is_refused_before_images_are_packed(tmp_path, cache):
    overrides = ["backbone.name=resnet180", "data.limit=20", "data.pack=12"]
    with pytest.raises(UsageError, match="resnet18"):
        train(resolve_settings("moco_v2", data="digits", overrides=overrides), tmp_path / "run", device="cpu")
    assert not (tmp_path / "cache" / "packed").exists()


def test_the_monitor_looks_at_the_classes_that_both_parts_have(tmp_path, cache):
    draw_folder(tmp_path / "data" / "train", {"a": 5, "b": 3, "c": 4})
    draw_folder(tmp_path / "data" / "val", {"a": 4, "c": 2})
    seen = []

    def measure(val, train):
        seen.append((sorted(set(val.labels.tolist())), len(val), len(train)))
        return MetricTable(())

    train(settings_of(FOLDER, tmp_path / "data", "schedule.epochs=1"), tmp_path / "run", device="cpu", measure=measure)
    assert seen == [([0, 2], 4, 4)]


def test_without_a_class_in_common_the_monitor_is_refused_before_training(tmp_path, cache):
    draw_folder(tmp_path / "flat", {"a": 1, "b": 1})
    splits = [open_dataset(f"imagefolder:{tmp_path / 'flat'}", name) for name in ("val", "train")]
    with pytest.raises(DataError, match="no class has images in every part"):
        equal_galleries(*splits, per_class=5)


def test_a_single_value_a_channel_is_said_to_have_no_deviation(tiny, tmp_path):
    with pytest.raises(TrainingError, match="no deviation"):
        train(tiny("loop.batch_size=1", "projector.batch_norm=true"), tmp_path / "run", device="cpu")


def test_a_head_that_does_not_fit_into_memory_is_said(tiny, tmp_path):
    with pytest.raises(TrainingError, match="do not fit into memory"):
        train(tiny("projector.hidden_dim=1000000000000000"), tmp_path / "run", device="cpu")


def test_a_cpu_without_memory_is_asked_for_less(tiny, tmp_path, monkeypatch):
    step = MoCoV2.training_step

    def limited(self, batch):
        if len(batch.labels) > 5:
            torch.empty(1 << 60, dtype=torch.uint8)
        return step(self, batch)

    monkeypatch.setattr(MoCoV2, "training_step", limited)
    with pytest.raises(TrainingError, match="a batch of 4 fits"):
        train(tiny(), tmp_path / "run", device="cpu")
