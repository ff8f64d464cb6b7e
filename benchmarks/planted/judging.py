"""Fresh draws of the planted encoders' rows, judged by the package, and the table of verdicts against truth."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import repdiag
from benchmarks.planted.answers import Expected, absolute, compared
from repdiag.core.files import write_text
from repdiag.core.provenance import git_commit

ROWS = (500, 1000, 2000)
PAGE = Path(__file__).parents[2] / "docs" / "calibration.md"
BEGIN, END = "<!-- {}: begin -->", "<!-- {}: end -->"
TUNED, FRESH = "planted", "planted anew"  # the lot that limits were set on, and any other
OPEN = ("inconclusive", "not told apart", "too few rows")
# Two classes that nobody would take for one another share a label.
JOINED = {
    "fashion": (0, 1, 2, 3, 4, 0, 3, 4, 1, 2),  # shirts with sandals, trousers with bags, ...: 3 and 6 are akin
    "digits": (0, 0, 1, 1, 2, 2, 3, 3, 4, 4),
}
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One verdict beside the truth: `outcome` is right, open or wrong."""

    encoder: str
    kind: str
    strength: float
    question: str
    rows: int
    draw: int
    clear: bool
    verdict: str
    outcome: str


def judge_alone(val: repdiag.EmbeddingSet, train: repdiag.EmbeddingSet) -> dict[str, str]:
    """Return the package's verdicts by question. The one place that knows how it is asked about one encoder."""
    found = repdiag.diagnose(val, train=train)
    return {name: getattr(found, name).verdict for name in ("over_clustering", "overfitting", "collapse")}


def judge_pair(first: Sequence[repdiag.EmbeddingSet], second: Sequence[repdiag.EmbeddingSet]) -> dict[str, str]:
    """Return the package's answers by question, of first against second; asked like `judge_alone`."""
    pairs = repdiag.compare({"first": first[0], "second": second[0]}, bank=[first[1], second[1]]).pairs
    own = pairs[(pairs["first"] == "first") & (pairs["second"] == "second")]
    return dict(zip(own["question"], own["answer"], strict=True))


def judge_all(folder: Path, *, draws: int, rows: Sequence[int], only: str, pairs: bool) -> list[Judged]:
    """Judge every encoder in the folder; what this commit has judged already is kept and read back."""
    truths = {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))}
    kept = folder / f"judged-{(git_commit() or 'unknown')[:12]}.jsonl"
    known = [Judged(**json.loads(line)) for line in kept.read_text("utf-8").splitlines()] if kept.is_file() else []
    done = {(one.encoder, one.rows, one.draw) for one in known}
    with kept.open("a", encoding="utf-8") as file:
        for count in rows:
            for draw in range(draws):
                for name, truth in truths.items():
                    if only not in name:
                        continue
                    for label, run in _trials(folder, truth, truths, pairs=pairs):
                        if (label, count, draw) in done:
                            continue
                        for one in run(count, draw):
                            known.append(one)
                            file.write(json.dumps(asdict(one)) + "\n")
                        file.flush()
    return known


def _trials(folder: Path, truth: Mapping[str, Any], truths: Mapping[str, Any], *, pairs: bool) -> Iterator[Any]:
    """Yield (what it is called, a function of rows and draw that judges it)."""
    name = truth["name"]
    expected = absolute(truth)
    if expected:
        yield name, lambda count, draw: _alone(folder, truth, expected, count=count, draw=draw)
    joined = JOINED.get(truth["data"]) if truth["kind"] == "healthy" and truth["method"] == "labels" else None
    if joined is not None:
        yield (
            f"{name} joined",
            lambda count, draw: _alone(folder, truth, absolute(truth, joined=True), count=count, draw=draw, to=joined),
        )
    sibling = truths.get(truth["sibling"])
    if pairs and sibling is not None:
        answers = compared(truth, sibling)
        yield (
            f"{name} against {sibling['name']}",
            lambda count, draw: _pair(folder, (truth, sibling), answers, count=count, draw=draw),
        )


def _alone(
    folder: Path,
    truth: Mapping[str, Any],
    expected: Sequence[Expected],
    *,
    count: int,
    draw: int,
    to: Sequence[int] | None = None,
) -> list[Judged]:
    sets = [_drawn(folder, truth["name"], split, count=count, draw=draw, to=to) for split in ("", "train_")]
    verdicts = judge_alone(sets[0], sets[1])
    kind, name = (truth["kind"], truth["name"]) if to is None else ("joined labels", f"{truth['name']} joined")
    return [
        _against(one, verdicts[one.question], kind=kind, name=name, strength=truth["strength"], at=(count, draw))
        for one in expected
    ]


def _pair(
    folder: Path,
    both: tuple[Mapping[str, Any], Mapping[str, Any]],
    expected: Sequence[Expected],
    *,
    count: int,
    draw: int,
) -> list[Judged]:
    names = [one["name"] for one in both]
    common = np.intersect1d(*(_row_ids(folder, name) for name in names))
    sets = [
        [
            _drawn(folder, name, split, count=count, draw=draw, among=None if split else common)
            for split in ("", "train_")
        ]
        for name in names
    ]
    answers = judge_pair(*sets)
    name = f"{both[0]['name']} against {both[1]['name']}"
    return [
        _against(
            one,
            answers[one.question],
            kind=f"{both[0]['kind']}, compared",
            name=name,
            strength=both[0]["strength"],
            at=(count, draw),
        )
        for one in expected
        if one.question in answers
    ]


