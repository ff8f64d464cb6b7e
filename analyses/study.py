"""Runs a study: trains one encoder for each value of a setting, analyzes and compares them, draws metric by value.

A study's folder holds README.md (question, command, finding), config.yaml and a run.py that calls `main`. config.yaml:

    varied: softmax temperature            # axis title
    demo:                                  # one plan a budget and dataset; "default" is for any other dataset
      digits:
        recipe: digits_moco_v2
        epochs: 8
        per_class: 36                      # images a class that are analyzed
        probe: linear                      # optional: downstream protocols beside the diagnosis
        settings: [loop.batch_size=64]     # for every run of the plan's recipe; recipe=NAME takes another recipe
        always: [backbone.name=resnet20]   # optional: for every run of whichever recipe
        first:                             # optional: runs that the others need; {NAME} is the last checkpoint
          teacher: [backbone.name=resnet56]
        values:                            # one run each: the name it gets, and what is set for it
          "0.1": [method.temperature=0.1]
          "0.2": [method.temperature=0.2]

Every step is a `repdiag` command, printed before it runs; a second run goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from repdiag.core.errors import ConfigError, RepdiagError


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What config.yaml says for one budget and dataset."""

    varied: str
    recipe: str
    epochs: int
    per_class: int
    values: dict[str, list[str]]
    first: dict[str, list[str]] = field(default_factory=dict)
    settings: list[str] = field(default_factory=list)
    always: list[str] = field(default_factory=list)
    limit: int | None = None
    probe: str | None = None
    """Protocols that the encoders are also tried out by, by commas."""

    def recipe_of(self, settings: Sequence[str]) -> tuple[str, list[str]]:
        """Return the recipe of a run and all that is set in it.

        A run by another recipe says all but `always`: the plan's settings are made for the plan's recipe.
        """
        others = [setting.removeprefix("recipe=") for setting in settings if setting.startswith("recipe=")]
        own = [setting for setting in settings if not setting.startswith("recipe=")]
        if others:
            return others[0], [*self.always, *own]
        return self.recipe, [*self.always, *self.settings, *own]

    def trainings(self, out: Path) -> dict[Path, list[str]]:
        """Return the folder of each run below `out` and what is set for it, in the order in which they are needed.

        Runs that others start from lie in a folder of their own: a value may bear the name of what it starts from.
        A value may start from another one too, which `first` does not name.
        """
        places = {out / "runs" / name: settings for name, settings in self.values.items()}
        first = {out / "first" / name: settings for name, settings in self.first.items()}
        last = {place.name: place / "checkpoints" / "last.pt" for place in (*places, *first)}
        places = first | places
        return {place: [setting.format(**last) for setting in settings] for place, settings in places.items()}


def main(run_file: str, *, doc: str | None) -> None:
    """Run the study in whose folder `run_file` lies, as the command line says."""
    folder = Path(run_file).parent
    parser = arguments(run_file, doc=doc)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        plan = read_plan(folder / "config.yaml", data=options.data, budget=options.budget)
    except RepdiagError as error:
        sys.exit(str(error))
    run_study(plan, options)


def arguments(run_file: str, *, doc: str | None) -> argparse.ArgumentParser:
    """Return the parser of what everything with a plan is asked: on which data, for how long, where to and on what."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="a dataset's name or imagefolder:PATH")
    parser.add_argument("--budget", default="demo", help="one of the budgets in config.yaml")
    parser.add_argument("--out", type=Path, default=Path("figures") / Path(run_file).parent.name)
    parser.add_argument("--device", default="auto")
    return parser


def read_plan(config: Path, *, data: str, budget: str) -> Plan:
    """Return the plan for these data at this budget. Raises `ConfigError` where there is none."""
    content: dict[str, Any] = yaml.safe_load(config.read_text("utf-8"))
    budgets = {name: plans for name, plans in content.items() if name != "varied"}
    if budget not in budgets:
        raise ConfigError(f"no budget {budget}", found=config.parent.name, hint=f"one of {', '.join(budgets)}")
    plans = budgets[budget]
    if data not in plans and "default" not in plans:
        raise ConfigError(f"no plan for {data} at budget {budget}", hint=f"it is made for {', '.join(plans)}")
    return Plan(varied=content["varied"], **plans.get(data, plans.get("default")))


def run_study(plan: Plan, options: argparse.Namespace) -> None:
    """Train, compare, draw and report; print where everything is."""
    comparison = options.out / "comparison"
    for place, settings in plan.trainings(options.out).items():
        train(plan, settings, place, options)
    compare(plan, options.out / "runs", comparison, options)
    draw(plan, comparison)
    index = options.out / "index.html"
    repdiag("report", str(comparison), "--out", str(index))
    print(f"\nopen {index}")
    print(f"figures: {comparison / 'figures'}")
    print(f"{plan.varied}: {comparison / 'figures' / 'setting_curves.png'}")
    for name in plan.values:
        print(f"{name}: {comparison / 'checkpoints' / name / 'figures'}")


def train(plan: Plan, settings: Sequence[str], out: Path, options: argparse.Namespace) -> None:
    """Train one encoder, or finish its training."""
    recipe, chosen = plan.recipe_of(settings)
    changes = [word for setting in chosen for word in ("--set", setting)]
    repdiag(
        "train",
        *("--recipe", recipe, "--data", options.data, "--epochs", str(plan.epochs)),
        *("--seed", str(options.seed), "--device", options.device, "--out", str(out), "--resume", "auto"),
        *changes,
    )


def compare(plan: Plan, runs: Path, out: Path, options: argparse.Namespace) -> None:
    """Analyze all encoders on the same rows and views."""
    limit = ("--limit", str(plan.limit)) if plan.limit is not None else ()
    probe = ("--probe", plan.probe) if plan.probe is not None else ()
    repdiag(
        "compare",
        *(str(runs / name) for name in plan.values),
        *("--data", options.data, "--per-class", str(plan.per_class), "--seed", str(options.seed)),
        *("--device", options.device, "--out", str(out), *limit, *probe),
    )


def draw(plan: Plan, comparison: Path) -> None:
    """Draw the metrics against the varied setting from the comparison's tables."""
    from repdiag.core.metric_table import untrained_name
    from repdiag.plots.save import save_figure
    from repdiag.plots.setting_curves import setting_curves
    from repdiag.results.frames.setting_frame import setting_frame
    from repdiag.results.reading import read_table

    frame = setting_frame(read_table(comparison), plan.varied, settings=tuple(plan.values))
    figure = setting_curves(frame, untrained=tuple(map(untrained_name, plan.values)))
    save_figure(figure, frame, comparison / "figures", name="setting_curves")


def repdiag(*words: str) -> None:
    """Print and run one command; its failure is ours."""
    print(f"\n$ repdiag {shlex.join(words)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "repdiag", *words], check=False)
    if done.returncode:
        sys.exit(done.returncode)
