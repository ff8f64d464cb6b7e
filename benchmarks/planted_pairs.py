"""What is said of two encoders whose faults are known: every pair of stored ones, or those that are named.

    python -m benchmarks.planted_pairs FOLDER sup40-sup10 hot_lr-simclr

FOLDER holds NAME.npz with features, views, labels and row_ids of unseen images, and the same with train_ before it.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path

import numpy as np
import torch

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.diagnosis.compared import compare_encoders
from repdiag.diagnosis.compared_answers import answers


def stored(path: Path) -> tuple[EmbeddingSet, EmbeddingSet]:
    """Return the unseen rows and the train rows of an encoder."""
    arrays = np.load(path)
    sets = []
    for prefix in ("", "train_"):
        fields = {name: arrays[prefix + name] for name in ("features", "views", "labels", "row_ids")}
        floats = {name: fields[name].astype(np.float32) for name in ("features", "views")}
        sets.append(EmbeddingSet(**{**fields, **floats}))
    return sets[0], sets[1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pairs", nargs="*", help="FIRST-SECOND; without them every pair")
    options = parser.parse_args()
    torch.set_num_threads(1)
    encoders = {path.stem: stored(path) for path in sorted(options.folder.glob("*.npz"))}
    pairs = [pair.split("-") for pair in options.pairs] or list(itertools.combinations(encoders, 2))
    print("| first | second | question | answer | measure | size | p, Holm |\n|---|---|---|---|---|---|---|")
    for first, second in pairs:
        begun = time.process_time()
        (one, one_train), (two, two_train) = encoders[first], encoders[second]
        found = compare_encoders(one, two, first_train=one_train, second_train=two_train)
        for answer in answers(found):
            size = f"{answer.size:.3f} [{answer.ci_low:.3f}, {answer.ci_high:.3f}]"
            said = f"{answer.answer} ({', '.join(answer.kinds)})" if answer.kinds else answer.answer
            where = f"{first} | {second} | {answer.question} | {said} | {answer.measure}"
            print(f"| {where} | {size} | {answer.p_holm:.4f} |", flush=True)
        print(f"{first}-{second}: {time.process_time() - begun:.1f} s", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
