"""Methods: Is each method's encoder better than the one it started from, and how much does the seed change that?

Embedded digits on a CPU by default; --data imagefolder:/path for photographs; --budget gpu or full for longer runs.
A second call goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyses.methods.results import write_results
from analyses.study import Plan, arguments, read_plan
from repdiag.core.errors import RepdiagError
from repdiag.core.files import write_json

if TYPE_CHECKING:
    from repdiag.config.training import TrainSettings
    from repdiag.data.image_split import ImageSplit

K = 20
"""Neighbours that vote."""


def main() -> None:
    """Train every method from every seed, then write the table and the figure."""
    parser = arguments(__file__, doc=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="runs of each method")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    try:
        plan = read_plan(Path(__file__).with_name("config.yaml"), data=options.data, budget=options.budget)
        records = [record for seed in range(options.seeds) for record in runs_of_seed(plan, options, seed)]
    except RepdiagError as error:
        sys.exit(str(error))
    write_results(records, options.out, k=K)


def runs_of_seed(plan: Plan, options: argparse.Namespace, seed: int) -> list[dict[str, Any]]:
    """Return one record for each method; what `first` names is trained once and serves all seeds."""
    last: dict[str, str] = {}
    for name, settings in plan.first.items():
        trained = settings_of(plan, settings, options, seed=seed)
        last[name] = str(trained_encoder(trained, options.out / "runs" / name, options))
    records = []
    for name, settings in plan.values.items():
        trained = settings_of(plan, [setting.format(**last) for setting in settings], options, seed=seed)
        record = one_run(name, trained, options.out / "runs" / f"{name}-{seed}", options, per_class=plan.per_class)
        records.append(record)
        print(
            f"{name}, seed {seed}: kNN {record['untrained']:.1%} untrained, {record['trained']:.1%} trained", flush=True
        )
    return records


def settings_of(plan: Plan, settings: list[str], options: argparse.Namespace, *, seed: int) -> TrainSettings:
    """Return the complete settings of one run; a seed that the plan gives goes before the study's."""
    from repdiag.training.assembly import resolve_settings

    recipe, chosen = plan.recipe_of(settings)
    return resolve_settings(recipe, data=options.data, epochs=plan.epochs, seed=seed, overrides=chosen)


def trained_encoder(settings: TrainSettings, out: Path, options: argparse.Namespace) -> Path:
    """Train, or finish a training; return its last checkpoint. Raises `StoppedError` where a signal ended it early."""
    from repdiag.training.loop import train
    from repdiag.training.progress import PlainProgress

    print(f"\n{out.name}: {settings.recipe}, {settings.backbone.name} on {settings.data.dataset}", flush=True)
    return train(settings, out, device=options.device, progress=PlainProgress(seconds=30.0))


def one_run(
    name: str, settings: TrainSettings, out: Path, options: argparse.Namespace, *, per_class: int
) -> dict[str, Any]:
    """Return method, seed and the kNN accuracies before and after the training."""
    kept = out / "knn.json"
    if kept.exists():
        record: dict[str, Any] = json.loads(kept.read_text("utf-8"))
        return record
    last = trained_encoder(settings, out, options)
    accuracies = {
        "untrained": knn(last.with_name("initial.pt"), settings, options, per_class=per_class),
        "trained": knn(last, settings, options, per_class=per_class),
    }
    record = {"method": name, "seed": settings.loop.seed, "dataset": settings.data.dataset, **accuracies}
    write_json(kept, record)
    return record


def knn(checkpoint: Path, settings: TrainSettings, options: argparse.Namespace, *, per_class: int) -> float:
    """Return the accuracy of the val rows' votes among the rows that were trained on."""
    from repdiag.checkpoints.load import load_encoder
    from repdiag.config.views import EvaluationSettings
    from repdiag.data.datasets import open_dataset
    from repdiag.embeddings.extract import extract
    from repdiag.metrics.evaluate import evaluate
    from repdiag.training.assembly import open_train_split

    own_code = settings.backbone.name if ":" in settings.backbone.name else None
    encoder = load_encoder(checkpoint, backbone=own_code)
    val = open_dataset(settings.data.dataset, "val", root=settings.data.root).balanced(per_class, seed=0)

    def embed(split: ImageSplit) -> Any:
        return extract(
            encoder, split, settings=EvaluationSettings(preset=split.preset, views=0), device=resolved(options)
        )

    found = evaluate(embed(val), [("knn_accuracy", {"k": K})], bank=embed(open_train_split(settings)), intervals=False)
    value = found.value(metric="knn_accuracy", space="features")
    assert value is not None
    return value


def resolved(options: argparse.Namespace) -> str:
    """Return the device that "auto" stands for."""
    import torch

    return ("cuda" if torch.cuda.is_available() else "cpu") if options.device == "auto" else str(options.device)


if __name__ == "__main__":
    main()
