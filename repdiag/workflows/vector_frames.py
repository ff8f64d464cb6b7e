"""Frames for the figures that need vectors and not only a table: distances, clusters, spectra, the map, the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable
    from repdiag.embeddings.projection_2d import Projection

# Counting pairs is quadratic: beyond this many rows a class-balanced part of them gives the same picture.
PAIR_ROWS = 10_000


def class_distances(sets: dict[str, EmbeddingSet]) -> pd.DataFrame:
    """Densities of squared distances inside and between classes; columns of `class_distance_distributions`."""
    import pandas as pd

    from repdiag.embeddings.projection_2d import balanced_rows
    from repdiag.metrics.classes.distance_histogram import distance_histogram

    records: list[dict[str, Any]] = []
    for name, embeddings in sets.items():
        if embeddings.labels is None:
            continue
        part = embeddings.select(balanced_rows(embeddings.labels, PAIR_ROWS))
        assert part.labels is not None
        found = distance_histogram(part.features, part.labels)
        common = {"checkpoint": name, **_where(embeddings), "space": "features", "n": len(part)}
        for kind, density, mean in (
            ("intra", found.intra, found.intra_mean),
            ("inter", found.inter, found.inter_mean),
        ):
            records.extend(
                {**common, "kind": kind, "left": left, "right": right, "density": value, "mean": mean}
                for left, right, value in zip(
                    found.edges[:-1].tolist(), found.edges[1:].tolist(), density.tolist(), strict=True
                )
            )
    return pd.DataFrame.from_records(records)


def split_classes(name: str, sets: dict[str, EmbeddingSet], table: MetricTable) -> pd.DataFrame:
    """Rows of every split class along the direction that divides it; columns of `split_classes`, empty without one.

    The direction joins the rows at both ends of the first cut, as `islands` found them.
    """
    import pandas as pd

    from repdiag.metrics.algebra.moments import float64_unit_rows

    records: list[dict[str, Any]] = []
    for row in table.where(checkpoint=name, metric="islands", space="features"):
        found = sets.get("val" if row.split != "train" else "bank")
        if row.value is None or found is None or found.labels is None or len(found) != row.n:
            continue
        features, labels = float64_unit_rows(found.features.cpu()), found.labels.cpu()
        known = sorted(set(labels.tolist()))
        codes = {str(code): code for code in known} | {found.class_name(code): code for code in known}
        for one, told in row.extra.get("split", {}).items():
            mine = features[labels == codes[one]]
            low, high = features[list(told["low"])].mean(dim=0), features[list(told["high"])].mean(dim=0)
            common = {"checkpoint": name, **_where(found), "space": "features", "n": len(found)}
            common |= {"class_name": one, "pieces": int(told["pieces"])}
            records.extend({**common, **part} for part in _bins(mine @ (high - low)))
    return pd.DataFrame.from_records(records)


def _bins(scores: Tensor) -> list[dict[str, float]]:
    """Return the density of scores, centred and scaled to one standard deviation, in bins."""
    import numpy as np

    spread = float(scores.std(correction=0))
    if len(scores) < 2 or spread == 0.0:
        return []
    scaled = ((scores - scores.mean()) / spread).numpy()
    density, edges = np.histogram(scaled, bins=24, density=True)
    return [
        {"left": float(left), "right": float(right), "density": float(value)}
        for left, right, value in zip(edges[:-1], edges[1:], density, strict=True)
    ]


def cluster_classes(sets: dict[str, EmbeddingSet], *, seed: int = 0) -> pd.DataFrame:
    """Images of each class in each k-means cluster at K = C; columns of `cluster_class_confusion`."""
    import numpy as np
    import pandas as pd

    from repdiag.metrics.clusters.kmeans import assignments

    records: list[dict[str, Any]] = []
    for name, embeddings in sets.items():
        if embeddings.labels is None:
            continue
        labels = embeddings.labels.numpy()
        classes = np.unique(labels)
        clusters = assignments(embeddings.features, len(classes), seed=seed)
        counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
        np.add.at(counts, (np.searchsorted(classes, labels), clusters), 1)
        # By majority class, then by its share: a good clustering shows a dark diagonal.
        order = sorted(range(len(classes)), key=lambda c: (int(counts[:, c].argmax()), -int(counts[:, c].max())))
        common = {"checkpoint": name, **_where(embeddings), "space": "features", "n": len(embeddings)}
        for cluster in order:
            for row, label in enumerate(classes):
                count = int(counts[row, cluster])
                share = count / int(counts[row].sum())
                class_name = embeddings.class_name(int(label))
                records.append({**common, "cluster": cluster, "class_name": class_name, "count": count, "share": share})
    return pd.DataFrame.from_records(records)


def spectra(sets: dict[str, EmbeddingSet], table: MetricTable) -> pd.DataFrame:
    """Singular values over the largest; columns of `singular_spectrum`."""
    import pandas as pd

    from repdiag.core.embedding_set import SPACES
    from repdiag.metrics.spectrum.singular_values import singular_values

    records: list[dict[str, Any]] = []
    for name, embeddings in sets.items():
        for space in SPACES:
            rows = embeddings.features if space == "features" else embeddings.projections
            if rows is None:
                continue
            values = singular_values(rows)
            found = table.where(checkpoint=name, space=space, split=embeddings.provenance.split, metric="rankme").rows
            common = {
                "checkpoint": name,
                **_where(embeddings),
                "space": space,
                "rankme": found[0].value if found else None,
                "dims": rows.shape[1],
                "n": len(rows),
            }
            scaled = (values / values.max().clamp_min(1e-300)).tolist()
            records.extend({**common, "index": i + 1, "singular_value": value} for i, value in enumerate(scaled))
    return pd.DataFrame.from_records(records)


def embedding_map(name: str, embeddings: EmbeddingSet, *, method: Projection = "umap", seed: int = 0) -> pd.DataFrame:
    """A 2-D map of originals and their views together; columns of `embedding_map`."""
    import pandas as pd
    import torch

    from repdiag.embeddings.projection_2d import MAX_ROWS, TITLES, balanced_rows, method_for, project_2d

    if embeddings.labels is None:
        return pd.DataFrame()
    count = 1 + (0 if embeddings.views is None else len(embeddings.views))
    part = embeddings.select(balanced_rows(embeddings.labels, MAX_ROWS // count, seed=seed))
    assert part.labels is not None
    assert part.row_ids is not None
    blocks = [part.features, *(part.views if part.views is not None else ())]
    places = project_2d(torch.cat(blocks), method=method, seed=seed)
    title = TITLES[method_for(len(places), method)]
    views = ["original", *(f"view {index}" for index in range(1, count))]
    names = [part.class_name(int(label)) for label in part.labels]
    frames = []
    for index, view in enumerate(views):
        xy = places[index * len(part) : (index + 1) * len(part)].tolist()
        frames.append(
            pd.DataFrame(
                {
                    "checkpoint": name,
                    **_where(part),
                    "row_id": part.row_ids,
                    "view": view,
                    "class_name": names,
                    "x": [point[0] for point in xy],
                    "y": [point[1] for point in xy],
                    "n": len(part),
                    "method": title,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _where(embeddings: EmbeddingSet) -> dict[str, str]:
    return {"dataset": embeddings.provenance.dataset, "split": embeddings.provenance.split}
