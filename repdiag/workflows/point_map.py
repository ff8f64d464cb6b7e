"""The interactive map: where every image lies in the spaces of several encoders, and what is known about it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.plots.palette import CLASS_COLORS

if TYPE_CHECKING:
    from repdiag.embeddings.projection_2d import Projection

MAX_POINTS = 20_000
MAX_MAPS = 4
VOTERS, NEIGHBORS = 20, 3


@dataclass(frozen=True, kw_only=True)
class PointMap:
    """Points in the same order for every encoder; a point that an encoder does not have is null there."""

    row_ids: tuple[str, ...]
    splits: tuple[str, ...]
    classes: tuple[str, ...] | None
    class_of: tuple[int, ...] | None
    maps: tuple[EncoderMap, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return JSON values; numbers as base64 of little-endian arrays, which a browser reads without parsing."""
        names = list(dict.fromkeys(self.splits))
        codes = {name: code for code, name in enumerate(names)}
        return {
            "colours": list(CLASS_COLORS),
            "rows": list(self.row_ids),
            "splits": names,
            "splitOf": packed([codes[split] for split in self.splits], "<i4"),
            "classes": None if self.classes is None else list(self.classes),
            "classOf": packed(self.class_of, "<i4"),
            "maps": [
                {
                    "name": one.name,
                    "x": packed(one.x, "<f4"),
                    "y": packed(one.y, "<f4"),
                    "cluster": packed(one.cluster, "<i4"),
                    "correct": packed(one.correct, "<i4"),
                    "predicted": packed(one.predicted, "<i4"),
                    "near": packed(one.near, "<i4"),
                }
                for one in self.maps
            ],
        }


def packed(values: Sequence[float | int | None] | None, kind: str) -> str | None:
    """Return the numbers as base64 of an array of this kind; null ones as NaN."""
    if values is None:
        return None
    return base64.b64encode(np.asarray(values, dtype=kind).tobytes()).decode("ascii")


@dataclass(frozen=True, kw_only=True)
class EncoderMap:
    """One encoder: coordinates, cluster (K = C), whether the nearest neighbour has the same label, the class that the
    nearest `VOTERS` rows predict, and the nearest `NEIGHBORS` rows of each, one after the other.
    """

    name: str
    x: list[float | None]
    y: list[float | None]
    cluster: list[int] | None
    correct: list[int] | None
    predicted: list[int] | None
    near: list[int] | None


def point_map(
    encoders: Mapping[str, Mapping[str, EmbeddingSet]],
    *,
    method: Projection = "umap",
    limit: int = MAX_POINTS,
    seed: int = 0,
) -> PointMap | None:
    """Project train and val of up to four encoders, at most `limit` rows, class-balanced; None without rows."""
    chosen = {name: sets for name, sets in list(encoders.items())[:MAX_MAPS] if sets}
    if not chosen:
        return None
    joined = {name: _joined(sets, limit=limit, seed=seed) for name, sets in chosen.items()}
    first = next(iter(joined.values()))
    place = {key: at for at, key in enumerate(first.keys)}
    labels = first.rows.labels
    return PointMap(
        row_ids=tuple(str(row) for _, row in first.keys),
        splits=tuple(split for split, _ in first.keys),
        classes=None if labels is None else _class_names(first.rows),
        class_of=None if labels is None else tuple(labels.tolist()),
        maps=tuple(_map(name, rows, place, method=method, seed=seed) for name, rows in joined.items()),
    )


@dataclass(frozen=True, kw_only=True)
class _Joined:
    keys: list[tuple[str, str]]
    rows: EmbeddingSet


def _joined(sets: Mapping[str, EmbeddingSet], *, limit: int, seed: int) -> _Joined:
    from repdiag.embeddings.projection_2d import balanced_rows

    keys: list[tuple[str, str]] = []
    parts = []
    for split, rows in sets.items():
        share = limit // len(sets)
        if rows.labels is not None:
            part = rows.select(balanced_rows(rows.labels, share, seed=seed))
        else:
            part = rows.select(range(min(len(rows), share)))
        assert part.row_ids is not None
        keys += [(split, str(row)) for row in part.row_ids]
        parts.append(part)
    labels = [part.labels for part in parts if part.labels is not None]
    return _Joined(
        keys=keys,
        rows=EmbeddingSet(
            features=torch.cat([part.features.float() for part in parts]),
            labels=torch.cat(labels) if len(labels) == len(parts) else None,
            class_names=parts[0].class_names,
        ),
    )


def _map(
    name: str, joined: _Joined, place: Mapping[tuple[str, str], int], *, method: Projection, seed: int
) -> EncoderMap:
    from repdiag.embeddings.projection_2d import project_2d

    at = np.asarray([place.get(key, -1) for key in joined.keys])
    plane = project_2d(joined.rows.features, method=method, seed=seed).numpy().astype(np.float64)
    xs, ys = (_placed(plane[:, axis], at, len(place)) for axis in (0, 1))
    facts = _facts(joined.rows, seed=seed)
    cluster, correct, predicted = (
        None if found is None else [int(v) for v in _placed(found, at, len(place), missing=-1.0)]
        for found in (facts.cluster, facts.correct, facts.predicted)
    )
    near = np.stack([_placed(at[column], at, len(place), missing=-1.0) for column in facts.near.T], axis=1)
    return EncoderMap(
        name=name,
        x=[None if np.isnan(value) else round(float(value), 4) for value in xs],
        y=[None if np.isnan(value) else round(float(value), 4) for value in ys],
        cluster=cluster,
        correct=correct,
        predicted=predicted,
        near=near.astype(int).ravel().tolist(),
    )


@dataclass(frozen=True, kw_only=True)
class _Facts:
    near: NDArray[Any]
    cluster: NDArray[Any] | None = None
    correct: NDArray[Any] | None = None
    predicted: NDArray[Any] | None = None


def _facts(rows: EmbeddingSet, *, seed: int) -> _Facts:
    """Return what is known of every row: its nearest rows and, with labels, what they predict, and its cluster."""
    from repdiag.metrics.clusters.kmeans import assignments
    from repdiag.metrics.pairwise import TopK, over_pairs, unit_rows

    nearest = over_pairs(unit_rows(rows.features), TopK(max(1, min(VOTERS, len(rows) - 1)))).index.cpu()
    near = nearest[:, :NEIGHBORS].numpy()
    if rows.labels is None:
        return _Facts(near=near)
    labels = rows.labels.cpu()
    return _Facts(
        near=near,
        cluster=assignments(rows.features, len(torch.unique(labels)), seed=seed),
        correct=(labels[nearest[:, 0]] == labels).numpy(),
        predicted=torch.mode(labels[nearest], dim=1).values.numpy(),
    )


def _placed(values: NDArray[Any], at: NDArray[Any], count: int, *, missing: float = np.nan) -> NDArray[Any]:
    placed = np.full(count, missing, dtype=np.float64)
    placed[at[at >= 0]] = values[at >= 0]
    return placed


def _class_names(rows: EmbeddingSet) -> tuple[str, ...]:
    assert rows.labels is not None
    return rows.class_names or tuple(map(str, range(int(rows.labels.max()) + 1)))
