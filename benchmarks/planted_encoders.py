"""Trains small encoders with planted faults, and holds repdiag's verdicts against what is true of them.

python -m benchmarks.planted_encoders make                    all encoders, kept in --out and gone on with
python -m benchmarks.planted_encoders make --only simclr      those whose name holds the word
python -m benchmarks.planted_encoders make --lot 1            the same recipes with other seeds and images (--quick: no
                                                              residual network that trains for minutes)
python -m benchmarks.planted_encoders judge --draws 2         verdicts on fresh draws of their rows, against truth
python -m benchmarks.planted_encoders preprocessing a.th b.pth  the check of the preprocessing, on these files as well
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

from benchmarks.planted.recipes import recipes, takes_minutes


def main() -> None:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("make", "list", "judge", "preprocessing"))
    parser.add_argument("checkpoints", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("REPDIAG_PLANTED", "runs/planted")))
    parser.add_argument("--only", default="")
    parser.add_argument("--lot", type=int, default=0, help="0: the encoders that limits were set on; others are fresh")
    parser.add_argument("--quick", action="store_true", help="leave out what trains for minutes")
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--rows", type=int, nargs="+", default=[500, 1000, 2000])
    parser.add_argument("--write", action="store_true", help="put the table into docs/calibration.md")
    parser.add_argument("--no-pairs", action="store_true", help="leave out what is compared with the healthy sibling")
    options = parser.parse_intermixed_args()
    chosen = [recipe for recipe in recipes(lot=options.lot) if options.only in recipe.name]
    chosen = [recipe for recipe in chosen if not (options.quick and takes_minutes(recipe))]
    if options.command == "list":
        print("\n".join(f"{recipe.name:<32} {recipe.kind} {recipe.strength:g}" for recipe in chosen))
        return
    import torch

    torch.set_num_threads(1)
    if options.command == "preprocessing":
        from benchmarks.planted.preparations import table

        print(table(options.out, options.checkpoints))
        return
    if options.command == "judge":
        from benchmarks.planted import judging

        found = judging.judge_all(
            options.out, draws=options.draws, rows=options.rows, only=options.only, pairs=not options.no_pairs
        )
        text = judging.table(found)
        print(text)
        if options.write:
            judging.write(text, place=judging.place_of(options.out))
        print(
            "\nWrong:",
            *sorted({f"{one.encoder}, {one.rows} rows: {one.verdict}" for one in judging.wrong(found)}),
            sep="\n- ",
        )
        return
    from benchmarks.planted.making import make

    options.out.mkdir(parents=True, exist_ok=True)
    for number, recipe in enumerate(chosen, 1):
        truth = json.loads(make(recipe, options.out).read_text("utf-8"))
        said = ", ".join(
            f"{name} {truth[name]:.3f}" for name in ("ridge_probe", "precision_at_1", "label_gap", "pretext_gap")
        )
        print(f"{number}/{len(chosen)} {recipe.name}: {truth['seconds']:.0f} s, {said}", flush=True)


if __name__ == "__main__":
    main()
