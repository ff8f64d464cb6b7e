"""Train a small and a large backbone by the same recipe, analyze and compare them, draw the figures.

Run it as `make figures`, or `python -m analyses.small_vs_large.run --data imagefolder:/path --budget full`.
Every step is a `repdiag` command, printed before it runs; a second run goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="a dataset's name or imagefolder:PATH")
    parser.add_argument("--budget", default="demo", choices=("demo", "cpu", "full"))
    parser.add_argument("--out", type=Path, default=Path("figures"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    plan = read_plan(options.data, options.budget)
    runs = options.out / "runs"
    for backbone in plan["backbones"]:
        train(plan, backbone, runs / backbone, options)
    compare(plan, runs, options)
    repdiag("report", str(options.out / "comparison"))
    print(f"\nreport:  {options.out / 'comparison' / 'report.html'}")
    print(f"figures: {options.out / 'comparison' / 'figures'}")
    print(f"one page: {options.out / 'comparison' / 'figures' / 'checkpoint_comparison.png'}")
    for backbone in plan["backbones"]:
        folder = options.out / "comparison" / "checkpoints" / backbone / "figures"
        print(f"{backbone}: {folder}")


def read_plan(data: str, budget: str) -> dict[str, Any]:
    """Return the backbones, recipe and length for these data at this budget."""
    plans = yaml.safe_load((HERE / "config.yaml").read_text("utf-8"))[budget]
    plan: dict[str, Any] = plans.get(data, plans["default"])
    return plan


def train(plan: dict[str, Any], backbone: str, out: Path, options: argparse.Namespace) -> None:
    settings = [word for setting in plan.get("settings", ()) for word in ("--set", setting)]
    repdiag(
        "train",
        *("--recipe", plan["recipe"], "--data", options.data, "--backbone", backbone),
        *("--epochs", str(plan["epochs"]), "--seed", str(options.seed), "--device", options.device),
        *("--out", str(out), "--resume", "auto", *settings),
    )


def compare(plan: dict[str, Any], runs: Path, options: argparse.Namespace) -> None:
    limit = ("--limit", str(plan["limit"])) if "limit" in plan else ()
    repdiag(
        "compare",
        *(str(runs / backbone) for backbone in plan["backbones"]),
        *("--data", options.data, "--per-class", str(plan["per_class"]), "--seed", str(options.seed)),
        *("--device", options.device, "--out", str(options.out / "comparison"), *limit),
    )


def repdiag(*words: str) -> None:
    """Print and run one command; its failure is ours."""
    print(f"\n$ repdiag {shlex.join(words)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "repdiag", *words], check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
