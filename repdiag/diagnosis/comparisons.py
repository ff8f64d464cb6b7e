"""A space held against permuted labels, an untrained copy, a reference checkpoint: evidence beside the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.metric_table import MetricTable
from repdiag.core.numbers import say_p, show_points
from repdiag.core.progress import counted
from repdiag.diagnosis.intervals import SQUARE_AND_ADD, Estimate, difference
from repdiag.diagnosis.rows import JudgedRows, evidence_from, interval_of
from repdiag.diagnosis.verdict import Diagnosis, Evidence, Reading, Standing
from repdiag.embeddings.same_rows import on_same_rows
from repdiag.metrics.inference import PairedTest, compare, holm
from repdiag.metrics.inference.units import as_groups
from repdiag.metrics.pairwise import sharing
from repdiag.metrics.registry import get

# Metrics whose fall marks worse grouped classes. Ratios of distances are no evidence: they fall with collapse as well.
_SPEAKS = {"precision_at_1": 1, "r_precision": 1}
_WORDS = {"precision_at_1": "nearest neighbour of the same class", "r_precision": "R-precision"}
# What is held against permuted labels, where the direction is not in doubt.
_BEATS_CHANCE = {"precision_at_1": 1, "class_distance_ratio": -1}
PERMUTATIONS = 99
_LEVEL = 0.05


def hold_against(
    found: Diagnosis,
    embeddings: EmbeddingSet,
    others: Mapping[str, EmbeddingSet],
    *,
    null: bool = True,
    groups: Any = None,
    seed: int = 0,
) -> Diagnosis:
    """Return the diagnosis with its space held against permuted labels and against others, read on the same rows.

    The features of `embeddings` are those that were judged, of the space that the diagnosis names; `others` are sets by
    what they are called ("untrained copy", "reference resnet50"). They add evidence and a standing each, and never turn
    a verdict. `groups` says which rows were drawn together, or "classes" where these are a sample themselves.
    """
    rows = embeddings.labelled_rows()
    known = embeddings if rows is None else embeddings.select(rows)
    evidence = null_evidence(known, seed=seed) if null else []
    for name, other in others.items():
        aligned = on_same_rows(embeddings, other, names=("this encoder", f"the {name}"))
        evidence += paired_evidence(
            known, aligned if rows is None else aligned.select(rows), name=name, groups=groups, seed=seed
        )
    return with_evidence(found, [replace(item, space=found.space) for item in evidence], others)


def with_evidence(found: Diagnosis, evidence: Sequence[Evidence], others: Iterable[str]) -> Diagnosis:
    """Return the diagnosis with more evidence about over-clustering, summed up for each of the others."""
    finding = found.over_clustering
    summed = [standing(evidence, name=name) for name in others]
    return replace(
        found,
        over_clustering=replace(finding, evidence=(*finding.evidence, *evidence)),
        standings=(*found.standings, *(item for item in summed if item is not None)),
    )


def paired_evidence(
    embeddings: EmbeddingSet, other: EmbeddingSet, *, name: str, groups: Any = None, seed: int = 0
) -> list[Evidence]:
    """Test each metric between two encoders on the same rows, with Holm's correction over the metrics."""
    if embeddings.labels is None:
        return []
    other = on_same_rows(embeddings, other, names=("this encoder", f"the {name}"))
    units = as_groups(embeddings.groups if groups is None else groups, embeddings.labels, rows=len(embeddings))
    tests: dict[str, PairedTest] = {}
    with sharing():
        for metric in counted("paired tests", list(_SPEAKS)):
            first, second = ({"features": each.features, "labels": embeddings.labels} for each in (embeddings, other))
            test = compare(get(metric), first, second, labels=embeddings.labels, groups=units, seed=seed)
            if test is not None:
                tests[metric] = test
    adjusted = holm([test.p_value for test in tests.values()])
    return [
        _paired(embeddings, metric, test, p_value=float(p_value), name=name)
        for (metric, test), p_value in zip(tests.items(), adjusted, strict=True)
    ]


def _paired(embeddings: EmbeddingSet, metric: str, test: PairedTest, *, p_value: float, name: str) -> Evidence:
    differs = p_value <= _LEVEL
    said = f"{show_points(test.difference)} against the {name}" if differs else f"indistinguishable from the {name}"
    return Evidence(
        metric=metric,
        params={"p_holm": p_value},
        space="features",
        split=embeddings.provenance.split,
        value=test.difference,
        ci_low=test.ci_low,
        ci_high=test.ci_high,
        ci_method=test.method,
        threshold=0.0,
        against_what=name,
        reading=_speaks(metric, test.difference) if differs else "neutral",
        sentence=f"{metric}: {said} on the same rows ({say_p(p_value)}, Holm over {len(_SPEAKS)} metrics).",
    )


