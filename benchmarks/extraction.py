"""Images a second of an encoder's forward pass: eager float32 against `--fast`, in turns, one thread.

python -m benchmarks.extraction              ResNet-50, ResNet-18 and MobileNetV3-L at 224 px
python -m benchmarks.extraction --quick      at 64 px
python -m benchmarks.extraction --batches    EfficientNet-Lite0 at 224 px: batches as a run encodes them, and whole

Prints processor time of both, their ratio, what each takes over a float32 matrix product of the same FLOP, and the
lowest cosine between their features. The fast copy is in bfloat16 only where the processor multiplies it; --bf16 asks
for it anyway. Weights are random: arithmetic takes as long with any.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.probe import matrix_product_rate
from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.core.memory import keep_freed_memory
from repdiag.embeddings.extract import encode
from repdiag.embeddings.fast import FastEncoder, fast_type
from repdiag.embeddings.normalization import Normalization
from repdiag.models.backbones import build_backbone

BACKBONES = {"resnet50": 8, "resnet18": 16, "mobilenet_v3_large": 16}


def encoder_of(name: str, size: int) -> Encoder:
    """Return an encoder with random weights whose batch norms have seen images."""
    torch.manual_seed(0)
    backbone: nn.Module = build_backbone(name, image_size=size)
    with torch.no_grad():
        backbone.train()(torch.rand(4, 3, size, size))
    info = EncoderInfo(
        name=name,
        path="",
        sha256="",
        family="benchmark",
        backbone=name,
        branch="online",
        layer="pooling",
        feature_dim=0,
        image_size=size,
        parameters=0,
    )
    return Encoder(backbone, info)


@torch.inference_mode()
def compare(encoder: Encoder, images: Tensor, *, dtype: torch.dtype, rounds: int) -> str:
    """Return a line of the table."""
    contenders = {"eager": encoder, "fast": FastEncoder(encoder, dtype=dtype)}
    with FlopCounterMode(display=False) as counter:
        features = {"eager": encoder(images)}
    features["fast"] = contenders["fast"](images)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    rates = []
    for _ in range(rounds):
        rates.append(matrix_product_rate(1024, seconds=0.3))
        for name, network in contenders.items():
            started = time.process_time()
            network(images)
            seconds[name].append(time.process_time() - started)
    eager, fast = (statistics.median(seconds[name]) for name in ("eager", "fast"))
    limit = counter.get_total_flops() / statistics.median(rates)
    cosine = F.cosine_similarity(features["eager"], features["fast"]).min()
    return (
        f"eager {len(images) / eager:.1f}, fast {len(images) / fast:.1f} images/s/core, ratio {eager / fast:.2f}; "
        f"share of the matrix product {limit / eager:.2f} and {limit / fast:.2f}; lowest cosine {cosine:.6f}"
    )


@torch.inference_mode()
def batches(name: str, *, size: int, rounds: int) -> Iterator[str]:
    """Yield a line for each way to encode a batch of 256: whole, as `extract` does, and as it does with `--fast`."""
    encoder = encoder_of(name, size)
    images, normal = torch.rand(256, 3, size, size), Normalization((0.5,) * 3, (0.2,) * 3)
    with FlopCounterMode(display=False) as counter:
        encoder(images[:1])
    keep_freed_memory()
    fast, device = FastEncoder(encoder, dtype=torch.float32), torch.device("cpu")
    ways: dict[str, Callable[[], object]] = {
        "256 at once": lambda: encoder(normal.apply(images)),
        "as a run does": lambda: encode(encoder, images, device=device, normal=normal),
        "the same, --fast in float32": lambda: encode(fast, images, device=device, normal=normal),
    }
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    rates = []
    for _ in range(rounds):
        rates.append(matrix_product_rate(1024, seconds=0.3))
        for way, run in ways.items():
            before = os.times()
            run()
            after = os.times()
            taken[way].append((after.user - before.user, after.system - before.system))
    limit = statistics.median(rates) / counter.get_total_flops()
    for way, pairs in taken.items():
        user, system = (statistics.median(column) for column in zip(*pairs, strict=True))
        found = len(images) / (user + system)
        yield (
            f"{name}, {way}: {found:.1f} images/s/core, {found / limit:.2f} of the matrix product ({limit:.0f}); "
            f"system time {system / (user + system):.0%}"
        )


def main() -> None:
    """Measure each backbone."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batches", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.batches:
        for line in batches("tf_efficientnet_lite0", size=224, rounds=args.rounds):
            print(line, flush=True)
        return
    dtype = torch.bfloat16 if args.bf16 else fast_type(torch.device("cpu"))
    size = 64 if args.quick else 224
    print(f"{size} px, fast in {dtype}")
    for name, batch in BACKBONES.items():
        line = compare(encoder_of(name, size), torch.rand(batch, 3, size, size), dtype=dtype, rounds=args.rounds)
        print(f"{name}: {line}", flush=True)


if __name__ == "__main__":
    main()
