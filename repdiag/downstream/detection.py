"""`detection` and `segmentation`: a detector trained on an encoder's maps, scored by COCO's average precision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from repdiag.config.training import LoopSettings, OptimizerSettings, ScheduleSettings, TrainSettings
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.provenance import Provenance
from repdiag.data.counter_rng import permutation
from repdiag.downstream.average_precision import AveragePrecision, Detections, Truth
from repdiag.downstream.detector import Maps, build_detector, detector_losses
from repdiag.downstream.labelled_features import Machine
from repdiag.downstream.outcome import Outcome, Score
from repdiag.downstream.protocol import AboveZero, Positive, Protocol, Settings
from repdiag.downstream.scenes import Scenes
from repdiag.methods.base import Clock
from repdiag.training.optimizers import build_optimizer, clip_gradients, set_rates
from repdiag.training.run_state import seed_everything
from repdiag.training.step import rates_at

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder

_DRAWS = 200
_CACHED = 2**30  # bytes of maps that are kept rather than computed again
_NORM_IMAGES = 64


class DetectionSettings(Settings):
    """A torchvision detector: not to be held against detectron2's tables, whose anchors, regions and losses differ."""

    find: Literal["boxes", "masks"] = "boxes"
    backbone: Literal["frozen", "fine-tuned"] = "frozen"
    head: Literal["light", "full"] = "light"
    image_size: Positive = 128
    train_images: Positive = 600
    test_images: Positive = 150
    """Composed scenes to train on and to test on."""
    stamps: Path | None = None
    """Folder of tuxpaint's stamps for composed scenes; None looks where Debian installs them."""
    steps: Positive = 250
    batch_size: Positive = 8
    lr: AboveZero = 1e-3
    weight_decay: AboveZero = 1e-4
    clip_norm: AboveZero = 5.0

    def run_settings(self) -> TrainSettings:
        """Return optimizer and schedule as those of a training run: AdamW, a third of warm-up, cosine."""
        return TrainSettings(
            recipe="downstream",
            method={"name": "supervised"},  # type: ignore[arg-type]
            optimizer=OptimizerSettings(
                name="adamw", lr=self.lr, weight_decay=self.weight_decay, clip_norm=self.clip_norm
            ),
            schedule=ScheduleSettings(epochs=self.steps, warmup_epochs=0.3 * self.steps),
            loop=LoopSettings(batch_size=self.batch_size, seed=self.seed),
        )


DETECTION = Protocol(
    name="detection",
    what="box AP of a light torchvision Faster R-CNN on frozen maps; composed scenes where no --data is given",
    source="torchvision.models.detection; COCO's average precision",
    settings=DetectionSettings(),
)
SEGMENTATION = Protocol(
    name="segmentation",
    what="mask AP of a light torchvision Mask R-CNN on frozen maps; composed scenes where no --data is given",
    source="torchvision.models.detection; COCO's average precision",
    settings=DetectionSettings(find="masks"),
)


def probe_scenes(
    encoder: Encoder, settings: DetectionSettings, *, train: Scenes, test: Scenes, machine: Machine
) -> tuple[Outcome, EmbeddingSet]:
    """Train a detector on train scenes and return its AP on test scenes, and the test scenes as rows."""
    masks, device = settings.find == "masks", torch.device(machine.device)
    seed_everything(settings.seed, "weights")
    detector = build_detector(
        encoder,
        size=settings.image_size,
        classes=len(train.class_names),
        masks=masks,
        full=settings.head == "full",
        learns=settings.backbone == "fine-tuned",
    ).to(device)
    _train(detector, train, settings, machine=machine, name=encoder.info.name)
    found = _detect(detector, test, masks=masks, device=device)
    precision = AveragePrecision([_truth(one, masks=masks) for one in test.objects], found)
    values, replicates = precision.values(), precision.replicates(draws=_DRAWS, seed=settings.seed)
    ends = np.quantile(replicates, [0.025, 0.975], axis=0)
    method = f"bootstrap over test images, {_DRAWS} draws, the detector fixed"
    kind = "mask" if masks else "box"
    scores = [
        Score(measure=f"{kind}_{name}", value=value, low=float(low), high=float(high), method=method, n=len(test))
        for (name, value), low, high in zip(values.items(), *ends, strict=True)
    ]
    strides = ", ".join(map(str, detector.backbone.strides))
    said = {
        "features": f"maps at strides {strides}, {settings.head} torchvision {'Mask' if masks else 'Faster'} R-CNN",
        "row_scaling": "none",
        "batch_norm": "running statistics, the backbone frozen"
        if settings.backbone == "frozen"
        else "batch statistics in training, running ones on test",
        "crop": f"shorter side to {settings.image_size} px",
        "interpolation": "bilinear, not antialiased",
        "selection": "none: the last step counts; test read once",
        "epochs": f"{settings.steps} steps of {settings.batch_size}, AdamW {settings.lr:g}, cosine",
        "last_epoch": values["ap"],
        "best_on_test": "not measured: test is read once",
        "seeds": [settings.seed],
        "train_images": len(train),
    }
    rows = EmbeddingSet(
        features=torch.zeros(len(test), 1),
        provenance=Provenance(
            checkpoint=encoder.info.name, epoch=encoder.info.epoch, dataset=test.name, split="val", layer="maps"
        ),
    )
    return Outcome(scores=scores, replicates=torch.from_numpy(replicates[:, 0].copy()), said=said), rows


