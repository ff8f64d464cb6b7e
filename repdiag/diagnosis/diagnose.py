"""`judge`: from stored rows to a diagnosis. `diagnose`: from embeddings to a diagnosis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from repdiag.core.embedding_set import EmbeddingSet, Space
from repdiag.core.metric_table import MetricTable
from repdiag.diagnosis.collapse import judge_collapse
from repdiag.diagnosis.comparisons import hold_against, stored_evidence, with_evidence
from repdiag.diagnosis.galleries import equal_galleries, whole_galleries
from repdiag.diagnosis.over_clustering import judge_over_clustering
from repdiag.diagnosis.overfitting import ClassifierTop1, judge_overfitting
from repdiag.diagnosis.rows import TRAIN, JudgedRows
from repdiag.diagnosis.thresholds import DEFAULT_THRESHOLDS, Thresholds
from repdiag.diagnosis.verdict import OVER, UNDER, CollapseFinding, Diagnosis, Finding
from repdiag.embeddings.as_embedding_set import as_embedding_set
from repdiag.embeddings.sources.vector_options import VectorOptions
from repdiag.embeddings.vector_inputs import read_inputs
from repdiag.metrics.evaluate import evaluate
from repdiag.metrics.inference.units import CLASSES
from repdiag.metrics.pairwise import sharing
from repdiag.metrics.registry import get

_PRETEXT = ("alignment", "instance_discrimination_accuracy")
_REQUIRED = (
    *_PRETEXT,
    "alignment_margin",
    "ami",
    "class_distance_ratio",
    "completeness",
    "effective_rank",
    "granularity",
    "homogeneity",
    "granularity_slope",
    "intra_class_distance",
    "islands",
    "kmeans_purity",
    "label_gap",
    "locality",
    "mean_cosine",
    "participation_ratio",
    "precision_at_1",
    "pretext_gap",
    "probe_gap",
    "r_precision",
    "rankme",
    "singular_spectrum",
    "sub_clusters",
)
# Read by no threshold, or by one with a zone for its doubt: resampling them would cost more than all the rest.
_WITHOUT_INTERVALS = (
    "completeness",
    "effective_rank",
    "homogeneity",
    "kmeans_purity",
    "participation_ratio",
    "rankme",
    "singular_spectrum",
)
UNTRAINED, REFERENCE = "untrained copy", "reference"


def required_metrics() -> tuple[str, ...]:
    """Return the names of the metrics that `judge` wants rows of; what is missing makes it less sure, never wrong."""
    return _REQUIRED


def diagnose(
    embeddings: Any,
    *,
    train: Any = None,
    reference: Any = None,
    untrained: Any = None,
    labels: Any = None,
    groups: Any = None,
    bank: Any = None,
    views: Sequence[Any] = (),
    metrics: Sequence[str] | None = None,
    thresholds: Thresholds | Mapping[str, float] = DEFAULT_THRESHOLDS,
    space: Space = "features",
    seed: int = 0,
    **reading: Any,
) -> Diagnosis:
    """Judge one encoder from its embeddings: over-clustering, overfitting and collapse.

    `embeddings` is an `EmbeddingSet` of images that the encoder was not trained on, or anything that `as_embedding_set`
    accepts. In the second case you can also pass `labels`, `groups` and `views` (one set of vectors per view), and
    `reading` takes its keywords (column=, label_column=, group_column=, ...). `train` (or `bank`) is the same encoder
    on its training images. Without it, or without views, overfitting stays open. `reference` and `untrained` are other
    encoders on the same rows; paired tests compare them, add evidence and never change the verdict. `metrics` limits
    the judged metrics that are computed. `groups` names rows drawn together, one value per row, or is "classes" if the
    classes are a sample; by default the classes are fixed.

    Example:
        >>> import numpy as np, repdiag
        >>> rows = np.repeat(np.eye(4), 20, axis=0) + 0.1 * np.random.default_rng(0).normal(size=(80, 4))
        >>> repdiag.diagnose(rows, labels=np.repeat(np.arange(4), 20)).collapse.verdict
        'not collapsed'
    """
    train = bank if train is None else train
    named = {name: other for name, other in ((UNTRAINED, untrained), (REFERENCE, reference)) if other is not None}
    options = VectorOptions(**reading)
    inputs = read_inputs(embeddings, labels=labels, groups=groups, views=views, others=named, options=options)
    judged = _space(inputs.embeddings, space)
    split = judged.provenance.split if judged.provenance.split != TRAIN or train is None else "val"
    judged = replace(judged, provenance=replace(judged.provenance, split=split))
    drawn = CLASSES if isinstance(groups, str) and groups == CLASSES else None  # others lie in the set
    possible = [name for name in _possible(judged) if metrics is None or name in metrics]
    with sharing():
        sure = [name for name in possible if name not in _WITHOUT_INTERVALS]
        table: MetricTable = evaluate(judged, sure, groups=drawn, seed=seed)
        table += evaluate(judged, [name for name in possible if name in _WITHOUT_INTERVALS], seed=seed, intervals=False)
    if train is not None:
        table = _with_train(table, judged, _space(as_embedding_set(train), space), groups=drawn, seed=seed)
    others = {name: _space(other, space) for name, other in inputs.others.items()}
    told = MetricTable(tuple(replace(row, space=space) for row in table))  # evaluated as if they were features
    return hold_against(judge(told, thresholds=thresholds, space=space), judged, others, groups=drawn, seed=seed)


def judge(
    table: MetricTable,
    *,
    untrained: MetricTable | None = None,
    reference: MetricTable | None = None,
    thresholds: Thresholds | Mapping[str, float] = DEFAULT_THRESHOLDS,
    space: Space = "features",
    trained_with_labels: bool = False,
    top1: ClassifierTop1 | None = None,
) -> Diagnosis:
    """Judge one encoder from its stored rows alone.

    `table` holds the rows of one checkpoint on one dataset: those of the judged split (val, test, or an unnamed one)
    and, for overfitting, those of "train" with an equal gallery. `untrained` and `reference` are the rows of other
    encoders, as evidence beside it. `thresholds` may be a mapping of the ones to change. Of an encoder that was
    `trained_with_labels` overfitting of the pretext task is not asked; `top1` of its
    own classifier answers for the labels.
    """
    if not isinstance(thresholds, Thresholds):
        thresholds = DEFAULT_THRESHOLDS.override(thresholds)
    rows = JudgedRows.of(table, space=space)
    first = rows.table.rows[0]
    collapse = judge_collapse(rows, thresholds)
    found = Diagnosis(
        checkpoint=first.checkpoint,
        epoch=first.epoch,
        dataset=first.dataset,
        space=space,
        over_clustering=_beside_collapse(judge_over_clustering(rows, thresholds), collapse),
        overfitting=judge_overfitting(rows, thresholds, trained_with_labels=trained_with_labels, top1=top1),
        collapse=collapse,
    )
    given = ((UNTRAINED, untrained), (REFERENCE, reference))
    others = {name: other for name, other in given if other is not None}
    evidence = [item for name, other in others.items() for item in stored_evidence(rows, other, name=name)]
    return with_evidence(found, evidence, others)


def _beside_collapse(finding: Finding, collapse: CollapseFinding) -> Finding:
    """Return the finding about granularity with a word on collapse: what lies in few directions is cut up easily."""
    fallen = [kind for kind in collapse.kinds if kind != "cone"]
    if finding.verdict not in (OVER, UNDER) or not fallen:
        return finding
    return replace(finding, summary=f"{finding.summary} Read this together with the {' and '.join(fallen)} collapse.")


def _space(embeddings: EmbeddingSet, space: Space) -> EmbeddingSet:
    return embeddings.in_space(space)


def _possible(embeddings: EmbeddingSet, names: tuple[str, ...] = _REQUIRED) -> list[str]:
    """Return the metrics whose needs the set meets; the judgement itself names what is missing."""
    there = embeddings.available()
    return [name for name in names if all(need in there for need in get(name).needs)]


def _with_train(
    table: MetricTable, judged: EmbeddingSet, train: EmbeddingSet, *, groups: str | None, seed: int
) -> MetricTable:
    """Add the pretext rows of train, and replace those of the judged split, on galleries of equal size and classes."""
    gallery, its = equal_galleries(train, judged, seed=seed)
    names = [name for name in _possible(gallery, _PRETEXT) if name in _possible(its, _PRETEXT)]
    gaps = ["pretext_gap"] if names else []
    if gallery.labels is not None and its.labels is not None:
        gaps += ["label_gap", "probe_gap"]
    if not gaps:
        return table
    source = replace(judged.provenance, split=TRAIN)
    with sharing():
        seen, held_out = whole_galleries(train, judged, seed=seed)
        rows: MetricTable = evaluate(held_out, gaps, bank=seen, groups=groups, seed=seed)
        if not names:
            return table + rows
        rows += evaluate(replace(gallery, provenance=source), names, groups=groups, seed=seed)
        if len(its) == len(judged):
            return table + rows
        kept = MetricTable(tuple(row for row in table if row.metric not in names))
        return kept + evaluate(its, names, groups=groups, seed=seed) + rows
