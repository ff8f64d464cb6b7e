"""Synthetic tables shaped like those of a real run; the numbers are plausible, not measured."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

LONG = "simsiam_resnet50_imagenet1k_bs1024_lr0.05_wd1e-4_ep800_"
NAMES = (
    "resnet20", "resnet56", "resnet20 untrained", "mobilenet_v3_small", "resnet18", LONG + "seed1", LONG + "seed2",
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k", "runs/2026-11-02/checkpoints/epoch_0100.pt", "efficientnet_b0",
    "moco_v2_800ep_pretrain.pth.tar", "dino_deitsmall16",
)  # fmt: skip
UNTRAINED = ("resnet20 untrained",)
SOURCE = {"dataset": "digits", "split": "val", "space": "features", "n": 500}


def _quality(name: str) -> float:
    return 0.15 if name in UNTRAINED else 0.55 + 0.4 * (NAMES.index(name) * 5 % 12) / 12


def training_history(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    parts = []
    for rank, name in enumerate(names):
        epoch = np.arange(1, 31)
        rng = np.random.default_rng(rank)
        loss = 5.5 * np.exp(-epoch / (6 + rank)) + 2.1 + 0.1 * rank + 0.03 * rng.standard_normal(30)
        accuracy = 1 - np.exp(-epoch / (5 + rank)) * 0.95
        lr = 0.06 * 0.5 * (1 + np.cos(np.pi * epoch / 30))
        parts.append(
            pd.DataFrame({"checkpoint": name, "epoch": epoch, "loss": loss, "contrast_accuracy": accuracy, "lr": lr})
        )
    return pd.concat(parts, ignore_index=True).assign(dataset="digits", n=1297)


def instance_discrimination_bars(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    rows = []
    for name in names:
        quality = _quality(name)
        for split, shift in (("train", 0.04), ("val", 0.0)):
            for k in range(1, 6):
                value = min(1.0, quality - 0.1 + shift + 0.06 * np.log(k))
                rows.append(
                    {"checkpoint": name, "split": split, "pair": "original-view", "k": k, "value": value}
                    | {"ci_low": value - 0.03, "ci_high": min(1.0, value + 0.03)}
                    | {"gap": 0.04, "gap_low": 0.012, "gap_high": 0.069}
                )
    return pd.DataFrame(rows).assign(dataset="digits", space="features", n=500)


def alignment_uniformity_plane(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    rows = []
    for name in names:
        quality, rank = _quality(name), NAMES.index(name)
        for space, shift in (("features", 0.0), ("projections", -0.7)):
            for split, worse in (("train", 0.0), ("val", 0.05)):
                rows.append(
                    {"checkpoint": name, "split": split, "space": space, "accuracy": quality}
                    | {"alignment": 0.7 - 0.4 * quality + worse + 0.1 * np.sin(rank)}
                    | {"uniformity": -0.5 - 2.5 * quality + shift + worse}
                )
    return pd.DataFrame(rows).assign(dataset="digits", n=500)


def class_distance_distributions(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    edges = np.linspace(0, 4, 61)
    middle, parts = (edges[1:] + edges[:-1]) / 2, []
    for name in names:
        for kind, center in (("intra", 1.5 - 1.1 * _quality(name)), ("inter", 1.6 + 0.3 * _quality(name))):
            density = np.exp(-((middle - center) ** 2) / (2 * (0.22 + 0.1 * (kind == "inter")) ** 2))
            density /= density.sum() * (edges[1] - edges[0])
            parts.append(
                pd.DataFrame({"left": edges[:-1], "right": edges[1:], "density": density}).assign(
                    checkpoint=name, kind=kind, mean=center
                )
            )
    return pd.concat(parts, ignore_index=True).assign(**SOURCE)


def split_classes(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    edges = np.linspace(-3, 3, 31)
    middle, parts = (edges[1:] + edges[:-1]) / 2, []
    for rank, name in enumerate(names):
        for label in range(min(classes, 2 + rank % 3)):
            density = np.exp(-((middle - 1.2) ** 2) * 4) + np.exp(-((middle + 1.2) ** 2) * 4)
            parts.append(
                pd.DataFrame({"left": edges[:-1], "right": edges[1:], "density": density / density.sum() / 0.2}).assign(
                    checkpoint=name, class_name=f"class {label}", pieces=2 + label
                )
            )
    return pd.concat(parts, ignore_index=True).assign(**SOURCE)


def over_cluster_curve(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    rows = []
    for name in names:
        peak = 1.0 + 5 * (1 - _quality(name))
        for metric in ("kmeans_purity", "ami", "homogeneity", "completeness"):
            for ratio in (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0):
                lean = np.log2(ratio / peak)
                value = {
                    "kmeans_purity": 0.9 / (1 + np.exp(-lean - 1)),
                    "ami": 0.85 * _quality(name) * np.exp(-(lean**2) / 12),
                    "homogeneity": 0.9 / (1 + np.exp(-lean - 0.5)),
                    "completeness": 0.9 / (1 + np.exp(0.6 * lean - 1)),
                }[metric]
                rows.append(
                    {"checkpoint": name, "metric": metric, "clusters": round(ratio * classes), "ratio": ratio}
                    | {"value": value, "low": value - 0.015, "high": value + 0.015, "granularity": peak}
                )
    return pd.DataFrame(rows).assign(**SOURCE)


def cluster_class_confusion(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    rows, per_class = [], 50
    for rank, name in enumerate(names):
        rng = np.random.default_rng(rank)
        for label in range(classes):
            weights = np.full(classes, (1 - _quality(name)) / classes)
            weights[label] += _quality(name)
            counts = rng.multinomial(per_class, weights / weights.sum())
            rows += [
                {"checkpoint": name, "cluster": cluster, "class_name": f"class {label:03d}", "count": int(count)}
                for cluster, count in enumerate(counts)
            ]
    frame = pd.DataFrame(rows).assign(**SOURCE)
    return frame.assign(share=frame["count"] / per_class)


def embedding_map(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    parts = []
    for rank, name in enumerate(names):
        rng = np.random.default_rng(rank)
        label = np.repeat(np.arange(classes), max(2, 500 // classes))
        angle = 2 * np.pi * label / classes
        ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 8 * _quality(name)
        original = ring + rng.standard_normal((len(label), 2))
        for view in ("original", "view 1"):
            at = original + (view != "original") * 0.4 * rng.standard_normal(original.shape)
            parts.append(
                pd.DataFrame({"x": at[:, 0], "y": at[:, 1], "class_name": [f"digit {c}" for c in label]}).assign(
                    checkpoint=name, view=view, row_id=[f"val/{i:06d}" for i in range(len(label))]
                )
            )
    return pd.concat(parts, ignore_index=True).assign(**SOURCE)


def singular_spectrum(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    parts = []
    for name in names:
        for space, dims in (("features", 512), ("projections", 128)):
            index = np.arange(1, dims + 1)
            value = index ** -(1.6 - _quality(name)) * np.exp(-((index / (dims * 0.7)) ** 4))
            parts.append(
                pd.DataFrame({"index": index, "singular_value": value}).assign(
                    checkpoint=name, space=space, rankme=dims * _quality(name) * 0.5, dims=dims
                )
            )
    return pd.concat(parts, ignore_index=True).assign(dataset="digits", split="val", n=500)


HEADLINES = {
    "knn_accuracy": ("kNN accuracy", "higher", 0.4, 0.6),
    "alignment": ("Alignment", "lower", 0.8, -0.5),
    "uniformity": ("Uniformity", "lower", -1.0, -2.4),
    "class_distance_ratio": ("Intra / inter distance", "lower", 1.0, -0.6),
    "kmeans_purity": ("k-means purity", "higher", 0.2, 0.7),
    "pretext_gap": ("Pretext gap", "lower", 0.0, 0.05),
    "rankme": ("RankMe", "higher", 10.0, 90.0),
    "granularity": ("Granularity", "context", 8.0, -7.0),
}


def checkpoint_comparison(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    rows = []
    for name in names:
        for metric, (label, direction, base, slope) in HEADLINES.items():
            value = base + slope * _quality(name)
            rows.append(
                {"checkpoint": name, "metric": metric, "label": label, "direction": direction, "value": value}
                | {"ci_low": value - abs(slope) * 0.06, "ci_high": value + abs(slope) * 0.06}
            )
    return pd.DataFrame(rows).assign(**SOURCE)


def scatter_against_accuracy(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    rows = []
    for name in names:
        rank = NAMES.index(name)
        for metric, label, slope in (
            ("intra_class_distance", "intra-class distance", -0.6),
            ("uniformity", "uniformity", -2),
        ):
            rows.append(
                {"checkpoint": name, "metric": metric, "label": label, "accuracy": _quality(name)}
                | {"value": 1.4 + slope * _quality(name) + 0.1 * np.sin(3.0 * rank)}
                | {"correlation": -0.9, "correlation_low": -0.98, "correlation_high": -0.61}
            )
    return pd.DataFrame(rows).assign(dataset="imagenet", split="val", n=50000)


def setting_curves(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    frame = checkpoint_comparison(names, classes=classes).drop(columns="direction")
    return frame.assign(varied="backbone", setting=frame["checkpoint"], percent=frame["metric"].eq("knn_accuracy"))


def training_trajectory(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    frame = setting_curves(names, classes=classes).drop(columns=["varied", "setting"])
    epochs = [frame.assign(epoch=epoch, value=frame["value"] * (1 - 0.5 / epoch)) for epoch in (1, 2, 4, 8)]
    return pd.concat(epochs, ignore_index=True)


def deployment_tradeoff(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    rows = []
    for name in names:
        rank, quality = NAMES.index(name), _quality(name)
        for metric, label in (
            ("knn_accuracy", "kNN accuracy, k = 20"),
            ("neighbors_kept", "nearest image kept"),
        ):
            for cost, title, scale in (("ms_alone", "ms an image", 1.0), ("file_bytes", "file, MB", 7.0)):
                rows.append(
                    {"checkpoint": name, "metric": metric, "label": label, "value": quality, "cost": cost}
                    | {"ci_low": quality - 0.02, "ci_high": quality + 0.02, "on_front": rank % 2 == 0}
                    | {"cost_label": title, "amount": scale * (1 + rank * 5 % 12)}
                )
    return pd.DataFrame(rows).assign(**SOURCE)


def layer_noise(names: tuple[str, ...], *, classes: int) -> pd.DataFrame:
    parts = []
    for name in names:
        place = np.arange(1, 41)
        noise = 50 - 20 * (place > 12) - 0.2 * place
        rows = {"checkpoint": name, "place": place, "tensor": [f"/layer.{one}/conv/Conv_output_0" for one in place]}
        parts.append(
            pd.DataFrame(rows).assign(operator="Conv", signal_to_noise=noise, fall=np.where(place == 13, 20, 1))
        )
    whole = pd.concat(parts, ignore_index=True)
    return whole.assign(**SOURCE, falls=whole["fall"] > 6)


Builder = Callable[..., pd.DataFrame]
BUILDERS: dict[str, Builder] = {
    builder.__name__: builder
    for builder in (
        training_history,
        instance_discrimination_bars,
        alignment_uniformity_plane,
        class_distance_distributions,
        split_classes,
        over_cluster_curve,
        cluster_class_confusion,
        embedding_map,
        singular_spectrum,
        checkpoint_comparison,
        scatter_against_accuracy,
        setting_curves,
        training_trajectory,
        deployment_tradeoff,
        layer_noise,
    )
}
