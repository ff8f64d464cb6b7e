"""The pieces of evidence about granularity, one function each; None where the rows for it are missing."""

from __future__ import annotations

from dataclasses import replace

from repdiag.core.metric_table import MetricRow
from repdiag.diagnosis.intervals import Estimate, proportion
from repdiag.diagnosis.rows import JudgedRows, evidence_from, interval_of
from repdiag.diagnosis.thresholds import Thresholds
from repdiag.diagnosis.verdict import Evidence, Reading

# How well granularity is recovered on spaces with known truth: the doubt of a value that came without its own.
_RECOVERY = 1.25


def granularity_estimate(row: MetricRow | None) -> Estimate | None:
    """Return granularity with its interval, or with the recovery of the calibration where it has none."""
    if row is None or row.value is None:
        return None
    low, high = interval_of(row) or (row.value / _RECOVERY, row.value * _RECOVERY)
    return Estimate(row.value, low, high)


def granularity_evidence(row: MetricRow | None, thresholds: Thresholds) -> Evidence | None:
    """The number of clusters per class at which clusters and classes agree best."""
    estimate = granularity_estimate(row)
    if row is None:
        return None
    limit = thresholds.over_granularity
    if estimate is None:
        return evidence_from(row, reading="neutral", sentence=f"No granularity: {row.reason}.", threshold=limit)
    sentence = f"Clusters agree best with the classes at {estimate.value:.1f} clusters per class."
    found = evidence_from(row, reading=estimate.reading(limit, above="for"), sentence=sentence, threshold=limit)
    return replace(found, ci_low=estimate.low, ci_high=estimate.high, ci_method=row.ci_method or "calibrated recovery")


def signal_evidence(rows: JudgedRows, thresholds: Thresholds) -> Evidence | None:
    """Whether the clusters know the classes at all: AMI at its peak, 0 for permuted labels."""
    curve = rows.curve("ami", "clusters")
    if not curve:
        return None
    clusters, row = max(curve.items(), key=lambda point: point[1].value or 0.0)
    limit = thresholds.cluster_signal
    weak = row.value is not None and row.value < limit
    sentence = f"At their best, {clusters} clusters and the classes have an AMI of {row.value:.2f}."
    reading: Reading = "against" if weak else "neutral"
    return evidence_from(row, reading=reading, sentence=sentence, threshold=limit, against_what="permuted labels")


def island_evidence(rows: JudgedRows, thresholds: Thresholds) -> Evidence | None:
    """The number of separate islands that a class falls into, wherever these lie."""
    row = rows.find("sub_clusters")
    if row is None:
        return None
    limit = thresholds.over_granularity
    if row.value is None:
        return evidence_from(row, reading="neutral", sentence=f"No number of islands: {row.reason}.", threshold=limit)
    low, high = interval_of(row) or (row.value, row.value)
    reading = Estimate(row.value, low, high).reading(limit, above="for")
    gap = float(row.extra.get("gap_low", 0.0))
    if reading == "for" and gap < thresholds.island_gap:
        reading = "neutral"  # pieces that stand out this little are cuts through one piece
    return evidence_from(row, reading=reading, sentence=_islands_said(row), threshold=limit)


def _islands_said(row: MetricRow) -> str:
    gap, depth = float(row.extra.get("gap", 0.0)), row.extra.get("depth")
    if row.value == 1:
        if depth is not None and depth > 0.5:  # valleys there are, in classes too few to speak for all
            return "Nearly every class forms one piece."
        cuts = "" if depth is None else f": cuts through them show no deep valleys (depth {depth:.2f})"
        return f"Each class forms one piece{cuts}."
    valleys = "" if depth is None else f", valleys of depth {depth:.2f}"
    return (
        f"A class falls into {row.value:.3g} islands (gap {gap:.2f} compared with a normal distribution of the same "
        f"covariance{valleys})."
    )


def locality_evidence(rows: JudgedRows, thresholds: Thresholds) -> Evidence | None:
    """Whether neighbours of the class are only local: right at rank 1, wrong among as many as the class has members."""
    first, deep, classes = rows.find("precision_at_1"), rows.find("r_precision"), rows.classes()
    if first is None or deep is None or first.value is None or deep.value is None:
        return None
    granularity = rows.find("granularity")
    if classes is None and granularity is not None and granularity.value is None:
        return None  # one class, or too few rows to tell: any neighbour is of the same class, or chance is unknown
    chance = 0.0 if classes is None else 1.0 / classes
    near, far = proportion(first), proportion(deep)
    if near.low <= chance:
        sentence = "Even the nearest images share the class no more often than by chance."
        return evidence_from(deep, reading="neutral", sentence=sentence)
    ratio = Estimate(
        (far.value - chance) / (near.value - chance),
        (far.low - chance) / (near.high - chance),
        (far.high - chance) / (near.low - chance),
    )
    sentence = (
        f"{100 * near.value:.0f} % of nearest neighbours share the class, and {100 * far.value:.0f} % of the R nearest "
        f"(R = class size): a ratio of {ratio.value:.2f} after correcting for chance; a low ratio suggests islands."
    )
    limit = thresholds.locality_ratio
    found = evidence_from(deep, reading=ratio.reading(limit, above="against"), sentence=sentence, threshold=limit)
    return replace(
        found,
        metric="r_precision / precision_at_1",
        params={"above_chance": chance},
        value=ratio.value,
        ci_low=ratio.low,
        ci_high=ratio.high,
        ci_method="ends of both intervals",
    )


def scatter_evidence(rows: JudgedRows, thresholds: Thresholds) -> Evidence | None:
    """Whether instances are tight while classes are not."""
    row = rows.find("class_distance_ratio")
    if row is None or row.value is None:
        return None
    sentence = f"Images of one class are {row.value:.2f} times as far apart as images of different classes."
    views, within = rows.find("alignment", pair="original-view"), rows.find("intra_class_distance")
    if views is not None and views.value is not None and within is not None and within.value is not None:
        sentence += (
            f" The mean squared distance is {views.value:.2f} from an image to its view and {within.value:.2f} "
            "within a class."
        )
    low, high = interval_of(row) or (row.value, row.value)
    limit = thresholds.scattered_ratio
    reading = Estimate(row.value, low, high).reading(limit, above="for")
    return evidence_from(row, reading=reading, sentence=sentence, threshold=limit)


def purity_evidence(rows: JudgedRows) -> Evidence | None:
    """How purity goes on after one cluster per class; context only, as it climbs by itself."""
    classes = rows.classes()
    curve = rows.curve("kmeans_purity", "clusters")
    if classes is None or classes not in curve or 4 * classes not in curve:
        return None
    one, four = curve[classes], curve[4 * classes]
    sentence = f"Purity goes from {one.value:.2f} at one cluster per class to {four.value:.2f} at four."
    return evidence_from(four, reading="neutral", sentence=sentence, against_what="context")


def homogeneity_evidence(rows: JudgedRows) -> Evidence | None:
    """Homogeneity against completeness at four clusters per class; context only."""
    classes = rows.classes()
    if classes is None:
        return None
    pure, whole = rows.curve("homogeneity", "clusters"), rows.curve("completeness", "clusters")
    if 4 * classes not in pure or 4 * classes not in whole:
        return None
    row = pure[4 * classes]
    sentence = (
        f"At four clusters per class homogeneity is {row.value:.2f}, completeness {whole[4 * classes].value:.2f}."
    )
    return evidence_from(row, reading="neutral", sentence=sentence, against_what="context")