def _against(expected: Expected, verdict: str, *, kind: str, name: str, strength: float, at: tuple[int, int]) -> Judged:
    outcome = "right" if verdict in expected.right else "open" if verdict in OPEN else "wrong"
    return Judged(
        encoder=name,
        kind=kind,
        strength=strength,
        question=expected.question,
        rows=at[0],
        draw=at[1],
        clear=expected.clear,
        verdict=verdict,
        outcome=outcome,
    )


def _row_ids(folder: Path, name: str) -> NDArray[Any]:
    with np.load(folder / f"{name}.npz") as stored:
        return np.asarray(stored["row_ids"])


def _drawn(
    folder: Path,
    name: str,
    split: str,
    *,
    count: int,
    draw: int,
    to: Sequence[int] | None = None,
    among: NDArray[Any] | None = None,
) -> repdiag.EmbeddingSet:
    """Return about `count` rows, equally many of every class, drawn anew for each draw; the same ones of two files
    where `among` names the images that both have."""
    with np.load(folder / f"{name}.npz") as stored:
        arrays = {key.removeprefix(split): stored[key] for key in stored.files if key.startswith(split)}
        if not split:
            arrays = {key: value for key, value in arrays.items() if not key.startswith("train_")}
    if among is not None:
        place = np.argsort(arrays["row_ids"], kind="stable")
        place = place[np.isin(arrays["row_ids"][place], among)]
        arrays = {key: value[:, place] if value.ndim == 3 else value[place] for key, value in arrays.items()}
    labels = arrays["labels"]
    generator = np.random.default_rng([draw, count])
    each = [generator.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)]
    rows = np.sort(np.concatenate([places[: count // len(each)] for places in each]))
    joined = labels[rows] if to is None else np.asarray(to)[labels[rows]]
    return repdiag.EmbeddingSet(
        features=torch.from_numpy(arrays["features"][rows].astype(np.float32)),
        views=torch.from_numpy(arrays["views"][:, rows].astype(np.float32)),
        labels=torch.from_numpy(joined),
        row_ids=arrays["row_ids"][rows],
        provenance=repdiag.Provenance(checkpoint=name, dataset="planted", split="train" if split else "val"),
    )


def table(judged: Sequence[Judged], *, clear: bool = True) -> str:
    """Return verdicts against truth by question and kind, a column for each number of rows: right / open / wrong."""
    chosen = [one for one in judged if one.clear or not clear]
    rows = sorted({one.rows for one in chosen})
    lines = [f"| question | planted | {' | '.join(f'{count} rows' for count in rows)} |"]
    lines.append("|---|---|" + "---|" * len(rows))
    places = sorted({(one.question, one.kind, one.strength) for one in chosen})
    for question, kind, strength in places:
        said = f"{kind}, {strength:g}" if strength else kind
        cells = [
            _cell(
                [
                    one
                    for one in chosen
                    if (one.question, one.kind, one.strength, one.rows) == (question, kind, strength, count)
                ]
            )
            for count in rows
        ]
        lines.append(f"| {question.replace('_', '-')} | {said} | {' | '.join(cells)} |")
    totals = [_cell([one for one in chosen if one.rows == count], shares=True) for count in rows]
    lines.append(f"| **all** | | {' | '.join(totals)} |")
    return "\n".join(lines)


def _place(one: Judged) -> tuple[str, str, float, int]:
    return one.question, one.kind, one.strength, one.rows


def _cell(judged: Sequence[Judged], *, shares: bool = False) -> str:
    counts = [sum(one.outcome == outcome for one in judged) for outcome in ("right", "open", "wrong")]
    if not judged:
        return ""
    if shares:
        return " / ".join(f"{count / len(judged):.0%}" for count in counts) + f" of {len(judged)}"
    return " / ".join(map(str, counts))


def place_of(folder: Path) -> str:
    """Return which table of docs/calibration.md the encoders of a folder have: that of the first lot, or of another."""
    lots = {json.loads(path.read_text("utf-8")).get("lot", 0) for path in folder.glob("*.json")}
    return TUNED if lots == {0} else FRESH


def write(text: str, *, place: str = TUNED) -> None:
    """Put the table where docs/calibration.md has its place, with the commit that it was drawn at."""
    begin, end = BEGIN.format(place), END.format(place)
    head, rest = PAGE.read_text("utf-8").split(begin)
    said = f"Drawn at commit {git_commit() or 'unknown'}; right / open / wrong, where the truth is clear."
    write_text(PAGE, f"{head}{begin}\n\n{said}\n\n{text}\n\n{end}{rest.split(end)[1]}")


def wrong(judged: Sequence[Judged]) -> list[Judged]:
    """Return the verdicts that are wrong where the truth is clear."""
    return [one for one in judged if one.clear and one.outcome == "wrong"]
