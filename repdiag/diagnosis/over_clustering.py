"""Over-clustering: is the space organised at a finer (or coarser) granularity than the classes?"""

from __future__ import annotations

from repdiag.core.metric_table import MetricRow
from repdiag.diagnosis.advice import advice_for
from repdiag.diagnosis.intervals import Estimate
from repdiag.diagnosis.rows import JudgedRows, evidence_from, interval_of
from repdiag.diagnosis.thresholds import Thresholds
from repdiag.diagnosis.verdict import INCONCLUSIVE, Evidence, Finding, Reading, Severity

OVER, NOT_OVER, UNDER = "over-clustered", "not over-clustered", "under-clustered"
# How well granularity is recovered on spaces with known truth: the doubt of a value that came without its own.
_RECOVERY = 0.25


def judge_over_clustering(rows: JudgedRows, thresholds: Thresholds) -> Finding:
    """Return the finding: granularity decides where the clusters know the classes at all; the rest must not object."""
    granularity = rows.find("granularity")
    peak = _peak(rows)
    evidence = [*_granularity(granularity, thresholds), *_signal(peak, thresholds)]
    beside = [*_locality(rows, thresholds), *_scatter(rows, thresholds), *_islands(rows, thresholds)]
    verdict, summary = _decide(granularity, peak, beside, thresholds)
    return Finding(
        question="Is the space organised at another granularity than the classes?",
        verdict=verdict,
        severity=_severity(verdict, granularity, thresholds),
        summary=summary,
        evidence=(*evidence, *beside),
        thresholds=thresholds.only(
            "over_granularity", "under_granularity", "cluster_signal", "locality_ratio", "scattered_ratio"
        ),
        advice=advice_for(verdict),
    )


def _decide(
    row: MetricRow | None, peak: MetricRow | None, beside: list[Evidence], thresholds: Thresholds
) -> tuple[str, str]:
    if row is None or row.value is None:
        reason = "granularity was not measured" if row is None else f"{row.reason}"
        return INCONCLUSIVE, f"Over-clustering cannot be judged: {reason}."
    estimate = _estimate(row)
    shown = f"{estimate.value:.2g} [{estimate.low:.2g}, {estimate.high:.2g}] clusters per class"
    if peak is not None and peak.value is not None and peak.value < thresholds.cluster_signal:
        return INCONCLUSIVE, f"The clusters hardly know the classes at any number of clusters (AMI {peak.value:.3f})."
    readings = [item.reading for item in beside if item.against_what != "context"]
    return _weigh(estimate, shown, balance=readings.count("for") - readings.count("against"), thresholds=thresholds)


def _weigh(estimate: Estimate, shown: str, *, balance: int, thresholds: Thresholds) -> tuple[str, str]:
    """Let granularity answer, unless most of the other signs speak against its answer."""
    if estimate.high < thresholds.under_granularity:
        return UNDER, f"The space is organised in {shown}: several classes share a cluster."
    if estimate.low > thresholds.over_granularity:
        if balance < 0:
            return INCONCLUSIVE, f"Granularity is {shown}, but most other signs speak against over-clustering."
        return OVER, f"The space is organised in {shown}: finer than the labels."
    if estimate.high < thresholds.over_granularity and estimate.low > thresholds.under_granularity:
        if balance > 0:
            return INCONCLUSIVE, f"Granularity is {shown}, but most other signs speak for over-clustering."
        return NOT_OVER, f"The space is organised in {shown}: about as fine as the labels."
    return INCONCLUSIVE, f"Granularity is {shown}: the interval includes a threshold."


def _estimate(row: MetricRow) -> Estimate:
    assert row.value is not None
    low, high = interval_of(row) or (row.value * (1 - _RECOVERY), row.value * (1 + _RECOVERY))
    return Estimate(row.value, low, high)


def _severity(verdict: str, row: MetricRow | None, thresholds: Thresholds) -> Severity:
    if verdict == INCONCLUSIVE or row is None or row.value is None:
        return "unknown"
    if verdict == NOT_OVER:
        return "none"
    limit = thresholds.over_granularity if verdict == OVER else thresholds.under_granularity
    factor = max(row.value / limit, limit / row.value)
    return "severe" if factor > 4 else "marked" if factor > 2 else "mild"


def _peak(rows: JudgedRows) -> MetricRow | None:
    curve = rows.curve("ami", "clusters").values()
    return max(curve, key=lambda row: row.value or 0.0) if curve else None


def _granularity(row: MetricRow | None, thresholds: Thresholds) -> list[Evidence]:
    if row is None:
        return []
    limit = thresholds.over_granularity
    if row.value is None:
        return [evidence_from(row, reading="neutral", sentence=f"Granularity: {row.reason}.", threshold=limit)]
    sentence = f"Clusters agree best with the classes at {row.value:.2g} clusters per class."
    return [evidence_from(row, reading=_estimate(row).reading(limit, above="for"), sentence=sentence, threshold=limit)]


def _signal(peak: MetricRow | None, thresholds: Thresholds) -> list[Evidence]:
    if peak is None or peak.value is None:
        return []
    sentence = (
        f"At their best, {peak.params['clusters']} clusters, they share an AMI of {peak.value:.2f} with the classes."
    )
    limit = thresholds.cluster_signal
    return [
        evidence_from(
            peak, reading="neutral", sentence=sentence, threshold=limit, against_what="null (labels permuted)"
        )
    ]


def _locality(rows: JudgedRows, thresholds: Thresholds) -> list[Evidence]:
    """Neighbours of the class are local only: right at rank 1, wrong among as many as the class has members."""
    first, deep = rows.find("precision_at_1"), rows.find("r_precision")
    if first is None or deep is None or not first.value or deep.value is None:
        return []
    ratio = deep.value / first.value
    limit = thresholds.locality_ratio
    sentence = (
        f"The nearest image has the same label in {100 * first.value:.0f} % of cases, the R nearest in "
        f"{100 * deep.value:.0f} %: a ratio of {ratio:.2f}."
    )
    reading: Reading = "for" if ratio < limit else "against"
    return [evidence_from(deep, reading=reading, sentence=sentence, threshold=limit * first.value)]


def _scatter(rows: JudgedRows, thresholds: Thresholds) -> list[Evidence]:
    """Instances are tight and classes are not."""
    row = rows.find("class_distance_ratio")
    if row is None or row.value is None:
        return []
    limit = thresholds.scattered_ratio
    sentence = f"Images of one class lie {row.value:.2f} times as far apart as images of two classes."
    tight = rows.find("alignment", pair="original-view")
    if tight is not None and tight.value is not None:
        sentence += f" Views of one image: {tight.value:.2f}."
    low, high = interval_of(row) or (row.value, row.value)
    reading = Estimate(row.value, low, high).reading(limit, above="for")
    return [evidence_from(row, reading=reading, sentence=sentence, threshold=limit)]


def _islands(rows: JudgedRows, thresholds: Thresholds) -> list[Evidence]:
    """The number of islands that each class falls into, chosen per class."""
    row = rows.find("islands_per_class")
    if row is None or row.value is None:
        return []
    limit = thresholds.over_granularity
    sentence = f"A class falls into {row.value:.1f} islands in the mean."
    low, high = interval_of(row) or (row.value, row.value)
    reading = Estimate(row.value, low, high).reading(limit, above="for")
    return [evidence_from(row, reading=reading, sentence=sentence, threshold=limit)]
