"""Points, table and figure of the study: each metric against each accuracy over the backbones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.files import write_text

if TYPE_CHECKING:
    import pandas as pd

METRICS = {
    "intra_class_distance": "intra-class distance",
    "class_distance_ratio": "intra / inter distance",
    "uniformity": "uniformity",
}
ACCURACIES = {"knn_accuracy": "kNN accuracy, k = 20", "linear_probe_accuracy": "linear probe accuracy"}


def write_results(records: Sequence[dict[str, Any]], out: Path) -> None:
    """Write points.csv, architectures.md and the figure; print the tables."""
    import pandas as pd

    from repdiag.plots.save import save_figure
    from repdiag.plots.scatter_against_accuracy import scatter_against_accuracy

    points = pd.DataFrame(records)
    write_text(out / "points.csv", points.to_csv(index=False, lineterminator="\n"))
    frame = against_accuracy(points)
    text = f"{value_table(points)}\n{correlation_table(frame)}"
    write_text(out / "architectures.md", text)
    save_figure(scatter_against_accuracy(frame), frame, out / "figures", name="architectures")
    print(f"\n{text}\nfigure: {out / 'figures' / 'architectures.png'}")


def against_accuracy(points: pd.DataFrame) -> pd.DataFrame:
    """Return the frame of `scatter_against_accuracy`, a panel for each metric and accuracy, with rank correlations."""
    import pandas as pd

    from repdiag.metrics.inference.rank_correlation import rank_correlation

    wide = points.pivot_table(index="checkpoint", columns="metric", values=["value", "ci_low", "ci_high"], sort=False)
    common = points.groupby("checkpoint", sort=False)[["dataset", "n"]].first()
    frames = []
    for metric, label in METRICS.items():
        for accuracy, said in ACCURACIES.items():
            frame = pd.DataFrame(
                {
                    "dataset": common["dataset"],
                    "split": "val",
                    "metric": f"{metric}, {accuracy}",
                    "label": label,
                    "accuracy_label": said,
                    "value": wide["value", metric],
                    "accuracy": wide["value", accuracy],
                    **{f"value_{end}": wide[f"ci_{end}", metric] for end in ("low", "high")},
                    **{f"accuracy_{end}": wide[f"ci_{end}", accuracy] for end in ("low", "high")},
                    "n": common["n"],
                }
            )
            found = rank_correlation(frame["value"].tolist(), frame["accuracy"].tolist()) or (None, None, None)
            names = ("correlation", "correlation_low", "correlation_high")
            frames.append(frame.assign(**dict(zip(names, found, strict=True))).rename_axis("checkpoint").reset_index())
    return pd.concat(frames, ignore_index=True)


def value_table(points: pd.DataFrame) -> str:
    """Return one line a backbone in Markdown, best kNN accuracy first."""
    shown = {**ACCURACIES, **METRICS}
    lines = [f"| backbone | dims | {' | '.join(shown.values())} |", "|---" * (len(shown) + 2) + "|"]
    knn = points[points["metric"] == "knn_accuracy"].sort_values("value", ascending=False, kind="stable")
    for name, dims in zip(knn["checkpoint"], knn["dims"], strict=True):
        rows = points[points["checkpoint"] == name].set_index("metric")
        cells = [_cell(rows.loc[metric], percent=metric in ACCURACIES) for metric in shown]
        lines.append(f"| `{name}` | {dims} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def correlation_table(frame: pd.DataFrame) -> str:
    """Return Spearman's rank correlation of each metric with each accuracy in Markdown."""
    lines = [f"| | {' | '.join(ACCURACIES.values())} |", "|---" * (len(ACCURACIES) + 1) + "|"]
    for label, rows in frame.groupby("label", sort=False):
        cells = []
        for _, part in rows.groupby("accuracy_label", sort=False):
            rho, low, high = part[["correlation", "correlation_low", "correlation_high"]].iloc[0]
            cells.append(f"{rho:+.2f}" + ("" if low is None else f" [{low:+.2f}, {high:+.2f}]"))
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row: pd.Series, *, percent: bool) -> str:
    value, low, high = row[["value", "ci_low", "ci_high"]].astype(float)
    if percent:
        return f"{100 * value:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
