"""What each metric is for encoders whose quality is known: the typical values of the metric cards and of the report.

    python -m benchmarks.typical_values "untrained=COMPARISON:resnet20 (untrained)" "over-clustered=sup40.npz" ...

A source is the folder of a comparison with the name of a checkpoint in it, or a file of vectors (features, views,
labels, and train_features, train_views, train_labels of images it was trained on). Every source has ten classes, so
that values at "as many clusters as classes" go together. Writes repdiag/report/typical_values.csv.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.files import write_text
from repdiag.core.metric_table import MetricRow, MetricTable
from repdiag.core.version import __version__
from repdiag.metrics.evaluate import evaluate
from repdiag.metrics.registry import load_all
from repdiag.report.typical import COLUMNS, TABLE
from repdiag.results.headlines import HEADLINES

CLASSES = 10
# Of metrics with several settings, the one that the cards show; headline metrics say it themselves.
SETTINGS: tuple[dict[str, Any], ...] = (
    {"clusters": CLASSES},
    {"clusters": 2 * CLASSES},  # granularity_slope compares with as many clusters as classes
    {"pair": "original-view", "k": 1},
    {"pair": "original-view"},
    {"of": "precision_at_1"},
    {"k": 1},
    {},
)


def stored(folder: str, checkpoint: str) -> tuple[MetricTable, int]:
    """Return the values of one checkpoint of a comparison, and its number of dimensions."""
    table = MetricTable.from_frame(pd.read_parquet(Path(folder) / "metrics.parquet"))
    found = table.where(checkpoint=checkpoint)
    spectrum = found.where(metric="effective_rank", split="val", space="features").rows[0]
    return found, int(spectrum.extra["dims"])


def measured(file: str) -> tuple[MetricTable, int]:
    """Return the values of a file of vectors, and their number of dimensions."""
    with np.load(file) as arrays:
        held = {name: np.asarray(arrays[name], dtype=np.float32) for name in arrays.files if "features" in name}
        held |= {name: np.asarray(arrays[name], dtype=np.float32) for name in arrays.files if "views" in name}
        labels = {name: arrays[name] for name in arrays.files if name.endswith("labels")}
    val = EmbeddingSet(features=held["features"], views=held["views"], labels=labels["labels"])
    bank = EmbeddingSet(features=held["train_features"], views=held["train_views"], labels=labels["train_labels"])
    return evaluate(val, bank=bank, intervals=False), int(val.features.shape[1])


def chosen(table: MetricTable, metric: str) -> MetricRow | None:
    """Return the row of a metric that a card shows: of val images, of the features where it is measured there."""
    of_metric = table.where(metric=metric)
    if "val" in of_metric.names("split"):
        of_metric = of_metric.where(split="val")
    space = "features" if "features" in of_metric.names("space") else "projections"
    headline = [dict(headline.params) for headline in HEADLINES if headline.metric == metric and headline.params]
    for settings in (*headline, *SETTINGS):
        found = [row for row in of_metric.where(space=space, **settings) if row.value is not None]
        if found:
            return found[0]
    return None


def main() -> None:
    """Read the sources and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+", metavar="NAME|DATA=SOURCE", help="what it is, and where it lies")
    records = []
    for argument in parser.parse_args().sources:
        label, source = argument.split("=", 1)
        encoder, _, data = label.partition("|")
        table, width = measured(source) if source.endswith(".npz") else stored(*source.split(":", 1))
        for metric, registered in load_all().items():
            row = chosen(table, metric)
            if row is not None and row.version == registered.version:  # an older definition is another number
                settings = " ".join(f"{name}={value}" for name, value in sorted(row.params.items()) if name in shown())
                values = (encoder, data, row.n, width, metric, row.version, settings, f"{row.value:.6g}")
                records.append(dict(zip(COLUMNS, values, strict=True)))
        print(f"{encoder}: {sum(record['encoder'] == encoder for record in records)} metrics")
    commit = subprocess.run(("git", "rev-parse", "--short", "HEAD"), capture_output=True, text=True, check=True).stdout
    day = datetime.datetime.now(datetime.UTC).date()
    head = f"# python -m benchmarks.typical_values, repdiag {__version__} at {commit.strip()}, {day}\n"
    write_text(TABLE, head + pd.DataFrame(records).to_csv(index=False, lineterminator="\n"))


def shown() -> set[str]:
    """Return the names of settings that tell the rows of one metric apart."""
    return {name for settings in SETTINGS for name in settings} | {"top"}


if __name__ == "__main__":
    main()
