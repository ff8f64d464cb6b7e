"""How far published linear protocols lie apart on the very same features: `python benchmarks/linear_protocols.py CKPT`.

Features are extracted once (no augmentation), 3,000 train and 2,000 test images; two seeds; the last epoch counts.
"""

from __future__ import annotations

import argparse

import repdiag

NONE = {"augmentation": "none"}
PROTOCOLS = (
    ("moco-lincls", NONE),
    ("moco-lincls", {**NONE, "lr": 3.0}),
    ("swav-linear", NONE),
    ("simclr-linear", NONE),
    ("shi-transfer-linear", NONE),
    ("moco-lincls", {**NONE, "rows": "unit"}),
    ("compress-linear", NONE),
    ("kornblith", {}),
    ("linear", {}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--data", required=True)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--interpolation", default="bicubic")
    parser.add_argument("--seeds", type=int, default=2)
    given = parser.parse_args()
    size = given.image_size
    encoder = repdiag.load_encoder(given.checkpoint, image_size=size, resize=size, interpolation=given.interpolation)
    train = repdiag.embed(encoder, data=given.data, split="train", limit=3000)
    test = repdiag.embed(encoder, data=given.data, split="val", limit=2000)
    print("| protocol | changed | last epoch, top-1 | best epoch on test |\n|---|---|---|---|")
    for name, settings in PROTOCOLS:
        found = [
            repdiag.probe(test, bank=train, protocol=name, settings=settings, seed=seed) for seed in range(given.seeds)
        ]
        value = 100 * sum(one.value or 0.0 for one in found) / len(found)
        best = [one.row.extra["best_on_test"] for one in found]
        shown = f"{100 * sum(b['top1'] for b in best) / len(best):.2f}" if isinstance(best[0], dict) else "none"
        changed = ", ".join(f"{key}={item}" for key, item in settings.items() if key != "augmentation")
        print(f"| {name} | {changed} | {value:.2f} | {shown} |", flush=True)


if __name__ == "__main__":
    main()
