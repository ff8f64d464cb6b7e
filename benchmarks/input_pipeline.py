"""From JPEG bytes to normalised evaluation tensors, per core: repdiag against torchvision's transforms on Pillow.

python -m benchmarks.input_pipeline          prints images per second and core, their ratio, and the difference

One thread, CPU time, in turns; files of 500 x 375 pixels, resized to 256 and cropped to 224.
"""

from __future__ import annotations

import argparse
import io

import torch
from PIL import Image
from torchvision import transforms

from benchmarks.photographs import as_jpeg, cpu_seconds, photographs
from repdiag.data.decode import decode
from repdiag.data.resample import resize_and_centre

BATCH = 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def theirs(files: list[bytes]) -> torch.Tensor:
    """Decode and transform one image after another, as every training script does."""
    transform = transforms.Compose(
        [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )
    return torch.stack([transform(Image.open(io.BytesIO(data)).convert("RGB")) for data in files])


def ours(files: list[bytes]) -> torch.Tensor:
    """Decode and resize whole levels, and turn them into floats together."""
    levels = torch.empty(len(files), 3, 224, 224, dtype=torch.uint8)
    for row, data in enumerate(files):
        levels[row] = resize_and_centre(decode(data), resize=256, size=224, interpolation="bilinear")
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return levels.float().div_(255.0).sub_(mean).div_(std)


def main() -> None:
    """Measure, and compare the pixels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    files = [as_jpeg(image) for image in photographs(BATCH)]
    seconds = cpu_seconds(
        {
            "decode alone": lambda: [Image.open(io.BytesIO(data)).load() for data in files],
            "torchvision": lambda: theirs(files),
            "repdiag": lambda: ours(files),
        },
        rounds=rounds,
    )
    difference = (theirs(files) - ours(files)).abs() * torch.tensor(STD)[:, None, None] * 255
    rates = {name: BATCH / value for name, value in seconds.items()}
    print(
        f"torchvision {rates['torchvision']:.0f}, repdiag {rates['repdiag']:.0f}, "
        f"Pillow's decoding alone {rates['decode alone']:.0f} images/s/core; "
        f"ratio {rates['repdiag'] / rates['torchvision']:.2f}; "
        f"difference: mean {difference.mean():.3f}, largest {difference.max():.2f} levels of 255"
    )


if __name__ == "__main__":
    main()
