"""Do the intervals hold what they promise? Coverage of nominal 95 % intervals, and errors of the paired tests.

    python -m benchmarks.coverage --real build/cifar --trials 200 --write   both tables, put into docs/uncertainty.md

Each design draws fresh data many times: rows of real images through two encoders first (`benchmarks.coverage_real` says
how to store them; without --real there are none), then spaces of known make-up. The truth is the expected value at that
number of rows: known where it can be worked out, otherwise the mean over all trials (the median where the interval
speaks of it). All metrics of a design are
evaluated on the same draws. A row is good at 93-97 %; what is outside is said to be so. Trials are kept in --keep until
the code that they ran changes: with --minutes 4 the command stops after four minutes, and the same command again goes
on from there. With --share 1/2 and --share 2/2 two processes, or two machines whose kept files are put into one folder,
divide the trials between them; --reached then makes the tables of what is there.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks import coverage_designs as designs
from benchmarks import coverage_real as real
from benchmarks.kept_trials import KeptTrials, OutOfTimeError, Trial
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.files import write_text
from repdiag.diagnosis.compared import compare_encoders
from repdiag.diagnosis.compared_answers import NOT_TOLD_APART, answers
from repdiag.metrics.inference import compare, holm, paired_test, with_interval
from repdiag.metrics.inference.means import mean_estimate, share_interval
from repdiag.metrics.pairwise import sharing
from repdiag.metrics.registry import get

DOCUMENT = Path(__file__).parents[1] / "docs" / "uncertainty.md"
BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"
REAL, MADE_UP = "real tables", "tables"
MODULES = ("repdiag.metrics.inference", "benchmarks.coverage", "benchmarks.coverage_designs")
REAL_MODULES = (*MODULES, "benchmarks.coverage_real", "repdiag.diagnosis.compared")
DIFFERENT = "one with 1.3 times the noise of the other"
DIFFERENT_ROWS = "500 rows, one with 1.4 times the noise added to resnet20"
MEDIAN = frozenset({"nc1", "coherence"})


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


@dataclass(frozen=True, kw_only=True)
class Part:
    """One simulation: what a trial is, how many there are, and the rows of the table that they give."""

    name: str
    trials: int
    run: Callable[[int], Trial]
    rows: Callable[[Sequence[Trial]], Iterator[Row]]
    metrics: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def modules(self) -> tuple[str, ...]:
        """Return the modules whose code makes the trials: those of the metrics, of their errors, of the designs."""
        return (*(get(name).function.__module__ for name in self.metrics), *MODULES, *self.more)


def coverage(design: designs.Design, trials: int) -> Part:
    """Evaluate all metrics of a design on every draw, and count the intervals that hold the truth."""

    def run(trial: int) -> Trial:
        data, found = design.draw(trial), {}
        with sharing():
            for name, settings in design.wanted:
                metric = get(name)
                arguments = {key: value for key, value in data.items() if key in metric.takes} | dict(settings)
                drawn = {"labels": data.get("labels"), "groups": data.get("groups")}
                value = with_interval(metric, metric.function(**arguments), arguments, **drawn, seed=trial)
                found[label(name, settings)] = [value.value, value.ci_low, value.ci_high]
        return found

    def rows(kept: Sequence[Trial]) -> Iterator[Row]:
        for name, settings in design.wanted:
            found = [trial[label(name, settings)] for trial in kept]
            every = [value for value, _, _ in found if value is not None]
            truth = statistics.median(every) if name in MEDIAN else statistics.fmean(every)
            held = [low <= truth <= high for _, low, high in found if low is not None and high is not None]
            yield Row(name=label(name, settings), design=design.name, hits=sum(held), trials=len(held))

    wanted = ", ".join(label(*wanted) for wanted in design.wanted)
    names = tuple(name for name, _ in design.wanted)
    number = max(10, round(trials * design.share))
    return Part(name=f"{design.name}: {wanted}", trials=number, run=run, rows=rows, metrics=names)


def label(name: str, settings: designs.Settings) -> str:
    """Return a metric's name with the settings that tell it from others of that name."""
    return name if not settings else f"{name} ({', '.join(f'{k} {v}' for k, v in settings.items())})"


def query_coverage(classes: int, *, binary: bool, trials: int) -> Part:
    """Classes drawn from a population of classes, each with its own level; 20 rows of each."""
    labels = torch.arange(classes).repeat_interleave(20)

    def run(trial: int) -> Trial:
        level = torch.randn(classes, generator=designs.generator(trial), dtype=torch.float64)[labels]
        noise = torch.randn(len(labels), generator=designs.generator(trial + 700_000), dtype=torch.float64)
        parts = (level + 2.0 * noise > 0).double() if binary else level + noise
        estimate, truth = mean_estimate(parts, labels, groups=labels), 0.5 if binary else 0.0
        low, high = share_interval(estimate, rows=len(parts)) if binary else estimate.interval()
        return {kind: low <= truth <= high}

    kind = "share of hits" if binary else "mean over rows"
    name = f"{classes} drawn classes of 20 rows"
    return Part(name=f"{name}, {kind}", trials=trials, run=run, rows=counted(name, (kind,)))


