"""The objects of composed train scenes as a folder of images by class: `python -m benchmarks.scene_objects OUT`.

What a small backbone learns from in minutes before it is tried out by `repdiag probe --protocol detection`: each object
of train scenes with its surroundings, cut out as a square. Objects of the protocol's test scenes of the same seed are
not among them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from repdiag.downstream.scenes import Scenes, composed_scenes

_AROUND = 1.2  # side of the square over the longer side of the box


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--stamps", type=Path, help="tuxpaint's stamps; without them handwritten digits")
    parser.add_argument("--scenes", type=int, default=3000)
    parser.add_argument("--scene-size", type=int, default=128)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    held = given.scenes // 10
    train, _, made = composed_scenes(
        train=given.scenes, test=1, size=given.scene_size, seed=given.seed, stamps=given.stamps
    )
    counts = [
        write(train, rows, given.out / part, size=given.size)
        for part, rows in (("train", range(held, given.scenes)), ("val", range(held)))
    ]
    print(f"{counts[0]} objects to train on and {counts[1]} others, of {made}")


def write(scenes: Scenes, rows: range, folder: Path, *, size: int) -> int:
    """Write every object of some scenes as one image, and return how many there are."""
    written = 0
    for row in rows:
        scene = Image.fromarray(scenes.images[row].permute(1, 2, 0).numpy())
        for box, label in zip(
            scenes.objects[row]["boxes"].numpy(), scenes.objects[row]["labels"].tolist(), strict=True
        ):
            half = min(_AROUND * float((box[2:] - box[:2]).max()), *scene.size) / 2
            middle = np.clip((box[:2] + box[2:]) / 2, half, np.array(scene.size) - half)
            corners = tuple(np.concatenate([middle - half, middle + half]).tolist())
            place = folder / scenes.class_names[label - 1]
            place.mkdir(parents=True, exist_ok=True)
            cut = scene.resize((size, size), Image.Resampling.BILINEAR, box=corners)
            cut.save(place / f"{row:05d}_{written:06d}.png")
            written += 1
    return written


if __name__ == "__main__":
    main()
