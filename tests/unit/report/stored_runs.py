"""Writes small run directories as an analysis or a comparison leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.files import write_json
from repdiag.core.metric_table import MetricRow, MetricTable, Role
from repdiag.core.provenance import Provenance
from repdiag.diagnosis.checkpoint_pairs import CLASS_COLUMNS, COLUMNS
from repdiag.diagnosis.diagnose import judge
from repdiag.embeddings.store import save_embedding_set
from repdiag.results.thumbnails import save_thumbnails, thumbnail_key

UNTRAINED = " (untrained)"
CURVE = (0.5, 1.0, 2.0, 4.0)


def metric_rows(
    name: str, *, quality: float, classes: int = 4, dataset: str = "digits", role: Role = "trained"
) -> list[MetricRow]:
    """Rows as `evaluate` gives them; a better `quality` gives better values."""
    found = []

    def add(metric: str, value: float | None, *, split: str = "val", reach: float = 0.02, **params: object) -> None:
        found.append(
            MetricRow(
                checkpoint=name,
                role=role,
                classes=classes,
                dataset=dataset,
                split=split,
                space="features",
                metric=metric,
                version=1,
                params=params,
                value=value,
                ci_low=None if value is None else value - reach,
                ci_high=None if value is None else value + reach,
                ci_method="query bootstrap",
                n=200,
                seed=0,
                reason=None if value is not None else "no projector in the checkpoint",
                extra={"sd": 0.01, "per_class_clusters": params["clusters"] / classes}  # type: ignore[operator]
                if "clusters" in params
                else {},
            )
        )

    for split, shift in (("train", 0.03), ("val", 0.0)):
        add("alignment", 0.8 - 0.5 * quality, split=split, pair="original-view", alpha=2)
        add("alignment", 0.9 - 0.5 * quality, split=split, pair="view-view", alpha=2)
        add("uniformity", -1.0 - 2 * quality, split=split, t=2.0)
        for k in range(1, 6):
            value = min(1.0, 0.3 + 0.6 * quality + shift + 0.01 * k)
            add("instance_discrimination_accuracy", value, split=split, pair="original-view", k=k)
    add("pretext_gap", 0.03, pair="original-view", k=1)
    add("knn_accuracy", 0.2 + 0.7 * quality, k=20)
    add("intra_class_distance", 1.5 - quality)
    add("class_distance_ratio", 1.0 - 0.6 * quality)
    add("granularity", 1.0 + 6 * (1 - quality))
    add("rankme", 10 + 40 * quality, reach=3.0)
    add("contrast_accuracy", None)
    for metric in ("kmeans_purity", "ami", "homogeneity", "completeness"):
        for ratio in CURVE:
            add(metric, quality * (0.5 + 0.1 * ratio), clusters=int(ratio * classes), seed=0)
    return found


def embedding_set(split: str, *, names: Sequence[str], rows: int, seed: int, spread: float = 0.5) -> EmbeddingSet:
    """Gaussian classes around random centres."""
    noise = torch.Generator().manual_seed(seed)
    labels = torch.arange(rows) % len(names)
    centres = torch.randn(len(names), 16, generator=noise)
    features = centres[labels] + spread * torch.randn(rows, 16, generator=noise)
    return EmbeddingSet(
        features=features,
        labels=labels,
        row_ids=np.asarray([f"{split}/{number:06d}" for number in range(rows)]),
        class_names=tuple(names),
        provenance=Provenance(dataset="digits", split=split),
    )


def write_analysis(
    folder: Path, name: str, *, names: Sequence[str] = ("one", "two", "three", "four"), rows: int = 48, seed: int = 0
) -> list[MetricRow]:
    """Write one analysis of a trained encoder and its untrained copy; return the rows of its table."""
    trained = metric_rows(name, quality=0.8 - 0.1 * seed, classes=len(names))
    table = trained + metric_rows(name + UNTRAINED, quality=0.1, classes=len(names), role="untrained")
    write_table(folder, table)
    write_json(folder / "verdict.json", judge(MetricTable(tuple(trained))).to_dict())
    pictures = []
    for split in ("train", "val"):
        found = embedding_set(split, names=names, rows=rows, seed=seed + (split == "val"))
        save_embedding_set(found, folder / "embeddings" / split)
        pictures += [thumbnail_key(split, f"{split}/{number:06d}") for number in range(rows)]
    shades = (torch.full((3, 12, 10), number * 97 % 255, dtype=torch.uint8) for number in range(len(pictures)))
    save_thumbnails(folder, shades, keys=pictures)
    write_classes(folder, name, names)
    record = {"schema_version": 1, "kind": "analyze", "command": f"repdiag analyze {name}.pt", "excluded": []}
    write_json(folder / "run.json", record)
    return table


def write_comparison(folder: Path, checkpoints: Sequence[str], **options: object) -> Path:
    """Write a comparison of several analyses."""
    import json

    table, verdicts = [], {}
    for seed, name in enumerate(checkpoints):
        part = folder / "checkpoints" / name.replace("/", "-")
        table += write_analysis(part, name, seed=seed, **options)  # type: ignore[arg-type]
        verdicts[name] = json.loads((part / "verdict.json").read_text("utf-8"))
    write_table(folder, table)
    write_pairs(folder, checkpoints, options.get("names", ("one", "two", "three", "four")))  # type: ignore[arg-type]
    write_json(folder / "verdict.json", verdicts)
    record = {
        "schema_version": 1,
        "kind": "compare",
        "command": "repdiag compare",
        "failures": {"gone.pt": "cannot be read"},
    }
    write_json(folder / "run.json", record)
    return folder


def write_table(folder: Path, rows: Sequence[MetricRow]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    MetricTable(tuple(rows)).to_frame().to_parquet(folder / "metrics.parquet", index=False)


def write_classes(folder: Path, checkpoint: str, names: Sequence[str]) -> None:
    """Write what the classes of one checkpoint are told by: kNN accuracy, and clusters in which the first two merge."""
    common = {"checkpoint": checkpoint, "dataset": "digits", "split": "val", "space": "features"}
    frame = pd.DataFrame({"class_name": list(names), "value": np.linspace(0.5, 0.9, len(names)), "n": 12})
    frame = frame.assign(**common, metric="knn_accuracy", version=1, params='{"k": 20, "top": 1}')
    frame.to_parquet(folder / "per_class.parquet", index=False)
    (folder / "figures").mkdir(exist_ok=True)
    clusters = [max(0, number - 1) for number in range(len(names))]
    frame = pd.DataFrame({**common, "cluster": clusters, "class_name": list(names), "count": 12, "share": 1.0})
    frame.to_csv(folder / "figures" / "cluster_class_confusion.csv", index=False)


def write_pairs(folder: Path, checkpoints: Sequence[str], names: Sequence[str]) -> None:
    """Write tests by which all checkpoints differ in kNN accuracy, none in uniformity, and in every class but one."""
    common = {"params": "{}", "split": "val", "space": "features", "n": 200, "method": "sign flips of 4 classes"}
    numbers = {"first_value": 0.5, "second_value": 0.7, "difference": -0.2, "ci_low": -0.3, "ci_high": -0.1}
    tests, classes = [], []
    for at, first in enumerate(checkpoints):
        for second in checkpoints[at + 1 :]:
            pair = {"first": first, "second": second, **common, **numbers, "p_value": 0.01}
            tests.append({**pair, "metric": "knn_accuracy", "p_holm": 0.02, "differs": True})
            tests.append({**pair, "metric": "uniformity", "p_holm": 0.4, "differs": False})
            for name in names:
                differs = name != names[0]
                classes.append(
                    {**pair, "metric": "knn_accuracy", "class_name": name, "p_holm": 0.02, "differs": differs}
                )
    pd.DataFrame(tests, columns=list(COLUMNS)).to_csv(folder / "paired_tests.csv", index=False)
    pd.DataFrame(classes, columns=list(CLASS_COLUMNS)).to_csv(folder / "class_changes.csv", index=False)
