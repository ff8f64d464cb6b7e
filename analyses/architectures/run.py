"""Architectures: which metrics of the space follow accuracy over backbones that were trained alike?

Embedded digits on a CPU by default; --data imagefolder:/path with --budget gpu or full for photographs. A second call
goes on where the first one stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyses.architectures.results import ACCURACIES, METRICS, write_results
from analyses.methods.run import resolved, settings_of, trained_encoder
from analyses.study import arguments, read_plan
from repdiag.core.errors import RepdiagError
from repdiag.core.files import write_json

if TYPE_CHECKING:
    from repdiag.config.training import TrainSettings
    from repdiag.core.embedding_set import EmbeddingSet


def main() -> None:
    """Train every backbone, then write points, table and figure."""
    parser = arguments(__file__, doc=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    import torch

    torch.set_num_threads(options.threads)
    try:
        plan = read_plan(Path(__file__).with_name("config.yaml"), data=options.data, budget=options.budget)
        records = []
        for name, chosen in plan.values.items():
            settings = settings_of(plan, chosen, options, seed=options.seed)
            records += measured(name, settings, options.out / "runs" / name, options, per_class=plan.per_class)
    except RepdiagError as error:
        sys.exit(str(error))
    write_results(records, options.out)


def measured(
    name: str, settings: TrainSettings, out: Path, options: argparse.Namespace, *, per_class: int
) -> list[dict[str, Any]]:
    """Return one record a metric: value and interval on val; kNN and the probe look among the rows trained on."""
    kept = out / "points.json"
    if kept.exists():
        records: list[dict[str, Any]] = json.loads(kept.read_text("utf-8"))
        return records
    from repdiag.metrics.evaluate import evaluate

    checkpoint = trained_encoder(settings, out, options)
    val, bank = embedded(checkpoint, settings, options, per_class=per_class)
    wanted = [*METRICS, *ACCURACIES]
    found = evaluate(val, [name if name != "knn_accuracy" else (name, {"k": 20}) for name in wanted], bank=bank)
    records = [
        {
            "checkpoint": name,
            "dataset": settings.data.dataset,
            "dims": val.features.shape[1],
            "metric": row.metric,
            **{key: getattr(row, key) for key in ("value", "ci_low", "ci_high", "n")},
        }
        for row in found.where(space="features")
    ]
    write_json(kept, records)
    print(f"{name}: " + ", ".join(f"{record['metric']} {record['value']:.3f}" for record in records), flush=True)
    return records


def embedded(
    checkpoint: Path, settings: TrainSettings, options: argparse.Namespace, *, per_class: int
) -> tuple[EmbeddingSet, EmbeddingSet]:
    """Return the features of val, at most `per_class` images of each class, and of what was trained on."""
    from repdiag.checkpoints.load import load_encoder
    from repdiag.config.views import EvaluationSettings
    from repdiag.data.datasets import open_dataset
    from repdiag.embeddings.extract import extract
    from repdiag.training.assembly import open_train_split

    encoder = load_encoder(checkpoint)
    val = open_dataset(settings.data.dataset, "val", root=settings.data.root).balanced(per_class, seed=0)
    return tuple(  # type: ignore[return-value]
        extract(encoder, split, settings=EvaluationSettings(preset=split.preset, views=0), device=resolved(options))
        for split in (val, open_train_split(settings))
    )


if __name__ == "__main__":
    main()
