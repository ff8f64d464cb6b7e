"""Recipes load, overrides land, data decides what is left, and a typo gets the nearest setting."""

import pytest

from repdiag.config.overrides import apply_overrides, parse_settings
from repdiag.config.recipe_files import list_recipes, load_recipe
from repdiag.core.errors import ConfigError, UsageError


@pytest.mark.parametrize("name", sorted(list_recipes()))
def test_every_recipe_is_valid_described_and_fits_any_data(name):
    settings = load_recipe(name)
    assert settings.recipe == name
    assert settings.description
    fitted = settings.fitted(rows=1000, native_size=32, preset="moco_v2_32")
    assert fitted.data.image_size == (settings.data.image_size or 32)
    assert fitted == fitted.fitted(rows=1000, native_size=32, preset="moco_v2_32")
    assert len(fitted.views.resolved()) >= 1


def test_paper_settings_of_moco_v2():
    settings = load_recipe("moco_v2")
    method = settings.method
    assert (method.queue_size, method.momentum, method.temperature) == (65536, 0.999, 0.2)
    assert (settings.optimizer.lr, settings.optimizer.lr_batch, settings.optimizer.weight_decay) == (0.03, 256, 1e-4)
    assert (settings.schedule.epochs, settings.projector.out_dim) == (200, 128)


def test_data_decides_size_stem_views_and_caps_the_queue_at_an_epoch_of_whole_batches():
    small = load_recipe("moco_v2", ["loop.batch_size=48"]).fitted(rows=1000, native_size=32, preset="moco_v2_32")
    assert (small.data.image_size, small.backbone.stem, small.views.preset) == (32, "cifar", "moco_v2_32")
    assert small.method.queue_size == 960
    large = load_recipe("moco_v2").fitted(rows=1_281_167, native_size=None, preset="moco_v2")
    assert (large.data.image_size, large.backbone.stem, large.method.queue_size) == (224, "imagenet", 65536)


def test_local_views_keep_their_number_and_shrink_with_the_images():
    full = load_recipe("sslight_dino").fitted(rows=10_000, native_size=None, preset="moco_v2")
    assert [view.size for view in full.views.resolved()] == [None] * 2 + [128] * 6
    small = load_recipe("sslight_dino_vit").fitted(rows=10_000, native_size=56, preset="moco_v2_32")
    assert [view.size for view in small.views.resolved()] == [None] * 2 + [32] * 10


def test_view_changes_reach_every_view():
    settings = load_recipe("shi2022_small", ["views.change.gray_p=0.25"])
    assert [view.gray_p for view in settings.views.resolved()] == [0.25, 0.25]


def test_another_method_starts_from_its_own_defaults():
    settings = load_recipe("moco_v2", ["method.name=simclr", "method.temperature=0.5"])
    assert settings.method.model_dump() == {"name": "simclr", "temperature": 0.5}


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("optimizer.lrr=1", "optimizer.lr"),
        ("queue_size=3", "method.queue_size"),
        ("method.temprature=1", "method.temperature"),
        ("optimzer.lr=3", "optimizer"),
        ("loop.seed.x=1", "no parts"),
        ("optimizer.lr=abc", "valid number"),
        ("optimizer.lr=-1", "greater than 0"),
        ("schedule.warmup_epochs=1000", "must not exceed"),
        ("no equals sign", "section.key=value"),
        ("optimizer.lr=[", "YAML"),
    ],
)
def test_a_wrong_override_is_named_with_its_remedy(override, hint):
    with pytest.raises(ConfigError, match=hint):
        load_recipe("moco_v2", [override])


def test_a_setting_that_the_method_does_not_have_is_refused():
    with pytest.raises(ConfigError):
        parse_settings({"method": {"name": "simclr", "queue_size": 3}})


def test_overrides_do_not_change_their_input():
    raw = {"optimizer": {"lr": 1.0}}
    assert apply_overrides(raw, ["optimizer.lr=2e-3"]) == {"optimizer": {"lr": "2e-3"}}
    assert raw == {"optimizer": {"lr": 1.0}}


def test_own_recipe_files_and_unknown_names(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("schedule: {epochs: 3}\n")
    assert (load_recipe(str(path)).schedule.epochs, load_recipe(str(path)).recipe) == (3, "mine")
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="mapping"):
        load_recipe(str(path))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(str(tmp_path / "other.yaml"))
    with pytest.raises(UsageError, match="moco_v2"):
        load_recipe("moco_v")
