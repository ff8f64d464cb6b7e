"""Training steps of repdiag's loop against a plain loop over the same model, interleaved in one run.

The plain loop is the textbook one: two forward passes, cross-entropy, an EMA loop over parameters, SGD, images and
weights as torch makes them. repdiag's is what a run does if nothing is set: channels last. Prints images a second of
both and their ratio; with --bf16 also bf16 autocast, and --compile the same compiled. On a CPU one thread's processor
time counts. On a GPU it says which share of a bfloat16 matrix product's rate, measured in the same run, each loop
reaches.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_probe import bfloat16_rate
from repdiag.config.training import TrainSettings
from repdiag.data.loaders import Batch
from repdiag.methods.base import Clock
from repdiag.methods.build import build_method
from repdiag.training.compute import choose_compute
from repdiag.training.meters import Meters
from repdiag.training.optimizers import build_optimizer
from repdiag.training.step import Stepper

CLOCK = Clock(0, 100, 100)


def settings_of(args: argparse.Namespace, *, bf16: bool) -> TrainSettings:
    return TrainSettings.model_validate(
        {
            "data": {"image_size": args.size},
            "backbone": {"name": args.backbone, "stem": args.stem},
            "method": {"name": "moco_v2", "queue_size": args.queue},
            "loop": {"batch_size": args.batch, "precision": "bf16" if bf16 else "fp32"},
        }
    )


def ours(args: argparse.Namespace, views: tuple[torch.Tensor, ...], *, bf16: bool, compiled: bool = False):
    settings = settings_of(args, bf16=bf16)
    compute = choose_compute(settings.loop, device=args.device)
    torch.manual_seed(0)
    method = build_method(settings, classes=10).to(compute.device).train()
    if compute.channels_last:
        method = method.to(memory_format=torch.channels_last)
    for network in method.branches().values() if compiled else ():
        network.compile()
    stepper = Stepper(settings, method, build_optimizer(method, settings.optimizer, lr=0.06), compute=compute)
    labels, meters = torch.zeros(args.batch, dtype=torch.long, device=compute.device), Meters(compute.device)
    batch = Batch(torch.arange(args.batch), views)

    def step() -> None:
        meters.add(*stepper.take(stepper.prepare(batch, labels), CLOCK), step=1)

    return step


def plain(args: argparse.Namespace, views: tuple[torch.Tensor, ...]):
    torch.manual_seed(0)
    method = build_method(settings_of(args, bf16=False), classes=10).to(args.device).train()
    online = torch.nn.Sequential(method.backbone, method.projector)
    momentum = copy.deepcopy(online).requires_grad_(False)
    queue = F.normalize(torch.randn(args.queue, 128, device=args.device), dim=1).T.contiguous()
    optimizer = torch.optim.SGD(online.parameters(), lr=0.06, momentum=0.9, weight_decay=1e-4)
    mean = torch.tensor([0.485, 0.456, 0.406], device=args.device).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], device=args.device).view(1, 3, 1, 1)
    position = 0

    def step() -> None:
        nonlocal position
        first, second = ((view - mean) / std for view in views)
        query = F.normalize(online(second), dim=1)
        with torch.no_grad():
            for slow, fast in zip(momentum.parameters(), online.parameters(), strict=True):
                slow.data = slow.data * 0.999 + fast.data * (1.0 - 0.999)
            key = F.normalize(momentum(first), dim=1)
        positive = torch.einsum("np,np->n", query, key).unsqueeze(1)
        logits = torch.cat([positive, query @ queue.clone()], dim=1) / 0.2
        loss = F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long, device=logits.device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        queue[:, position : position + args.batch] = key.T
        position = (position + args.batch) % args.queue
        loss.item()

    return step


def step_flop(step: Callable[[], None]) -> int:
    """Return the operations of all products and convolutions of one step."""
    with FlopCounterMode(display=False) as counter:
        step()
    return int(counter.get_total_flops())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--stem", default="imagenet")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--queue", type=int, default=4096)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    on_gpu = args.device.startswith("cuda")
    clock = time.perf_counter if on_gpu else time.process_time
    if not on_gpu:
        torch.set_num_threads(1)
    views = tuple(torch.rand(args.batch, 3, args.size, args.size, device=args.device) for _ in range(2))
    loops = {"plain fp32": plain(args, views), "repdiag fp32": ours(args, views, bf16=False)}
    if args.bf16:
        loops["repdiag bf16"] = ours(args, views, bf16=True)
    if args.compile:
        loops["the same, compiled"] = ours(args, views, bf16=args.bf16, compiled=True)
    times: dict[str, list[float]] = {name: [] for name in loops}
    for round_number in range(args.steps + 2):
        turn = round_number % len(loops)  # none is always the one that follows another
        for name, step in [*loops.items()][turn:] + [*loops.items()][:turn]:
            started = clock()
            step()
            if on_gpu:
                torch.cuda.synchronize()
            if round_number >= 2:  # the first two warm up
                times[name].append(clock() - started)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    flop = step_flop(loops["repdiag fp32"]) if on_gpu else 0
    rate = bfloat16_rate() if flop else 0.0
    for name, taken in medians.items():
        share = f"   {flop / taken / rate:.1%} of a bfloat16 product at {rate / 1e12:.0f} TFLOP/s" if flop else ""
        print(
            f"{name:<28} {args.batch / taken:8.1f} images/s   ratio to plain {medians['plain fp32'] / taken:.2f}{share}"
        )


if __name__ == "__main__":
    main()