def counted(design: str, names: Sequence[str]) -> Callable[[Sequence[Trial]], Iterator[Row]]:
    """Return the rows of trials that say of each name whether it happened."""

    def rows(kept: Sequence[Trial]) -> Iterator[Row]:
        for name in names:
            yield Row(name=name, design=design, hits=sum(trial[name] for trial in kept), trials=len(kept))

    return rows


def called_different(classes: int, *, trials: int) -> Part:
    """Two checkpoints of equal quality whose differences go together within a class."""
    labels = torch.arange(classes).repeat_interleave(20)

    def run(trial: int) -> Trial:
        ease = 0.5 + 0.2 * torch.randn(2, classes, generator=designs.generator(trial))[:, labels]
        hits = (torch.rand(2, len(labels), generator=designs.generator(trial + 300_000)) < ease).double()
        return {"hits and misses": paired_test(hits[0], hits[1], groups=labels).p_value <= 0.05}

    name = f"{classes} drawn classes of 20 rows"
    return Part(name=f"{name}, paired", trials=trials, run=run, rows=counted(name, ("hits and misses",)))


def pairs(
    design: str, draw: designs.DrawPair, wanted: Sequence[designs.Wanted], *, trials: int, after_holm: bool = False
) -> Part:
    """Compare two encoders on the same rows; perhaps with Holm's correction over all metrics."""
    any_metric = "any of these, after Holm"

    def run(trial: int) -> Trial:
        pair = draw(trial)
        found: dict[str, float] = {}
        with sharing():
            for name, settings in wanted:
                metric = get(name)
                first, second = ({k: v for k, v in data.items() if k in metric.takes} | dict(settings) for data in pair)
                drawn = {"labels": pair[0]["labels"], "groups": pair[0].get("groups")}
                test = compare(metric, first, second, **drawn, seed=trial)
                if test is not None:
                    found[label(name, settings)] = test.p_value
        called = {name: value <= 0.05 for name, value in found.items()}
        return called | ({any_metric: min(holm(list(found.values()))) <= 0.05} if after_holm else {})

    names = [label(*item) for item in wanted] + ([any_metric] if after_holm else [])
    metrics = tuple(name for name, _ in wanted)
    title = f"{design}: {', '.join(names)}"
    return Part(name=title, trials=trials, run=run, rows=counted(design, names), metrics=metrics)


def verdict(row: Row) -> str:
    """Say whether a coverage is what it should be, and whether so few trials can tell (two standard errors of 95 %)."""
    if 93.0 <= row.share <= 97.0:
        return ""
    kind = "conservative" if row.share > 97.0 else "approximate"
    beyond = abs(row.share - 95.0) > 200.0 * (0.95 * 0.05 / row.trials) ** 0.5
    return kind if beyond else f"{kind}, or chance"


