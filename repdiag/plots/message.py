"""What a figure shows of these data, in one clause: the title of the figure and its first line on the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from repdiag.plots.frame_check import distinct
from repdiag.plots.text import short_names

_NAMED = 4  # of more encoders or classes only the first are named
_LONGEST = 28


def message(name: str, frame: pd.DataFrame, *, untrained: Sequence[str] = ()) -> str:
    """Return the message of the figure `name`; empty for one that has none, and where its numbers are missing."""
    found = _MESSAGES.get(name)
    if found is None:
        return ""
    of_trained = frame[~frame["checkpoint"].astype(str).isin(list(untrained))]
    used = frame if of_trained.empty else of_trained
    shown = short_names(distinct(used, "checkpoint"), limit=_LONGEST)
    return found(used.assign(checkpoint=[shown[str(one)] for one in used["checkpoint"]]))


def _said(parts: Sequence[str]) -> str:
    rest = len(parts) - _NAMED
    return ", ".join(parts[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _of_each(values: dict[str, str]) -> str:
    """Return one value, or each with its name."""
    if len(values) == 1:
        return next(iter(values.values()))
    return _said([f"{name} {value}" for name, value in values.items()])


def _first(frame: pd.DataFrame, column: str) -> dict[str, float]:
    known = frame.dropna(subset=[column])
    return {str(name): float(rows[column].iloc[0]) for name, rows in known.groupby("checkpoint", sort=False)}


def _comparison(frame: pd.DataFrame) -> str:
    for metric in ("r_precision", "knn_accuracy"):
        rows = frame[frame["metric"] == metric].dropna(subset=["value", "ci_low", "ci_high"])
        if len(rows) > 1:
            rows = rows.sort_values("value", ascending=False, kind="stable")
            best, second = (rows.iloc[at] for at in (0, 1))
            label = str(best["label"]).partition(",")[0]
            if best["ci_low"] > second["ci_high"]:
                more = 100 * (best["value"] - second["value"])
                return f"{best['checkpoint']} leads in {label}, {more:.1f} points ahead of {second['checkpoint']}"
            return f"{best['checkpoint']} and {second['checkpoint']} are tied in {label}: their intervals meet"
        if len(rows) == 1:
            return f"{str(rows['label'].iloc[0]).partition(',')[0]} {100 * float(rows['value'].iloc[0]):.1f} %"
    return ""


def _over_clusters(frame: pd.DataFrame) -> str:
    peaks = {} if "granularity" not in frame else _first(frame, "granularity")
    said = {name: f"{value:.2g}" for name, value in peaks.items()}
    return f"Clusters per class at which they fit the classes best: {_of_each(said)}" if said else ""


def _distances(frame: pd.DataFrame) -> str:
    if "mean" not in frame:
        return ""
    means = {kind: _first(frame[frame["kind"] == kind], "mean") for kind in ("intra", "inter")}
    ratios = {
        name: f"{low / means['inter'][name]:.2f}" for name, low in means["intra"].items() if means["inter"].get(name)
    }
    return f"Distance within a class, as a share of that between classes: {_of_each(ratios)}" if ratios else ""


def _confusion(frame: pd.DataFrame) -> str:
    largest = frame.groupby(["checkpoint", "class_name"], sort=False)["share"].max().reset_index()
    worst = {}
    for name, rows in largest.groupby("checkpoint", sort=False):
        low = rows.iloc[int(rows["share"].to_numpy(dtype=float).argmin())]
        worst[str(name)] = f"{low['class_name']} ({100 * low['share']:.0f} % in one cluster)"
    return f"Most scattered class: {_of_each(worst)}" if worst else ""


def _plane(frame: pd.DataFrame) -> str:
    rows = frame.dropna(subset=["uniformity", "alignment"])
    if rows.empty:
        return ""
    rows = rows[rows["space"] == rows["space"].iloc[0]]
    spread = rows.iloc[int(rows["uniformity"].to_numpy(dtype=float).argmin())]
    close = rows.iloc[int(rows["alignment"].to_numpy(dtype=float).argmin())]
    if rows["checkpoint"].nunique() == 1:
        return f"Views lie {close['alignment']:.2f} apart; uniformity is {spread['uniformity']:.2f}"
    return f"{spread['checkpoint']} spreads most; {close['checkpoint']} holds views closest"


def _instances(frame: pd.DataFrame) -> str:
    if "gap" not in frame:
        return ""
    known = frame.dropna(subset=["gap"])
    said = {}
    for name, rows in known.groupby("checkpoint", sort=False):
        low, high = (rows[end].iloc[0] if end in rows else float("nan") for end in ("gap_low", "gap_high"))
        reach = f" [{100 * low:+.1f}, {100 * high:+.1f}]" if pd.notna(low) and pd.notna(high) else ""
        said[str(name)] = f"{100 * float(rows['gap'].iloc[0]):+.1f}{reach}"
    return f"Train minus val, in points: {_of_each(said)}" if said else ""


def _spectrum(frame: pd.DataFrame) -> str:
    rows = frame[frame["space"] == frame["space"].iloc[0]]
    dims = _first(rows, "dims")
    said = {name: f"{value:.3g} of {dims[name]:.0f}" for name, value in _first(rows, "rankme").items() if name in dims}
    return f"Directions in use (RankMe): {_of_each(said)}" if said else ""


def _split(frame: pd.DataFrame) -> str:
    pieces = frame.groupby(["checkpoint", "class_name"], sort=False)["pieces"].first().reset_index()
    said = {
        str(name): _said([f"{one} ({count})" for one, count in zip(rows["class_name"], rows["pieces"], strict=True)])
        for name, rows in pieces.groupby("checkpoint", sort=False)
    }
    return f"Classes in separate groups: {_of_each(said)}"


def _map(frame: pd.DataFrame) -> str:
    return f"{frame['row_id'].nunique():,} images of {frame['class_name'].nunique()} classes"


def _deployment(frame: pd.DataFrame) -> str:
    """Hold the best encoder against the cheapest, by the first measure and the first cost."""
    panel = frame[(frame["metric"] == frame["metric"].iloc[0]) & (frame["cost"] == frame["cost"].iloc[0])]
    known = panel.dropna(subset=["value", "amount"])
    if len(known) < 2:
        return ""
    best, cheap = known.loc[known["value"].idxmax()], known.loc[known["amount"].idxmin()]
    label = str(best["label"]).partition(",")[0]
    if best["checkpoint"] == cheap["checkpoint"]:
        return f"{best['checkpoint']} is the best by {label} and the cheapest"
    gain, factor = 100 * (best["value"] - cheap["value"]), best["amount"] / cheap["amount"]
    cost = str(best["cost_label"])
    return f"{best['checkpoint']}: {label} {gain:+.1f} points over {cheap['checkpoint']} at {factor:.1f} x {cost}"


def _history(frame: pd.DataFrame) -> str:
    ends = {}
    for name, rows in frame.dropna(subset=["loss"]).groupby("checkpoint", sort=False):
        ends[str(name)] = f"from {rows['loss'].iloc[0]:.2f} to {rows['loss'].iloc[-1]:.2f}"
    return f"Loss: {_of_each(ends)}" if ends else ""


def _trajectory(frame: pd.DataFrame) -> str:
    rows = frame[frame["metric"] == "knn_accuracy"].dropna(subset=["value"])
    ends = {}
    for name, part in rows.groupby("checkpoint", sort=False):
        ordered = part.sort_values("epoch")
        start, end = (100 * float(ordered["value"].iloc[at]) for at in (0, -1))
        ends[str(name)] = f"from {start:.1f} % to {end:.1f} %"
    return f"kNN accuracy: {_of_each(ends)}" if ends else ""


def _scatter(frame: pd.DataFrame) -> str:
    if "correlation" not in frame:
        return ""
    known = frame.dropna(subset=["correlation"])
    said = {
        str(label): f"{float(rows['correlation'].iloc[0]):+.2f}" for label, rows in known.groupby("label", sort=False)
    }
    return f"Rank correlation with accuracy: {_said([f'{one} {value}' for one, value in said.items()])}" if said else ""


def _settings(frame: pd.DataFrame) -> str:
    rows = frame[frame["metric"] == "knn_accuracy"].dropna(subset=["value"])
    if rows.empty:
        return ""
    best = rows.iloc[int(rows["value"].to_numpy(dtype=float).argmax())]
    return f"kNN accuracy is highest at {best['varied']} {best['setting']}: {100 * best['value']:.1f} %"


_MESSAGES: dict[str, Callable[[pd.DataFrame], str]] = {
    "checkpoint_comparison": _comparison,
    "over_cluster_curve": _over_clusters,
    "class_distance_distributions": _distances,
    "cluster_class_confusion": _confusion,
    "alignment_uniformity_plane": _plane,
    "instance_discrimination_bars": _instances,
    "singular_spectrum": _spectrum,
    "split_classes": _split,
    "embedding_map": _map,
    "deployment_tradeoff": _deployment,
    "training_history": _history,
    "training_trajectory": _trajectory,
    "scatter_against_accuracy": _scatter,
    "setting_curves": _settings,
}
