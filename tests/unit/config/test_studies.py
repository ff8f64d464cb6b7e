"""Every study's plans are whole: each run of each budget has settings that can be trained."""

from pathlib import Path

import pytest
import yaml

from analyses.study import read_plan
from repdiag.config.recipe_files import load_recipe
from repdiag.core.errors import ConfigError

STUDIES = sorted(Path(__file__).parents[3].glob("analyses/*/config.yaml"))


def plans(config):
    content = yaml.safe_load(config.read_text())
    return [(budget, data) for budget in content if budget != "varied" for data in content[budget]]


@pytest.mark.parametrize("config", STUDIES, ids=lambda path: path.parent.name)
def test_every_run_of_every_plan_has_valid_settings(config):
    assert {budget for budget, _ in plans(config)} >= {"demo", "gpu", "full"}
    for budget, data in plans(config):
        plan = read_plan(config, data=data, budget=budget)
        assert len(plan.values) >= 2
        assert not any("," in name for name in plan.values), "lists of names have commas between them"
        runs = set()
        for settings in plan.trainings(Path("study")).values():
            recipe, chosen = plan.recipe_of(settings)
            run = load_recipe(recipe, [f"data.dataset={data}", f"schedule.epochs={plan.epochs}", *chosen])
            fitted = run.fitted(rows=50_000, native_size=32, preset="moco_v2_32")
            runs.add((fitted.model_dump_json(exclude={"views"}), fitted.views.resolved(), fitted.views.iou_bounds))
        assert len(runs) == len(plan.first) + len(plan.values), "two runs are the same"


@pytest.mark.parametrize("config", STUDIES, ids=lambda path: path.parent.name)
def test_a_run_starts_from_runs_before_it(config):
    for budget, data in plans(config):
        made = []
        for place, settings in read_plan(config, data=data, budget=budget).trainings(Path("study")).items():
            needed = [word for word in " ".join(settings).replace("=", " ").split() if word.startswith("study/")]
            assert all(Path(word).parent.parent in made for word in needed), (budget, place)
            made.append(place)


@pytest.mark.parametrize("config", STUDIES, ids=lambda path: path.parent.name)
def test_a_study_has_its_question_and_its_command(config):
    text = (config.parent / "README.md").read_text()
    assert "**The question.**" in text
    assert f"analyses.{config.parent.name}.run" in text or "make figures" in text


def test_unknown_budget_and_data_are_refused():
    config = next(path for path in STUDIES if path.parent.name == "temperature")
    with pytest.raises(ConfigError, match="no budget huge"):
        read_plan(config, data="digits", budget="huge")
    with pytest.raises(ConfigError, match="no plan for cifar10 at budget demo"):
        read_plan(config, data="cifar10", budget="demo")
