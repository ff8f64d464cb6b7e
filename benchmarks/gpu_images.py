"""Images a second on one GPU: two augmented views, and the forward pass of an encoder, eager float32 and `--fast`.

python -m benchmarks.gpu_images

Views are cut from decoded uint8 images; drawing their parameters on the CPU is timed apart. The forward pass reads
images that lie ready on the device; its share is of a bfloat16 (fast) or TF32-free float32 (eager) matrix product.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.extraction import BACKBONES, encoder_of
from benchmarks.gpu_probe import bfloat16_rate, product_rate, seconds
from benchmarks.stacked_images import split_of
from repdiag.config.views import view_preset
from repdiag.data.views import SeededViews
from repdiag.embeddings.fast import FastEncoder


def augmentation(size: int, *, stored: int, batch: int, preset: str) -> None:
    """Print the rate of both views of a batch, from images in page-locked memory to floats on the device."""
    images = torch.randint(0, 256, (batch, 3, stored, stored), dtype=torch.uint8)
    split = split_of(images, preset=preset)
    views = SeededViews(settings=view_preset(preset), image_size=size, purpose="train", seed=0)
    rows = np.arange(batch)
    views.frame(split, rows)
    started = time.process_time()
    frames = [views.frame(split, rows, number=number).pin_memory() for number in range(5)]
    drawing = (time.process_time() - started) / 5
    device = torch.device("cuda")
    turns = iter(frames * 100)
    taken = seconds(lambda: next(turns).finish(device), rounds=10)
    started = time.perf_counter()
    frames[0].finish(device)
    queued = time.perf_counter() - started
    torch.cuda.synchronize()
    print(
        f"{preset}, {size} px from {stored}: {batch / taken:,.0f} images/s (two views each); "
        f"a batch of {batch}: {taken * 1e3:.1f} ms, queued in {queued * 1e3:.1f} ms, "
        f"drawn on one core in {drawing * 1e3:.1f} ms",
        flush=True,
    )


@torch.inference_mode()
def extraction(name: str, *, size: int, batch: int, rates: tuple[float, float]) -> None:
    """Print both forward passes of one backbone."""
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # as extraction sets it
    encoder = encoder_of(name, size).cuda()
    fast = FastEncoder(encoder, dtype=torch.bfloat16).cuda()
    images = torch.rand(batch, 3, size, size, device="cuda")
    with FlopCounterMode(display=False) as counter:
        features = encoder(images)
    cosine = float(F.cosine_similarity(features, fast(images)).min())
    eager, quick = (seconds(lambda run=run: run(images), rounds=10, warm_up=3) for run in (encoder, fast))
    flop = counter.get_total_flops()
    print(
        f"{name}, {size} px: eager {batch / eager:,.0f}, fast {batch / quick:,.0f} images/s, ratio "
        f"{eager / quick:.2f}; share of the product {flop / eager / rates[0]:.2f} and {flop / quick / rates[1]:.2f}; "
        f"lowest cosine {cosine:.5f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=256)
    args = parser.parse_args()
    rates = product_rate("highest", 2048), bfloat16_rate()
    print(
        f"{torch.cuda.get_device_name()}: products, float32 {rates[0] / 1e12:.0f}, "
        f"bfloat16 {rates[1] / 1e12:.0f} TFLOP/s"
    )
    augmentation(224, stored=256, batch=args.batch, preset="moco_v2")
    augmentation(32, stored=32, batch=2 * args.batch, preset="moco_v2_32")
    for name in BACKBONES:
        extraction(name, size=224, batch=args.batch, rates=rates)


if __name__ == "__main__":
    main()
