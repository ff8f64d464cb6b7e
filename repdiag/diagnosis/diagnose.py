"""`judge`: from stored rows to a diagnosis. `diagnose`: from embeddings to a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping

from repdiag.core.embedding_set import Space
from repdiag.core.metric_table import MetricTable
from repdiag.diagnosis.collapse import judge_collapse
from repdiag.diagnosis.over_clustering import judge_over_clustering
from repdiag.diagnosis.overfitting import judge_overfitting
from repdiag.diagnosis.rows import JudgedRows
from repdiag.diagnosis.thresholds import DEFAULT_THRESHOLDS, Thresholds
from repdiag.diagnosis.verdict import Diagnosis

_REQUIRED = (
    "alignment",
    "alignment_margin",
    "ami",
    "class_distance_ratio",
    "completeness",
    "effective_rank",
    "granularity",
    "homogeneity",
    "instance_discrimination_accuracy",
    "intra_class_distance",
    "kmeans_purity",
    "mean_cosine",
    "participation_ratio",
    "precision_at_1",
    "r_precision",
    "rankme",
    "singular_spectrum",
    "sub_clusters",
)


def required_metrics() -> tuple[str, ...]:
    """Return the names of the metrics that `judge` wants rows of; what is missing makes it less sure, never wrong."""
    return _REQUIRED


def judge(
    table: MetricTable,
    *,
    thresholds: Thresholds | Mapping[str, float] = DEFAULT_THRESHOLDS,
    space: Space = "features",
) -> Diagnosis:
    """Judge one encoder from its stored rows alone.

    `table` holds the rows of one checkpoint on one dataset: those of the judged split (val, test, or an unnamed one)
    and, for overfitting, those of "train" with an equal gallery. `thresholds` may be a mapping of the ones to change.
    """
    if not isinstance(thresholds, Thresholds):
        thresholds = DEFAULT_THRESHOLDS.override(thresholds)
    rows = JudgedRows.of(table, space=space)
    first = rows.table.rows[0]
    return Diagnosis(
        checkpoint=first.checkpoint,
        epoch=first.epoch,
        dataset=first.dataset,
        space=space,
        over_clustering=judge_over_clustering(rows, thresholds),
        overfitting=judge_overfitting(rows, thresholds),
        collapse=judge_collapse(rows, thresholds),
    )
