"""What is typed after a flag is that value; the text of `--set` is YAML only where a setting is no text."""

from __future__ import annotations

import doctest
from pathlib import Path
from types import ModuleType

import pytest

from repdiag.cli.console import Console
from repdiag.config import overrides, short_runs
from repdiag.config.overrides import apply_overrides, parse_settings, set_values
from repdiag.config.recipe_files import list_recipes, load_recipe
from repdiag.config.training import TrainSettings
from repdiag.core.errors import ConfigError
from repdiag.training.assembly import resolve_settings
from repdiag.workflows.train import TrainRequest, run_training

# YAML reads each of these as something else, or as nothing at all.
TYPED = ("imagefolder:/data/set #2", "imagefolder:/data/a: b", "[x]", "1_0", "null", "~", "yes", "{a}", "*x", "'q'")


@pytest.mark.parametrize("typed", TYPED)
def test_values_are_taken_as_they_are(typed: str) -> None:
    keys = ("data.dataset", "backbone.name", "initialize_from", "method.teacher", "recipe")
    found = set_values({}, dict.fromkeys(keys, typed))
    assert found["data"] == {"dataset": typed}
    assert found["backbone"] == {"name": typed}
    assert found["method"] == {"teacher": typed}
    assert (found["initialize_from"], found["recipe"]) == (typed, typed)


@pytest.mark.parametrize("typed", [text for text in TYPED if text != "'q'"])
def test_the_text_of_an_override_is_the_value_of_a_setting_that_is_text(typed: str) -> None:
    assert apply_overrides({}, [f"data.dataset={typed}"]) == {"data": {"dataset": typed}}
    assert apply_overrides({}, [f"method.teacher={typed}"]) == {"method": {"teacher": typed}}


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("data.dataset='imagefolder:/a # b '", "imagefolder:/a # b "),
        ('data.dataset="a: b"', "a: b"),
        ("data.dataset= digits ", "digits"),
        ("data.root=null", None),
        ("data.root=", None),
        ("data.root=/a # b", "/a # b"),
        ("data.limit=1_0", 10),
        ("data.limit=null # all of them", None),
        ("data.mean=[0.5, 0.5, 0.5]", [0.5, 0.5, 0.5]),
        ("data.download=yes", True),
    ],
)
def test_quotes_null_and_yaml_keep_their_meaning(override: str, value: object) -> None:
    name = override.partition("=")[0].removeprefix("data.")
    assert apply_overrides({}, [override]) == {"data": {name: value}}


def test_later_overrides_win_and_nothing_given_is_changed() -> None:
    given = {"data": {"limit": 3}}
    found = apply_overrides(given, ["data.limit=4", "data.limit=5", "views.change={gray_p: 1.0}", "views.change.hue=0"])
    assert found == {"data": {"limit": 5}, "views": {"change": {"gray_p": 1.0, "hue": 0}}}
    assert given == {"data": {"limit": 3}}


def test_a_value_for_a_setting_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.dataset"):
        set_values({}, {"data.datset": "digits"})


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[TrainSettings, Path]]:
    given: list[tuple[TrainSettings, Path]] = []

    def train(settings: TrainSettings, out: Path, **options: object) -> Path:
        given.append((settings, out))
        return out / "checkpoints" / "last.pt"

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("repdiag.training.loop.train", train)
    return given


@pytest.mark.parametrize("name", ["cifar #2", "a: b", "[x]", "1_0", "null"])
def test_a_folder_with_any_name_is_the_one_that_is_trained_on(
    name: str, asked: list[tuple[TrainSettings, Path]], tmp_path: Path
) -> None:
    from PIL import Image

    for part in ("train", "val"):
        for label in ("ant", "bee"):
            (tmp_path / name / part / label).mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (16, 16), (number, 0, 0)).save(tmp_path / name / part / label / f"{number}.png")
    request = TrainRequest(data=f"imagefolder:{name}", init_from=f"{name}.pt", out=Path(name) / "run", epochs=1)
    run_training(request, Console(quiet=True))
    ((settings, out),) = asked
    assert settings.data.dataset == f"imagefolder:{name}"
    assert settings.initialize_from == f"{name}.pt"
    assert out == Path(name) / "run"


def test_what_the_options_say_reaches_the_settings(asked: list[tuple[TrainSettings, Path]]) -> None:
    run_training(TrainRequest(limit=30, monitor=2, tensorboard=True, epochs=2), Console(quiet=True))
    ((settings, _),) = asked
    assert (settings.data.limit, settings.data.download) == (30, False)
    assert (settings.loop.monitor_every_epochs, settings.loop.tensorboard) == (2, True)
    run_training(TrainRequest(limit=30, overrides=("data.limit=20",)), Console(quiet=True))
    assert asked[1][0].data.limit == 20


@pytest.mark.parametrize("recipe", sorted(set(list_recipes()) - {"seed", "seed_small_patches"}))
def test_every_recipe_can_be_tried_for_one_epoch(recipe: str, caplog: pytest.LogCaptureFixture) -> None:
    before = load_recipe(recipe).schedule
    schedule = resolve_settings(recipe, data="digits", epochs=1).schedule
    assert schedule.epochs == 1
    shortened = before.warmup_epochs > 1
    assert schedule.warmup_epochs == (before.warmup_epochs / before.epochs if shortened else before.warmup_epochs)
    said = [line for line in caplog.messages if "--epochs" in line]
    assert len(said) == int(shortened)
    assert all(
        f"of {before.warmup_epochs:g} epochs" in line and f"to {schedule.warmup_epochs:g}" in line for line in said
    )


def test_a_warm_up_that_fits_or_is_asked_for_stays(caplog: pytest.LogCaptureFixture) -> None:
    assert resolve_settings("simclr", data="digits", epochs=10).schedule.warmup_epochs == 10
    asked_for = resolve_settings("simclr", data="digits", epochs=3, overrides=["schedule.warmup_epochs=2"])
    assert asked_for.schedule.warmup_epochs == 2
    assert not any("--epochs" in line for line in caplog.messages)
    with pytest.raises(ConfigError, match="must not exceed"):
        resolve_settings("simclr", data="digits", epochs=3, overrides=["schedule.warmup_epochs=4"])


def test_a_recipe_that_is_all_warm_up_has_none_when_it_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "warm.yaml"
    path.write_text("schedule: {epochs: 5, warmup_epochs: 5}\n")
    assert resolve_settings(str(path), data="digits", epochs=2).schedule.warmup_epochs == 0
    path.write_text("schedule: {epochs: 5, warmup_epochs: soon}\n")
    with pytest.raises(ConfigError, match="valid number"):
        resolve_settings(str(path), data="digits", epochs=2)
    assert parse_settings({}).schedule.warmup_epochs == 0


@pytest.mark.parametrize("module", [overrides, short_runs])
def test_the_examples_run(module: ModuleType) -> None:
    tried = doctest.testmod(module)
    assert (tried.failed, tried.attempted > 0) == (0, True)
