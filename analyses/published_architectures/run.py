"""Architectures: do intra-class distance and uniformity follow accuracy over six published encoders?

python -m analyses.published_architectures.run --out figures/published_architectures

From the numbers in published.csv alone: no training, no GPU, the same bytes every time. For runs of your own,
`repdiag figures RUN...` draws the same figure from five trained checkpoints on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from repdiag.metrics.inference.rank_correlation import rank_correlation
from repdiag.plots.save import save_figure
from repdiag.plots.scatter_against_accuracy import COLUMNS, scatter_against_accuracy

PUBLISHED = Path(__file__).with_name("published.csv")
SOURCE = "Published by Shi et al. 2022: MoCo v2 on ImageNet, linear accuracy"
LABELS = {"intra_class_distance": "intra-class distance", "uniformity": "uniformity"}


def published_frame() -> pd.DataFrame:
    """Return the frame of `scatter_against_accuracy` with the published points and their rank correlations."""
    given = pd.read_csv(PUBLISHED)
    frames = []
    for metric, label in LABELS.items():
        found = rank_correlation(given[metric].tolist(), given["accuracy"].tolist())
        assert found is not None, "six encoders have a rank correlation"
        frame = given[["checkpoint", "accuracy"]].assign(
            dataset=SOURCE, metric=metric, label=label, value=given[metric], n=None, split="val"
        )
        frames.append(
            frame.assign(**dict(zip(("correlation", "correlation_low", "correlation_high"), found, strict=True)))
        )
    columns = [*COLUMNS, "split", "correlation", "correlation_low", "correlation_high"]
    return pd.concat(frames, ignore_index=True)[columns]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("figures") / "published_architectures")
    out = parser.parse_args().out
    frame = published_frame()
    written = save_figure(scatter_against_accuracy(frame), frame, out, name="scatter_against_accuracy")
    for metric, rows in frame.groupby("metric", sort=False):
        rho, low, high = rows[["correlation", "correlation_low", "correlation_high"]].iloc[0]
        print(f"{metric}: Spearman {rho:+.2f} [{low:+.2f}, {high:+.2f}] over {len(rows)} encoders")
    print(f"figure: {written[0]}")


if __name__ == "__main__":
    main()