def recompute_batch_norm(encoder: Encoder, train: Scenes, settings: DetectionSettings) -> None:
    """Give the batch norms of untrained weights the statistics of train images, without which nothing passes them."""
    norms = [module for module in encoder.backbone.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (encoder.info.mean, encoder.info.std))
    images = _unit([train.images[row] for row in range(min(_NORM_IMAGES, len(train)))], torch.device("cpu"))
    size = (settings.image_size, settings.image_size)
    whole = torch.stack([torch.nn.functional.interpolate(one[None], size)[0] for one in images])
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = None  # a plain mean over the batches that follow
        norm.reset_running_stats()
        norm.train()
    with torch.no_grad():
        encoder.backbone((whole - mean) / std)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def _train(detector: Any, train: Scenes, settings: DetectionSettings, *, machine: Machine, name: str) -> None:
    device = torch.device(machine.device)
    run = settings.run_settings()
    optimizer = build_optimizer(detector, run.optimizer, lr=run.optimizer.lr)
    cached = _cached_maps(detector, train, settings, device=device)
    detector.train()
    batches = _batches(len(train), settings)
    with machine.count(f"{name}: {settings.find}") as progress:
        for step in range(settings.steps):
            seed_everything(settings.seed, step)  # torchvision samples anchors and regions
            rates = rates_at(Clock(step, settings.steps, 1), run)
            set_rates(optimizer, lr=rates.lr, weight_decay=rates.weight_decay)
            rows = next(batches)
            targets = [
                {key: value.to(device) for key, value in train.objects[row].items() if key != "crowd"} for row in rows
            ]
            maps = None if cached is None else {stride: one[rows] for stride, one in cached.items()}
            loss = detector_losses(detector, _unit([train.images[row] for row in rows], device), targets, maps=maps)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            clip_gradients(detector, settings.clip_norm)
            optimizer.step()
            if progress is not None:
                progress(step + 1, settings.steps)


def _batches(count: int, settings: DetectionSettings) -> Any:
    batch, epoch = min(settings.batch_size, count), 0
    while True:
        order = permutation(count, purpose="order", seed=settings.seed, number=epoch)
        for start in range(0, count - batch + 1, batch):
            yield order[start : start + batch].tolist()
        epoch += 1


@torch.no_grad()
def _cached_maps(detector: Any, train: Scenes, settings: DetectionSettings, *, device: torch.device) -> Maps | None:
    """Return the frozen network's maps of all train images; None where it learns, sizes differ or they are too many."""
    sizes = {tuple(image.shape[-2:]) for image in train.images[:32]}
    if settings.backbone != "frozen" or sizes != {(settings.image_size, settings.image_size)}:
        return None
    detector.eval()
    parts: list[Maps] = []
    for start in range(0, len(train), 32):
        images, _ = detector.transform(_unit(train.images[start : start + 32], device))
        maps = detector.backbone.maps(images.tensors)
        parts.append({stride: maps[stride] for stride in maps if len(maps) == 1 or stride in detector.backbone.strides})
        if start == 0 and sum(one.numel() for one in parts[0].values()) * 4 / 32 * len(train) > _CACHED:
            return None
    return {stride: torch.cat([part[stride] for part in parts]) for stride in parts[0]}


@torch.no_grad()
def _detect(detector: Any, test: Scenes, *, masks: bool, device: torch.device) -> list[Detections]:
    detector.eval()
    found = []
    for start in range(0, len(test), 8):
        for one in detector(_unit(test.images[start : start + 8], device)):
            boxes = one["boxes"].double().cpu().numpy()
            boxes[:, 2:] -= boxes[:, :2]
            shapes = (one["masks"][:, 0] > 0.5).cpu().numpy() if masks else boxes
            labels, scores = one["labels"].cpu().numpy(), one["scores"].double().cpu().numpy()
            found.append(Detections(shapes=shapes, labels=labels, scores=scores))
    return found


def _truth(objects: Any, *, masks: bool) -> Truth:
    boxes = objects["boxes"].double().numpy().copy()
    boxes[:, 2:] -= boxes[:, :2]
    shapes = objects["masks"].numpy() > 0 if masks else boxes
    return Truth(shapes=shapes, labels=objects["labels"].numpy(), crowd=objects["crowd"].numpy())


def _unit(images: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    return [image.to(device).float() / 255.0 for image in images]
