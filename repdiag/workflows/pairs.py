"""The checkpoints of a comparison against one another, from what their analyses left on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from repdiag.core.errors import RepdiagError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from repdiag.core.embedding_set import EmbeddingSet


@dataclass(frozen=True, kw_only=True)
class PairTables:
    """What is answered of every pair of checkpoints, the paired tests behind it, and which classes changed."""

    answers: pd.DataFrame
    tests: pd.DataFrame
    classes: pd.DataFrame

    def sentences(self) -> Iterator[str]:
        """Yield one line a pair: the answers, where there are labels, else on which metrics it differs."""
        if len(self.answers):
            from repdiag.diagnosis.pair_answers import answer_sentences

            yield from answer_sentences(self.answers)
            return
        changed = self.classes[self.classes["differs"].astype(bool)]
        for (first, second), rows in self.tests.groupby(["first", "second"], sort=False):
            names = ", ".join(rows.loc[rows["differs"], "metric"]) or "nothing that was tested"
            here = changed[(changed["first"] == first) & (changed["second"] == second)]
            count = here["class_name"].nunique()
            yield f"{first} against {second}: differ in {names}; classes that changed: {count}"


def compare_pairs(
    sets: Mapping[str, Mapping[str, EmbeddingSet]],
    folders: Mapping[str, Path],
    *,
    seed: int,
    classes_drawn: bool = False,
) -> PairTables | None:
    """Return the tests of analyses by their stored sets and folders; None for a single checkpoint."""
    import pandas as pd

    from repdiag.diagnosis.checkpoint_pairs import Side, class_changes, paired_tests
    from repdiag.diagnosis.pair_answers import EncoderSets, accuracy_changes, pair_answers
    from repdiag.metrics.inference.units import CLASSES

    if len(folders) < 2:
        return None
    sides = {
        name: Side(rows=pd.read_parquet(folder / "per_row.parquet"), embeddings=sets[name]["val"])
        for name, folder in folders.items()
    }
    encoders = {name: EncoderSets(val=found["val"], train=found.get("train")) for name, found in sets.items()}
    tests = paired_tests(sides, seed=seed, classes_drawn=classes_drawn)
    # Accuracy was tested on all queries against the whole bank; the sets that are kept are smaller.
    known, groups = accuracy_changes(tests), CLASSES if classes_drawn else None
    return PairTables(
        answers=pair_answers(encoders, groups=groups, seed=seed, known=known),
        tests=tests,
        classes=class_changes(sides),
    )


def held_against_one(
    reference: str,
    verdicts: Mapping[str, Any],
    vals: Mapping[str, EmbeddingSet],
    *,
    failures: Mapping[str, str],
    **how: Any,
) -> dict[str, Any]:
    """Return the judgements with every checkpoint held against the reference, by paired tests on the same images.

    Raises `RepdiagError` where the reference is not among the analyses, with the reason in `failures`.
    """
    from repdiag.core.metric_table import reference_name
    from repdiag.diagnosis.comparisons import hold_against
    from repdiag.diagnosis.verdict import Diagnosis

    if reference not in vals:
        raise RepdiagError("the reference could not be analyzed", found=failures.get(reference, reference))
    other = {reference_name(reference): vals[reference]}
    held = {}
    for name, verdict in verdicts.items():
        found = Diagnosis.from_dict(verdict)
        beside = found if name == reference else hold_against(found, vals[name], other, null=False, **how)
        held[name] = beside.to_dict()
    return held


def write_pairs(pairs: PairTables | None, out: Path) -> None:
    """Write pairs.csv, paired_tests.csv and class_changes.csv; nothing for a single checkpoint."""
    from repdiag.core.csv_text import csv_text
    from repdiag.core.files import write_text

    named = {} if pairs is None else {"pairs": pairs.answers, "paired_tests": pairs.tests}
    frames = named if pairs is None else {**named, "class_changes": pairs.classes}
    for name, frame in frames.items():
        write_text(out / f"{name}.csv", csv_text(frame))
