"""`RepresentationMonitor`: metrics of a model's representation in the middle of anybody's training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from repdiag.checkpoints.encoder import IMAGENET_MEAN, IMAGENET_STD, Encoder, EncoderInfo
from repdiag.core.errors import ConfigError
from repdiag.core.metric_table import MetricTable
from repdiag.data.datasets import open_dataset
from repdiag.data.image_split import equal_galleries
from repdiag.embeddings.extract import extract
from repdiag.metrics.evaluate import evaluate
from repdiag.results.headlines import MONITORED as METRICS


class RepresentationMonitor:
    """Call it with a model, images [B, 3, S, S] -> features [B, D], and get a `MetricTable`.

    It looks at the same rows and views of `dataset` each time, equally many of each class from train and val. The
    model is copied and the copy runs in eval mode, so that modes, batch statistics, gradients and random numbers of
    the training stay as they are.

    Example:
        >>> from torch import nn
        >>> from repdiag.integrations.monitor import RepresentationMonitor
        >>> monitor = RepresentationMonitor("digits", image_size=16, per_class=4, metrics=("uniformity",))
        >>> monitor(nn.Sequential(nn.AvgPool2d(4), nn.Flatten())).value(metric="uniformity") < 0
        True
    """

    def __init__(
        self,
        dataset: str,
        *,
        image_size: int,
        mean: tuple[float, float, float] = IMAGENET_MEAN,
        std: tuple[float, float, float] = IMAGENET_STD,
        per_class: int = 50,
        metrics: Sequence[str] = METRICS,
        root: Path | None = None,
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        splits = [open_dataset(dataset, name, root=root) for name in ("val", "train")]
        self._val, self._train = equal_galleries(*splits, per_class=per_class, seed=seed)
        self._image_size, self._mean, self._std = image_size, mean, std
        self._metrics, self._batch_size, self._seed = tuple(metrics), batch_size, seed

    def __call__(self, model: nn.Module, *, epoch: int | None = None) -> MetricTable:
        """Return the metrics of the model as it stands."""
        first = next(iter(model.parameters()), None)
        device = "cpu" if first is None else first.device
        info = EncoderInfo(
            name=type(model).__name__,
            path="",
            sha256="",
            family="live model",
            backbone=type(model).__name__,
            branch="online",
            layer="output",
            feature_dim=0,
            parameters=sum(weight.numel() for weight in model.parameters()),
            epoch=epoch,
            image_size=self._image_size,
            mean=self._mean,
            std=self._std,
        )
        encoder = Encoder(_Features(copy.deepcopy(model).float()), info)  # also of a model kept in half precision
        val, train = (
            extract(encoder, split, device=device, batch_size=self._batch_size) for split in (self._val, self._train)
        )
        return evaluate(val, self._metrics, bank=train, seed=self._seed)


class _Features(nn.Module):
    """A model whose output is made sure of: other outputs would fail far from their cause."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return the features [B, D] of images [B, 3, S, S]."""
        found = self.model(images)
        if isinstance(found, Tensor) and found.ndim == 2:
            return found
        raise ConfigError(
            "the monitor needs a model that returns features [B, D]",
            found=f"shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__,
            hint="give it a module that pools, such as forward(images) -> model(images).last_hidden_state[:, 0]",
        )


def as_scalars(table: MetricTable) -> dict[str, float]:
    """Return {metric or metric/setting: value} of the features, for loggers; what is null is left out."""
    scalars: dict[str, float] = {}
    for row in table.where(space="features"):
        if row.value is not None:
            several = len(table.where(space="features", metric=row.metric)) > 1
            setting = "_".join(f"{name}{value}" for name, value in sorted(row.params.items()) if name in ("k", "pair"))
            scalars[f"{row.metric}/{setting}" if several and setting else row.metric] = row.value
    return scalars
