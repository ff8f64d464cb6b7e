"""Do the intervals hold what they promise? Coverage of nominal 95 % intervals, and errors of the paired tests.

    python -m benchmarks.coverage --write      put the tables into docs/uncertainty.md
    python -m benchmarks.coverage --trials 50  the quick version

Each design draws fresh data many times. The truth is the expected value at that number of rows: known where it can be
worked out, otherwise the mean over all trials (the median for nc1, whose interval speaks of it). All metrics of a
design are evaluated on the same draws. A row is good at 93-97 %; what is outside is said to be so.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import coverage_designs as designs
from repdiag.core.files import write_text
from repdiag.core.metric_value import MetricValue
from repdiag.metrics.inference import compare, holm, paired_test, with_interval
from repdiag.metrics.inference.means import mean_estimate, share_interval
from repdiag.metrics.pairwise import sharing
from repdiag.metrics.registry import get

DOCUMENT = Path(__file__).parents[1] / "docs" / "uncertainty.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
MEDIAN = frozenset({"nc1"})


@dataclass(frozen=True, kw_only=True)
class Row:
    """How often something happened in so many trials."""

    name: str
    design: str
    hits: int
    trials: int

    @property
    def share(self) -> float:
        """Return how often it happened, in percent."""
        return 100.0 * self.hits / self.trials


def coverage(design: designs.Design, trials: int) -> Iterator[Row]:
    """Evaluate all metrics of a design on every draw, and count the intervals that hold the truth."""
    found: dict[str, list[MetricValue]] = {label(name, settings): [] for name, settings in design.wanted}
    for trial in range(trials):
        data = design.draw(trial)
        with sharing():
            for name, settings in design.wanted:
                metric = get(name)
                arguments = {key: value for key, value in data.items() if key in metric.takes} | dict(settings)
                labels = data.get("labels")
                value = with_interval(metric, metric.function(**arguments), arguments, labels=labels, seed=trial)
                found[label(name, settings)].append(value)
    for name, values in found.items():
        every = [float(value) for value in values if value.value is not None]
        truth = statistics.median(every) if name in MEDIAN else statistics.fmean(every)
        held = [v for v in values if v.ci_low is not None and v.ci_high is not None]
        yield Row(
            name=name,
            design=design.name,
            hits=sum(v.ci_low <= truth <= v.ci_high for v in held if v.ci_low is not None and v.ci_high is not None),
            trials=len(held),
        )


def label(name: str, settings: designs.Settings) -> str:
    """Return a metric's name with the settings that tell it from others of that name."""
    return name if not settings else f"{name} ({', '.join(f'{k} {v}' for k, v in settings.items())})"


def query_coverage(classes: int, *, binary: bool, trials: int) -> Row:
    """Classes drawn from a population of classes, each with its own level; 20 rows of each."""
    labels, hits = torch.arange(classes).repeat_interleave(20), 0
    for trial in range(trials):
        level = torch.randn(classes, generator=designs.generator(trial), dtype=torch.float64)[labels]
        noise = torch.randn(len(labels), generator=designs.generator(trial + 700_000), dtype=torch.float64)
        parts = (level + 2.0 * noise > 0).double() if binary else level + noise
        estimate, truth = mean_estimate(parts, labels), 0.5 if binary else 0.0
        low, high = share_interval(estimate, rows=len(parts)) if binary else estimate.interval()
        hits += low <= truth <= high
    kind = "share of hits" if binary else "mean over rows"
    return Row(name=kind, design=f"{classes} drawn classes of 20 rows", hits=hits, trials=trials)


def called_different(classes: int, *, trials: int) -> Row:
    """Two checkpoints of equal quality whose differences go together within a class."""
    labels, calls = torch.arange(classes).repeat_interleave(20), 0
    for trial in range(trials):
        ease = 0.5 + 0.2 * torch.randn(2, classes, generator=designs.generator(trial))[:, labels]
        hits = (torch.rand(2, len(labels), generator=designs.generator(trial + 300_000)) < ease).double()
        calls += paired_test(hits[0], hits[1], labels=labels, seed=trial).p_value <= 0.05
    return Row(name="hits and misses", design=f"{classes} drawn classes of 20 rows", hits=calls, trials=trials)


def null_pairs(trials: int) -> Iterator[Row]:
    """Compare two encoders equally far from the same truth on the same rows; the last row is Holm over all metrics."""
    calls = dict.fromkeys((label(*wanted) for wanted in designs.COMPARED), 0)
    any_metric = 0
    for trial in range(trials):
        first, second = designs.equal_encoders(trial)
        p_values = []
        with sharing():
            for name, settings in designs.COMPARED:
                metric = get(name)
                pair = [
                    {k: v for k, v in data.items() if k in metric.takes} | dict(settings) for data in (first, second)
                ]
                found = compare(metric, pair[0], pair[1], labels=first["labels"], seed=trial)
                if found is not None:
                    p_values.append(found.p_value)
                    calls[label(name, settings)] += found.p_value <= 0.05
        any_metric += min(holm(p_values)) <= 0.05
    for name, count in calls.items():
        yield Row(name=name, design="two encoders of equal quality", hits=count, trials=trials)
    yield Row(name="any of these, after Holm", design="two encoders of equal quality", hits=any_metric, trials=trials)


def verdict(row: Row) -> str:
    """Say whether a coverage is what it should be, and whether so few trials can tell (two standard errors of 95 %)."""
    if 93.0 <= row.share <= 97.0:
        return ""
    kind = "conservative" if row.share > 97.0 else "approximate"
    beyond = abs(row.share - 95.0) > 200.0 * (0.95 * 0.05 / row.trials) ** 0.5
    return kind if beyond else f"{kind}, or chance"


def tables(trials: int) -> str:
    """Run everything; the rows appear on stderr as they come."""
    lines = ["| value | design | trials | coverage | |", "|---|---|---|---|---|"]
    for classes in (5, 10, 50):
        for binary in (False, True):
            add(lines, query_coverage(classes, binary=binary, trials=10 * trials), note=verdict)
    for design in designs.DESIGNS:
        for row in coverage(design, max(10, round(trials * design.share))):
            add(lines, row, note=verdict)
    lines += ["", "| paired test of | null pair | trials | called different at 5 % | |", "|---|---|---|---|---|"]
    for classes in (6, 10, 50):
        add(lines, called_different(classes, trials=5 * trials), note=too_often)
    for row in null_pairs(trials):
        add(lines, row, note=too_often)
    return "\n".join(lines) + "\n"


def too_often(row: Row) -> str:
    """Say where a test errs more often than it should by more than two standard errors."""
    return "too often" if row.share > 5.0 + 200.0 * (0.05 * 0.95 / row.trials) ** 0.5 else ""


def add(lines: list[str], row: Row, *, note: Callable[[Row], str]) -> None:
    lines.append(f"| {row.name} | {row.design} | {row.trials} | {row.share:.1f} % | {note(row)} |")
    print(lines[-1], file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/uncertainty.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = f"`python -m benchmarks.coverage --trials {options.trials} --write`\n\n{tables(options.trials)}"
    print(text)
    if options.write:
        head, rest = DOCUMENT.read_text("utf-8").split(BEGIN)
        write_text(DOCUMENT, f"{head}{BEGIN}\n\n{text}\n{END}{rest.split(END)[1]}")


if __name__ == "__main__":
    main()
