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


def test_views_of_the_recipes_as_the_papers_have_them():
    """SSLight draws SwAV's views as DINO's, bicubic; SEED shows one view, or one whole and six small ones."""
    views = {name: load_recipe(name).fitted(rows=9000, native_size=None, preset="moco_v2") for name in list_recipes()}
    resolved = {name: settings.views.resolved() for name, settings in views.items()}
    multi_crop = ("swav", "sslight_swav", "dino", "sslight_dino", "dino_vit", "sslight_dino_vit")
    for name in (*multi_crop, "moco_multi_crop", "sslight_moco"):
        assert {view.interpolation for view in resolved[name]} == {"bicubic"}
    assert {view.blur_p for view in resolved["sslight_swav"]} == {0.5}
    assert [view.blur_p for view in resolved["sslight_dino"][:3]] == [1.0, 0.1, 0.5]
    assert [view.crop_scale for view in resolved["dino_vit"]] == [(0.25, 1.0)] * 2 + [(0.05, 0.25)] * 10
    assert [view.crop_scale for view in resolved["moco_multi_crop"]] == [(0.14, 1.0)] * 2 + [(0.05, 0.14)] * 6
    assert [view.size for view in resolved["seed"]] == [None]
    assert [(view.size, view.crop_scale) for view in resolved["seed_small_patches"]] == [
        (None, (0.14, 1.0)),
        *[(96, (0.05, 0.14))] * 6,
    ]


def test_hidden_cells_shrink_with_the_images():
    """Cells of 56 px would hide all of a 32 px image."""
    sides = []
    for overrides, size in (([], 224), ([], 32), (["views.change.patch_sizes=[0,16]"], 32)):
        settings = load_recipe("shi2022_small", ["views.preset=shi2022_patches", *overrides])
        fitted = settings.fitted(rows=99, native_size=size, preset="moco_v2_32")
        assert fitted.fitted(rows=99, native_size=size, preset="moco_v2_32") == fitted
        sides.append(fitted.views.resolved()[0].patch_sizes)
    assert sides == [(0, 14, 28, 56), (0, 2, 4, 8), (0, 16)]


def test_the_number_of_large_views_is_a_setting():
    views = load_recipe("sslight_dino", ["views.global_views=3", "views.local_views=1"]).views
    assert [view.blur_p for view in views.resolved()] == [1.0, 0.1, 1.0, 0.5]
    assert views.large_views() == 3


@pytest.mark.parametrize(
    ("recipe", "overrides", "said"),
    [
        ("simclr", ["views.preset=crop_flip"], "needs two large views"),
        ("dino", ["views.global_views=1"], "needs two large views"),
        ("supervised", ["views.difficulty=hard"], "at least two"),
        ("moco_v2", ["views.local_views=4"], "no small views"),
        ("moco_v2", ["views.local_size=8"], "no small views"),
        ("moco_v2", ["views.change.gray_q=0.5"], r"views\.change\.gray_p"),
        ("moco_v2", ["views.change.gray_p=7"], r"setting views\.change\.gray_p is not valid"),
        ("moco_v2", ["views.change.crop_scale=[0.5,0.2]"], "interval above 0"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_before_anything_runs(recipe, overrides, said):
    settings = load_recipe(recipe, overrides)
    with pytest.raises(UsageError, match=said):
        settings.fitted(rows=100, native_size=32, preset="moco_v2_32")


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
        ("data.std=[0.2,0,0.2]", "greater than 0"),
        ("optimizer.betas=[0.9,1]", "less than 1"),
        ("optimizer={nesterov: true, momentum: 0}", "momentum above 0"),
        ("no equals sign", "section.key=value"),
        ("optimizer.lr=[", "YAML"),
    ],
)
def test_a_wrong_override_is_named_with_its_remedy(override, hint):
    with pytest.raises(ConfigError, match=hint):
        load_recipe("moco_v2", [override])


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("simclr", "try:   method.name=simclr"),
        ({"temperature": 0.1}, "method.name is missing"),
        ({"name": "simcrl"}, "did you mean: simclr"),
    ],
)
def test_a_method_that_does_not_exist_gets_its_remedy(method, said):
    with pytest.raises(UsageError, match=said):
        parse_settings({"method": method})


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
    path.write_text("data:\nschedule: {epochs: 3}\nmethod: simclr\n")
    with pytest.raises(ConfigError, match="setting method must be a mapping"):
        load_recipe(str(path), ["method.temperature=0.1"])
    path.write_text("data:\nschedule: {epochs: 3}\n")
    assert load_recipe(str(path)) == load_recipe(str(path), ["data.dataset=digits"])
    path.write_bytes("description: caf\u00e9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_recipe(str(path))
    path.write_text("schedule:\n\tepochs: 3\n")
    with pytest.raises(ConfigError, match="line 2, column 1"):
        load_recipe(str(path))
    path.write_text("- 1\n")
    with pytest.raises(ConfigError, match="mapping"):
        load_recipe(str(path))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(str(tmp_path / "other.yaml"))
    with pytest.raises(UsageError, match="moco_v2"):
        load_recipe("moco_v")