def real_simulations(trials: int, folder: Path) -> tuple[list[Part], list[Part]]:
    """Return what is drawn of real rows: for the table of intervals, and for that of paired tests."""
    covered = [replace(coverage(design, trials), more=REAL_MODULES) for design in real.real_designs(folder)]
    rows, equal = real.RealRows(folder=folder), "500 rows, equal noise added to resnet20"
    paired = [
        pairs(equal, rows.pair, real.COMPARED, trials=2 * trials, after_holm=True),
        compared(equal, rows.pair, trials=trials),
        pairs(DIFFERENT_ROWS, rows.unequal_pair, real.RETRIEVAL, trials=trials),
        compared(DIFFERENT_ROWS, rows.unequal_pair, trials=trials // 4),
    ]
    return covered, [replace(part, more=REAL_MODULES) for part in paired]


def compared(design: str, draw: designs.DrawPair, *, trials: int) -> Part:
    """Compare two encoders by `compare_encoders`: how often granularities differ, and what is answered."""
    names = ("ratio of granularities", "any question answered", "more or less over-clustered")

    def run(trial: int) -> Trial:
        sides = [EmbeddingSet(features=each["features"], labels=each["labels"]) for each in draw(trial)]
        found = compare_encoders(*sides, measures=("granularity", "locality", "r_precision"), seed=trial)
        said = [answer.answer for answer in answers(found)]
        change = found.changes.get("granularity")
        return dict(
            zip(
                names,
                (
                    change is not None and change.p_value <= 0.05,
                    any(answer != NOT_TOLD_APART for answer in said),
                    any(answer.endswith("over-clustered") for answer in said),
                ),
                strict=True,
            )
        )

    return Part(name=f"{design}: {', '.join(names)}", trials=trials, run=run, rows=counted(design, names))


def simulations(trials: int) -> tuple[list[Part], list[Part]]:
    """Return what is drawn of spaces of known make-up: for the table of intervals, and for that of paired tests."""
    covered = [query_coverage(n, binary=binary, trials=10 * trials) for n in (5, 10, 50) for binary in (False, True)]
    covered += [coverage(design, trials) for design in designs.DESIGNS]
    paired = [called_different(classes, trials=10 * trials) for classes in (6, 10, 50)]
    equal, unequal = "two encoders of equal quality", DIFFERENT
    paired.append(pairs(equal, designs.equal_encoders, designs.RETRIEVAL, trials=10 * trials))
    paired.append(pairs(equal, designs.equal_encoders, designs.RANKED, trials=5 * trials))
    paired.append(pairs(equal, designs.equal_encoders, designs.COMPARED, trials=trials, after_holm=True))
    paired.append(pairs(unequal, designs.unequal_encoders, designs.RETRIEVAL, trials=trials))
    return covered, paired


def run_share(parts: Sequence[Part], kept: KeptTrials) -> None:
    """Run the trials of some parts that are not there yet, a quarter of all parts' first; no tables."""
    for share in (0.25, 0.5, 1.0):
        for part in parts:
            found = kept.run(part.name, round(share * part.trials), part.run, modules=part.modules)
            print(f"{part.name}: {len(found)} trials", file=sys.stderr, flush=True)


def tables(trials: int, kept: KeptTrials, folder: Path | None, *, made_up: bool) -> dict[str, str]:
    """Run everything that is not there yet, and return the tables by place; rows appear on stderr as they come."""
    found = dict[str, list[str]]()
    if folder is not None:
        found[REAL] = ["Real rows:", "", *both_tables(*real_simulations(trials, folder), kept), ""]
        for encoder in real.ENCODERS:
            widths = ", ".join(f"{name} {width}" for name, width in real.half_widths(folder, encoder).items())
            found[REAL].append(f"Half-widths at 2,000 rows of {encoder}, mean and largest of ten draws: {widths}.\n")
    if made_up:
        found[MADE_UP] = ["Spaces of known make-up:", "", *both_tables(*simulations(trials), kept)]
    return {place: "\n".join(lines) + "\n" for place, lines in found.items()}


def both_tables(covered: Sequence[Part], paired: Sequence[Part], kept: KeptTrials) -> list[str]:
    """Return the table of intervals and that of paired tests."""
    lines = ["| value | design | trials | coverage | |", "|---|---|---|---|---|"]
    add(lines, covered, kept, note=verdict)
    lines += ["", "| paired test of | pair | trials | called different at 5 % | |", "|---|---|---|---|---|"]
    add(lines, paired, kept, note=too_often)
    return lines


def too_often(row: Row) -> str:
    """Say where a test errs more often than it should by more than two standard errors."""
    if row.design in {DIFFERENT, DIFFERENT_ROWS}:
        return "found, as it should be"
    return "too often" if row.share > 5.0 + 200.0 * (0.05 * 0.95 / row.trials) ** 0.5 else ""


def add(lines: list[str], parts: Sequence[Part], kept: KeptTrials, *, note: Callable[[Row], str]) -> None:
    for part in parts:
        trials = kept.run(part.name, part.trials, part.run, modules=part.modules)
        for row in part.rows(trials) if trials else ():
            lines.append(f"| {row.name} | {row.design} | {row.trials} | {row.share:.1f} % | {note(row)} |")
            print(lines[-1], file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--write", action="store_true", help="put the tables into docs/uncertainty.md")
    parser.add_argument("--keep", type=Path, default=Path("build/coverage"), help="where the trials are kept")
    parser.add_argument(
        "--real", type=Path, help="folder of stored embeddings of real images (benchmarks.coverage_real)"
    )
    parser.add_argument("--real-only", action="store_true", help="no spaces of known make-up")
    parser.add_argument("--minutes", type=float, help="stop after so many minutes; the same command goes on")
    parser.add_argument("--share", default="1/1", help="2/3 runs every third trial from the second on; no tables")
    parser.add_argument("--reached", action="store_true", help="run nothing: the tables of the trials that are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    place, _, shares = options.share.partition("/")
    share = int(place), int(shares)
    kept = KeptTrials(options.keep, minutes=options.minutes, only_kept=options.reached, share=share)
    try:
        if share != (1, 1):
            parts = [*simulations(options.trials)] if not options.real_only else []
            if options.real is not None:
                parts = [*real_simulations(options.trials, options.real), *parts]
            run_share([part for both in parts for part in both], kept)
            return 0
        found = tables(options.trials, kept, options.real, made_up=not options.real_only)
    except OutOfTimeError as stopped:
        print(f"not finished: {stopped}; the same command goes on", file=sys.stderr)
        return 1
    reached = " --reached" if options.reached else ""
    reached += " --real build/cifar" if options.real is not None else ""
    reached += " --real-only" if options.real_only else ""
    for name, made in found.items():
        text = f"`python -m benchmarks.coverage --trials {options.trials}{reached} --write`\n\n{made}"
        print(text)
        if options.write:
            begin, end = BEGIN.format(name), END.format(name)
            head, rest = DOCUMENT.read_text("utf-8").split(begin)
            write_text(DOCUMENT, f"{head}{begin}\n\n{text}\n{end}{rest.split(end)[1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