def null_evidence(embeddings: EmbeddingSet, *, seed: int) -> list[Evidence]:
    """Hold neighbours and distances against the same space with its labels permuted."""
    labels = embeddings.labels
    if labels is None or bool((labels == labels[0]).all()):
        return []
    generator = torch.Generator().manual_seed(seed)
    shuffles = [labels[torch.randperm(len(labels), generator=generator)] for _ in range(PERMUTATIONS)]
    found = []
    with sharing():
        for name in _BEATS_CHANCE:
            function = get(name).function
            value = function(features=embeddings.features, labels=labels).value
            null = [function(features=embeddings.features, labels=shuffle).value for shuffle in shuffles]
            known = [item for item in null if item is not None]
            if value is not None and known:
                found.append(_null(embeddings, name, value, known))
    return found


def _null(embeddings: EmbeddingSet, metric: str, value: float, null: list[float]) -> Evidence:
    better = sum((item - value) * _BEATS_CHANCE[metric] >= 0 for item in null)
    p_value = (better + 1) / (len(null) + 1)
    low, high = min(null), max(null)
    sentence = (
        f"{metric} is {value:.3f}; with the labels permuted it lies in {low:.3f} to {high:.3f} (p = {p_value:.2g})."
    )
    return Evidence(
        metric=metric,
        params={"p_value": p_value, "permutations": len(null)},
        space="features",
        split=embeddings.provenance.split,
        value=value,
        threshold=low if _BEATS_CHANCE[metric] < 0 else high,
        against_what="permuted labels",
        reading="neutral",
        sentence=sentence,
    )


def stored_evidence(rows: JudgedRows, other: MetricTable, *, name: str) -> list[Evidence]:
    """Compare stored rows with those of another encoder: no pairing, so only large differences are seen."""
    there = JudgedRows.of(other, space=rows.space)
    found = []
    for metric in _SPEAKS:
        mine, its = rows.find(metric), there.find(metric)
        if mine is None or its is None or mine.value is None or its.value is None:
            continue
        bounds, other_bounds = interval_of(mine), interval_of(its)
        if bounds is None or other_bounds is None:
            continue
        gap = difference(Estimate(mine.value, *bounds), Estimate(its.value, *other_bounds))
        differs = gap.low > 0.0 or gap.high < 0.0
        reading: Reading = _speaks(metric, gap.value) if differs else "neutral"
        said = f"{show_points(gap.value)} against the {name}" if differs else f"not clearly different from the {name}"
        row = evidence_from(mine, reading=reading, sentence=f"{metric}: {said}.", threshold=0.0, against_what=name)
        found.append(replace(row, value=gap.value, ci_low=gap.low, ci_high=gap.high, ci_method=SQUARE_AND_ADD))
    return found


def standing(evidence: Sequence[Evidence], *, name: str) -> Standing | None:
    """Sum up the evidence against one other encoder; None where nothing could be compared."""
    found = [item for item in evidence if item.against_what == name]
    better = [_change(item) for item in found if item.reading == "against"]
    worse = [_change(item) for item in found if item.reading == "for"]
    alike = [_WORDS[item.metric] for item in found if item.reading == "neutral"]
    if not found:
        return None
    if not better and not worse:
        said = f"Indistinguishable from the {name} on these rows: {', '.join(alike)}."
        return Standing(against=name, verdict="indistinguishable", sentence=said)
    rest = f"; not told apart in {', '.join(alike)}" if alike else ""
    if better and worse:
        verdict, said = (
            "mixed",
            f"Compared with the {name}, some measures of class grouping are better and some worse: ",
        )
        said += f"better by {', '.join(better)}, worse by {', '.join(worse)}"
    else:
        verdict = "better grouped" if better else "worse grouped"
        said = f"Classes are {verdict} than by the {name}: {', '.join(better or worse)}"
    return Standing(against=name, verdict=verdict, sentence=f"{said}{rest}.")


def _change(item: Evidence) -> str:
    return f"{_WORDS[item.metric]} {show_points(item.value or 0.0, item.ci_low, item.ci_high)}"


def _speaks(metric: str, change: float) -> Reading:
    return "against" if change * _SPEAKS[metric] > 0 else "for"
