"""How often the verdicts are right on spaces with known truth; `--write` puts the tables into docs/calibration.md.

python -m benchmarks.calibration --write      the tables of the documentation
python -m benchmarks.calibration --draws 5    a quick look
"""

from __future__ import annotations

import argparse
import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from repdiag.core.files import write_text
from repdiag.core.metric_table import MetricTable
from repdiag.diagnosis.diagnose import judge
from repdiag.diagnosis.synthetic import SpaceRecipe, draw_space, separation
from repdiag.diagnosis.verdict import Diagnosis
from repdiag.metrics.evaluate import evaluate

DOCUMENT = Path(__file__).parent.parent / "docs" / "calibration.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
ISLANDS = (1, 2, 4, 8, 16)
CLEAR, UNCLEAR = 6.0, 1.5  # separations, in standard deviations of the noise
LARGEST = 1500  # rows of a space
# Metrics of each question: those whose intervals the verdict reads, and those whose values are enough.
CLUSTER_METRICS = (
    ("granularity", "sub_clusters", "precision_at_1", "r_precision", "class_distance_ratio"),
    ("ami",),
)
PRETEXT_METRICS = (("pretext_gap",), ("alignment",))
COLLAPSE_METRICS = (("mean_cosine",), ("singular_spectrum", "sub_clusters"))
Metrics = tuple[tuple[str, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Case:
    """A space with its true answer; None where no answer is clear, so that "inconclusive" is right."""

    recipe: SpaceRecipe
    truth: str | None
    seed: int


@dataclass(frozen=True)
class Score:
    """What became of the cases of one truth."""

    truth: str
    right: int
    inconclusive: int
    wrong: int

    @property
    def total(self) -> int:
        """Return the number of cases."""
        return self.right + self.inconclusive + self.wrong


def nuisances(draw: random.Random, *, islands: int) -> SpaceRecipe:
    """Draw everything that should not matter, from wide ranges."""
    per_class = draw.choice([count for count in (20, 50, 100, 200, 500) if count >= 5 * islands])
    classes = draw.choice([count for count in (2, 5, 10, 20, 50, 100) if count * per_class <= LARGEST])
    return SpaceRecipe(
        classes=classes,
        islands=islands,
        per_class=per_class,
        dims=draw.choice((16, 32, 64, 128, 512, 2048)),
        within=draw.uniform(0.2, 1.0),
        imbalance=draw.choice((1.0, 1.0, 3.0)) if per_class >= 15 * islands else 1.0,
        uneven=draw.random() < 0.3,
        decay=draw.choice((0.0, 0.5, 1.0)),
        freedom=draw.choice((math.inf, math.inf, 5.0)),
        duplicates=draw.choice((0.0, 0.05)),
        offset=draw.choice((0.0, 1.0)),
    )


def drawn(
    count: int, make: Callable[[random.Random], SpaceRecipe], accept: Callable[[float], bool], *, name: str
) -> Iterator[tuple[SpaceRecipe, int]]:
    """Yield recipes whose separation is accepted, each with a seed of its own; the same ones at every run."""
    draw, seed = random.Random(name), 0
    while count > 0:
        recipe, seed = make(draw), seed + 1
        if accept(separation(recipe, seed=seed)):
            count -= 1
            yield recipe, seed


def cluster_cases(draws: int) -> list[Case]:
    """Return the cases of over-clustering: three clear truths, and noise that hides whatever there is."""

    def finer(draw: random.Random) -> SpaceRecipe:
        return replace(nuisances(draw, islands=draw.choice(ISLANDS[1:])), kinship=draw.choice((0.0, 0.0, 0.3, 0.6)))

    def whole(draw: random.Random) -> SpaceRecipe:
        return nuisances(draw, islands=1)

    def coarser(draw: random.Random) -> SpaceRecipe:
        recipe = whole(draw)
        classes = max(4, recipe.classes - recipe.classes % 2)
        return replace(recipe, classes=classes, merged=2, imbalance=1.0)

    def hidden(draw: random.Random) -> SpaceRecipe:
        return replace(finer(draw), within=draw.uniform(6.0, 20.0), freedom=math.inf)

    clear, unclear = (lambda value: value >= CLEAR), (lambda value: value <= UNCLEAR)
    plan = (
        ("over-clustered", finer, clear),
        ("not over-clustered", whole, clear),
        ("under-clustered", coarser, clear),
        (None, hidden, unclear),
    )
    return [
        Case(recipe, truth, seed)
        for truth, make, accept in plan
        for recipe, seed in drawn(draws, make, accept, name=str(truth))
    ]


def pretext_cases(draws: int) -> list[Case]:
    """Return the cases of overfitting: views known by heart, views equally known, and too few rows for a small gap."""
    plan: tuple[tuple[str | None, float, float, int], ...] = (
        ("overfitting", 1.5, 0.9, 100),
        ("no overfitting", 1.0, 0.3, 100),
        (None, 1.02, 1.4, 20),
    )
    cases = []
    for truth, forgotten, view, per_class in plan:
        draw = random.Random(f"pretext {truth}")
        for seed in range(draws):
            recipe = SpaceRecipe(
                classes=draw.choice((5, 10)),
                per_class=per_class,
                dims=draw.choice((32, 64, 128)),
                within=0.8,
                view=view,
                forgotten=forgotten,
                offset=draw.choice((0.0, 1.0)),
            )
            cases.append(Case(recipe, truth, seed))
    return cases


def collapse_cases(draws: int) -> list[Case]:
    """Return the cases of collapse: three kinds and none."""
    plan: tuple[tuple[str, dict[str, float]], ...] = (
        ("complete", {"shrink": 1e-3, "offset": 1.0}),
        ("cone", {"offset": 8.0}),
        ("dimensional", {}),
        ("none", {"offset": 1.0}),
    )
    cases = []
    for truth, fault in plan:
        draw = random.Random(f"collapse {truth}")
        for seed in range(draws):
            recipe = replace(nuisances(draw, islands=draw.choice((1, 4))), offset=0.0, within=draw.uniform(0.3, 1.0))
            if truth == "dimensional":
                shown = min(recipe.dims, recipe.classes * recipe.per_class // 3)  # fewer rows show fewer directions
                live = max(2, round(shown * draw.uniform(0.05, 0.5)))
                # A floor of noise hides the fall to zero; it shows where the clusters do not fill what is left.
                floor = draw.choice((1e-4, 1e-2)) if live > 2 * recipe.classes * recipe.islands else 1e-4
                recipe = replace(recipe, live_dims=live, floor=floor, imbalance=1.0)
            cases.append(Case(replace(recipe, **fault), truth, seed))
    return cases


def diagnosis_of(case: Case, metrics: Metrics) -> tuple[MetricTable, Diagnosis]:
    """Draw the space of a case, evaluate and judge it."""
    space = draw_space(case.recipe, seed=case.seed)
    train = draw_space(case.recipe, seed=case.seed, split="train") if metrics is PRETEXT_METRICS else None
    table = evaluate(space, metrics[0], bank=train) + evaluate(space, metrics[1], intervals=False)
    if metrics is COLLAPSE_METRICS:  # how many directions the classes need
        table += evaluate(space, [("ami", {"clusters": case.recipe.classes})], intervals=False)
    return table, judge(table)


def recovery(draws: int) -> list[tuple[int, int, float, float]]:
    """Return for each number of islands: draws, share recovered by granularity, share recovered by sub_clusters."""
    found = []
    for islands in ISLANDS:
        near = Counter[str]()

        def make(draw: random.Random, islands: int = islands) -> SpaceRecipe:
            recipe = nuisances(draw, islands=islands)
            per_class = min(200, max(recipe.per_class, 10 * islands))
            return replace(recipe, per_class=per_class, classes=min(recipe.classes, 10, LARGEST // per_class))

        for recipe, seed in drawn(draws, make, lambda value: value >= CLEAR, name=f"recovery {islands}"):
            table = evaluate(draw_space(recipe, seed=seed), ["granularity", "sub_clusters"], intervals=False)
            for metric in ("granularity", "sub_clusters"):
                value = table.value(metric=metric)
                near[metric] += value is not None and abs(value / islands - 1.0) <= 0.25
        found.append((islands, draws, near["granularity"] / draws, near["sub_clusters"] / draws))
    return found


def scored(cases: Sequence[Case], answers: Sequence[str]) -> list[Score]:
    """Count right, inconclusive and wrong answers by truth; without a clear truth only "inconclusive" is right."""
    scores = []
    for truth in dict.fromkeys(case.truth for case in cases):
        given = [answer for case, answer in zip(cases, answers, strict=True) if case.truth == truth]
        open_ = given.count("inconclusive")
        right = given.count(truth) if truth is not None else open_
        wrong = len(given) - right - (open_ if truth is not None else 0)
        scores.append(Score(truth or "none clear", right, open_ if truth is not None else 0, wrong))
    return scores


def collapse_answer(diagnosis: Diagnosis, case: Case) -> str:
    """Return the kind of collapse in question, or "none"; further kinds beside the true one are no error."""
    kinds = diagnosis.collapse.kinds
    if case.truth in kinds:
        return str(case.truth)
    if diagnosis.collapse.verdict == "inconclusive":
        return "inconclusive"
    return kinds[0] if kinds else "none"


def run(draws: int, *, report: Callable[[Case, str, MetricTable], None] | None = None) -> dict[str, list[Score]]:
    """Return the scores of all three questions."""
    plan = (
        ("over-clustering", cluster_cases(draws), CLUSTER_METRICS, lambda d, _: d.over_clustering.verdict),
        ("overfitting", pretext_cases(draws), PRETEXT_METRICS, lambda d, _: d.overfitting.verdict),
        ("collapse", collapse_cases(draws), COLLAPSE_METRICS, collapse_answer),
    )
    scores = {}
    for question, cases, metrics, answer in plan:
        answers = []
        for case in cases:
            table, diagnosis = diagnosis_of(case, metrics)
            answers.append(answer(diagnosis, case))
            if report is not None and answers[-1] != (case.truth or "inconclusive"):
                report(case, answers[-1], table)
        scores[question] = scored(cases, answers)
    return scores


def tables(draws: int, *, report: Callable[[Case, str, MetricTable], None] | None = None) -> str:
    """Return the tables as markdown."""
    lines = ["### Number of islands recovered within 25 %", ""]
    lines += ["| islands of each class | spaces | `granularity` | `sub_clusters` |", "|---|---|---|---|"]
    lines += [f"| {m} | {count} | {100 * g:.0f} % | {100 * s:.0f} % |" for m, count, g, s in recovery(draws)]
    for question, scores in run(draws, report=report).items():
        lines += ["", f"### Verdicts on {question}", ""]
        lines += ["| truth | spaces | right | inconclusive | wrong |", "|---|---|---|---|---|"]
        for score in scores:
            shares = [f"{100 * part / score.total:.1f} %" for part in (score.right, score.inconclusive, score.wrong)]
            lines.append(f"| {score.truth} | {score.total} | {' | '.join(shares)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=20, help="spaces for each truth")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/calibration.md")
    parser.add_argument("--errors", action="store_true", help="print every case that was not answered right to stderr")
    arguments = parser.parse_args()
    text = tables(arguments.draws, report=_print_case if arguments.errors else None)
    print(text)
    if arguments.write:
        page = DOCUMENT.read_text("utf-8")
        head, rest = page.split(BEGIN)
        write_text(DOCUMENT, f"{head}{BEGIN}\n\n{text}\n\n{END}{rest.split(END)[1]}")


def _print_case(case: Case, answer: str, table: MetricTable) -> None:
    changed = {k: v for k, v in asdict(case.recipe).items() if v != getattr(SpaceRecipe(), k)}
    values = {
        row.metric: (row.value if row.value is None else round(row.value, 2), row.ci_low, row.ci_high, row.reason)
        for row in table
        if row.metric != "ami"
    }
    print(f"{case.truth} -> {answer}: seed {case.seed} {changed}\n    {values}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
