"""Images a second of a whole training run against its bare step on ready-made views, in one run.

python -m benchmarks.end_to_end              ResNet-18 (CIFAR stem), MoCo v2, 32 px
python -m benchmarks.end_to_end --size 224 --stem imagenet

The run is `repdiag train` as it is: packed uint8 images, shuffled, augmented, normalised, steps, logging, history and
checkpoints. Blocks of it and blocks of the bare step take turns, so that other work on the machine strikes both. By the
clock; on a CPU augmentation shares the cores with the step. On a GPU it is part of the device's queue: a block is many
steps, the device is waited for at its end alone, and of the parts it says how long the program took to queue them.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from repdiag.config.training import TrainSettings
from repdiag.data.loaders import Batch, TrainLoader
from repdiag.data.views import Frames
from repdiag.methods.base import Clock
from repdiag.methods.build import build_method
from repdiag.training.assembly import resolve_settings
from repdiag.training.compute import choose_compute
from repdiag.training.loop import train
from repdiag.training.meters import Meters
from repdiag.training.optimizers import build_optimizer
from repdiag.training.step import Stepper

CLOCK = Clock(0, 100, 100)
CPU_BLOCK, GPU_BLOCK = 1, 12  # steps of the run before the bare step has its turn
BARE_EACH = 2  # bare steps for each step of the run on a CPU, as many on a GPU


def write_images(folder: Path, *, count: int, size: int) -> None:
    """Write noise as images of ten classes in an image folder, train and val."""
    jobs = [
        (folder / split / str(label), each, size)
        for split, each in (("train", -(-count // 10)), ("val", 2))
        for label in range(10)
    ]
    with ProcessPoolExecutor() as pool:
        list(pool.map(write_class, jobs))


def write_class(job: tuple[Path, int, int]) -> None:
    """Write some images into one folder."""
    place, count, size = job
    place.mkdir(parents=True)
    chance = np.random.default_rng(int(place.name))
    for number in range(count):
        low = chance.integers(0, 256, (size // 4, size // 4, 3), dtype=np.uint8)
        Image.fromarray(low).resize((size, size)).save(place / f"{number}.png")


def bare_step(settings: TrainSettings, device: str) -> Callable[[], None]:
    """Return a step on views that lie ready, with networks of its own."""
    compute = choose_compute(settings.loop, device=device)
    torch.manual_seed(0)
    method = build_method(settings, classes=10).to(compute.device).train()
    if compute.channels_last:
        method = method.to(memory_format=torch.channels_last)
    stepper = Stepper(settings, method, build_optimizer(method, settings.optimizer, lr=0.06), compute=compute)
    batch, size = settings.loop.batch_size, settings.data.image_size
    assert size is not None
    views = tuple(torch.rand(batch, 3, size, size, device=compute.device) for _ in settings.views.resolved())
    labels, meters = torch.zeros(batch, dtype=torch.long, device=compute.device), Meters(compute.device)
    data = Batch(torch.arange(batch), views)

    def step() -> None:
        loss, logs = stepper.take(stepper.prepare(data, labels), CLOCK)
        meters.add(loss, logs, step=1)
        if compute.device.type == "cpu":
            meters.first_bad_step()  # what the loop asks, too

    return step


class Watch:
    """Times the run from the inside, and lets bare steps take their turn between its steps."""

    def __init__(self, bare: Callable[[], None], *, warm_up: int, on_gpu: bool) -> None:
        self.bare, self.warm_up, self.on_gpu = bare, warm_up, on_gpu
        self.synchronize = torch.cuda.synchronize if on_gpu else lambda: None
        self.block = GPU_BLOCK if on_gpu else CPU_BLOCK
        self.bare_steps = GPU_BLOCK if on_gpu else BARE_EACH
        self.seconds: dict[str, list[float]] = {
            name: [] for name in ("run", "bare", "fetching", "augmentation", "stepping")
        }
        self.in_run = True

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, its time noted while the run has its turn."""

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            result = function(*args, **kwargs)
            if self.in_run:
                self.seconds[part].append(time.perf_counter() - started)
            return result

        return wrapped

    def batches(self, original: Callable[..., Iterator[Batch]]) -> Callable[..., Iterator[Batch]]:
        """Return the loader's method with bare steps after each step of the run."""

        def wrapped(*args: Any, **kwargs: Any) -> Iterator[Batch]:
            made = original(*args, **kwargs)
            fetch = self.timed("fetching", lambda: next(made, None))
            while True:
                started = time.perf_counter()
                for _ in range(self.block):
                    batch = fetch()
                    if batch is None:
                        return
                    yield batch  # the loop takes its step, logs and saves
                self.synchronize()
                self.seconds["run"].append((time.perf_counter() - started) / self.block)
                self.in_run = False
                started = time.perf_counter()
                for _ in range(self.bare_steps):
                    self.bare()
                self.synchronize()
                self.seconds["bare"].append((time.perf_counter() - started) / self.bare_steps)
                self.in_run = True

        return wrapped

    def report(self, batch: int) -> str:
        """Return the rates over all blocks, their ratio, and where the run's time goes."""
        blocks = len(self.seconds["bare"])  # a block that was cut off counts nowhere
        first, last = self.warm_up * self.block, blocks * self.block
        run, bare = (self.seconds[name][self.warm_up : blocks] for name in ("run", "bare"))
        total = {name: sum(self.seconds[name][first:last]) for name in ("fetching", "augmentation", "stepping")}
        total |= {"run": sum(run) * self.block, "bare": sum(bare) * self.block}
        ratios = [two / one for one, two in zip(run, bare, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        shares = {
            "waiting for images": total["fetching"] - total["augmentation"],
            "augmentation": total["augmentation"],
            "step": total["stepping"],
            "normalising, logging, saving": total["run"] - total["fetching"] - total["stepping"],
        }
        if self.on_gpu:
            shares["normalising, logging, saving, waiting for the device"] = shares.pop("normalising, logging, saving")
        images = batch * self.block * len(ratios)
        parts = ", ".join(f"{name} {share / total['run']:.1%}" for name, share in shares.items())
        what = "of the program's time, most of it queueing" if self.on_gpu else "of the run's time"
        return (
            f"run {images / total['run']:.1f}, bare step {images / total['bare']:.1f} images/s; "
            f"ratio {total['bare'] / total['run']:.3f} (median of {len(ratios)} blocks {middle:.3f}, quartiles "
            f"{low:.3f} to {high:.3f})\n{what}: {parts}"
        )


def main() -> None:
    """Measure one configuration."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--stem", default="cifar")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--stored", type=int, help="side of the image files; packing brings them to --size")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if args.device == "cpu":
        torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        write_images(Path(place) / "images", count=args.steps * args.batch, size=args.stored or args.size)
        overrides = [f"backbone.stem={args.stem}", f"data.image_size={args.size}", f"data.pack={args.size}"]
        overrides += [f"data.workers={args.workers}", "method.queue_size=4096"]
        settings = resolve_settings(
            "moco_v2",
            data=f"imagefolder:{place}/images",
            backbone=args.backbone,
            epochs=1,
            batch_size=args.batch,
            overrides=overrides,
        )
        on_gpu = args.device.startswith("cuda")
        watch = Watch(bare_step(settings, args.device), warm_up=2 if on_gpu else 3, on_gpu=on_gpu)
        TrainLoader.batches = watch.batches(TrainLoader.batches)  # type: ignore[method-assign]
        Frames.finish = watch.timed("augmentation", Frames.finish)  # type: ignore[method-assign]
        Stepper.take = watch.timed("stepping", Stepper.take)  # type: ignore[method-assign]
        train(settings, Path(place) / "run", device=args.device)
    if len(watch.seconds["bare"]) < args.steps // watch.block:
        sys.exit("the run was ended early: nothing to report")
    print(f"{args.backbone}, {args.size} px, batch {args.batch}: {watch.report(args.batch)}")


if __name__ == "__main__":
    main()
