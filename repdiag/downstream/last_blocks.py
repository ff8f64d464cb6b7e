"""`dino-blocks`: linear heads on the tokens of a transformer's last blocks, at many learning rates at once."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from repdiag.core.errors import UsageError
from repdiag.core.shapes import Float
from repdiag.downstream.held_out import held_out_rows
from repdiag.downstream.labelled_features import LabelledFeatures, class_numbers, scaled
from repdiag.downstream.measures import measured
from repdiag.downstream.outcome import Outcome
from repdiag.downstream.protocol import AboveZero, FeatureSettings, Positive, Protocol, Share
from repdiag.models.feature_maps import unwrapped
from repdiag.training.schedules import cosine

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder

Tokens = Literal["class", "class and mean"]


class LastBlocksSettings(FeatureSettings):
    """SGD heads on {1, 4} blocks x {class token, class token and mean patch} x 13 learning rates.

    The best on held-out train images is taken; the published code takes the best on test where it has no other set.
    """

    blocks: tuple[Positive, ...] = Field(default=(1, 4), min_length=1)
    tokens: tuple[Tokens, ...] = Field(default=("class", "class and mean"), min_length=1)
    learning_rates: tuple[AboveZero, ...] = Field(
        default=(1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1), min_length=1
    )
    """At 256 images a step; scaled to the batch size."""
    epochs: Positive = 10
    steps_per_epoch: Positive = 1250
    batch_size: Positive = 128
    held_out: Share = 0.1


DINO_BLOCKS = Protocol(
    name="dino-blocks",
    what="SGD heads on the last 1 and 4 blocks of a transformer at 13 learning rates, chosen on a tenth of train",
    source="Oquab et al. 2023; dinov2, eval/linear.py",
    settings=LastBlocksSettings(crop="classic", interpolation="bicubic"),
)


class _Blocks(nn.Module):
    """The tokens of the last blocks, each after the final norm: images -> [B, blocks x (class, mean patch)]."""

    def __init__(self, trunk: nn.Module, blocks: int) -> None:
        super().__init__()
        self.trunk, self.blocks = trunk, blocks

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D"]:
        """Return class tokens of all blocks, the last one first, then mean patches in the same order."""
        found = self.trunk.forward_intermediates(  # type: ignore[operator]
            images,
            indices=self.blocks,
            norm=True,
            return_prefix_tokens=True,
            output_fmt="NLC",
            intermediates_only=True,
        )
        classes = [prefix[:, 0] for _, prefix in reversed(found)]
        patches = [tokens.mean(dim=1) for tokens, _ in reversed(found)]
        return torch.cat([*classes, *patches], dim=1)


def blocks_encoder(encoder: Encoder, settings: LastBlocksSettings) -> Encoder:
    """Return the encoder read at its last blocks; raises `UsageError` for a network that is no transformer of timm's
    kind with a class token.
    """
    trunk = unwrapped(getattr(encoder.backbone, "trunk", encoder.backbone))
    deepest = max(settings.blocks)
    prefix = int(getattr(trunk, "num_prefix_tokens", 0))
    if not hasattr(trunk, "forward_intermediates") or prefix < 1:
        raise UsageError(
            "dino-blocks reads the class tokens of a vision transformer's blocks",
            found=f"{encoder.info.backbone}, which has none that can be read",
            hint="--protocol linear",
        )
    there = len(getattr(trunk, "blocks", ()))
    if there < deepest:
        raise UsageError(f"the transformer has {there} blocks", found=f"blocks={deepest}", hint="--set blocks=[1]")
    read = copy.copy(encoder)
    read._modules = {**encoder._modules, "backbone": _Blocks(trunk, deepest).eval(), "projector": None}
    width = 2 * deepest * int(trunk.num_features)  # type: ignore[arg-type]
    layer = f"class tokens and mean patches of the last {deepest} blocks, each after the final norm"
    read.info = replace(encoder.info, layer=layer, feature_dim=width, projection_dim=None)
    return read


def last_blocks_probe(features: LabelledFeatures, settings: LastBlocksSettings) -> Outcome:
    """Return the accuracy on test of the head that is best on held-out train images."""
    train, test = features.train, features.test
    assert isinstance(train.labels, Tensor)
    assert isinstance(test.labels, Tensor)
    known, asked, classes = class_numbers(train.labels, test.labels)
    rows, queries = scaled(train.features, test.features, settings.rows)
    held = held_out_rows(known, settings.held_out, seed=settings.seed)
    curve: dict[str, float] = {}
    best: tuple[float, Tensor] | None = None
    for blocks in settings.blocks:
        for tokens in settings.tokens:
            columns = _columns(rows.shape[1], blocks=blocks, of=max(settings.blocks), tokens=tokens)
            heads = _train_heads(rows[~held][:, columns].float(), known[~held], classes, settings)
            right = (heads(rows[held][:, columns].float()).argmax(dim=2) == known[held]).double().mean(dim=1)
            for rate, share in zip(settings.learning_rates, right.tolist(), strict=True):
                curve[f"{blocks} blocks, {tokens}, lr {rate:g}"] = share
            place = int(right.argmax())
            if best is None or float(right[place]) > best[0]:
                best = float(right[place]), heads(queries[:, columns].float())[place]
    assert best is not None
    share = f"{100 * settings.held_out:g} % of each class of train"
    said = {
        "selection": f"head among {len(curve)} by accuracy on {share}, not refitted; test read once",
        "epochs": f"{settings.epochs} x {settings.steps_per_epoch} steps of {settings.batch_size}, no augmentation",
    }
    found = measured(best[1], asked, settings, dataset=test.provenance.dataset)
    return Outcome(
        **found, said=said, details={"held_out_accuracy": curve, "chosen": max(curve, key=curve.__getitem__)}
    )


def _columns(width: int, *, blocks: int, of: int, tokens: Tokens) -> slice | list[int]:
    """Return which of the extracted columns belong to the last `blocks` of `of` blocks."""
    one = width // (2 * of)
    if tokens == "class":
        return slice(0, blocks * one)
    # As published, with patches the mean of the last block alone stands beside the class tokens.
    return [*range(blocks * one), *range(of * one, (of + 1) * one)]


class _Heads:
    """Linear classifiers side by side: rows [N, D] -> logits [heads, N, C]."""

    def __init__(self, weights: Tensor, bias: Tensor) -> None:
        self.weights, self.bias = weights, bias

    def __call__(self, rows: Tensor) -> Tensor:
        return torch.baddbmm(self.bias[:, None], rows.expand(len(self.weights), *rows.shape), self.weights)


def _train_heads(rows: Tensor, known: Tensor, classes: int, settings: LastBlocksSettings) -> _Heads:
    """Train one head for each learning rate on the same batches: SGD with momentum .9, cosine to 0, no decay."""
    draws = torch.Generator().manual_seed(settings.seed)
    count, total = len(settings.learning_rates), settings.epochs * settings.steps_per_epoch
    start = torch.randn(rows.shape[1], classes, generator=draws) * 0.01
    weights = start.expand(count, *start.shape).clone().to(rows.device)
    bias = torch.zeros(count, classes, device=rows.device)
    speeds = [torch.zeros_like(weights), torch.zeros_like(bias)]
    rates = torch.tensor(settings.learning_rates, device=rows.device) * settings.batch_size / 256.0
    heads = _Heads(weights, bias)
    for step in range(total):
        batch = torch.randint(len(rows), (settings.batch_size,), generator=draws).to(rows.device)
        images = rows[batch]
        residual = heads(images).softmax(dim=2)
        residual[:, torch.arange(len(batch), device=rows.device), known[batch]] -= 1.0
        residual /= len(batch)
        slopes = images.T @ residual, residual.sum(dim=1)
        scale = rates * cosine(step, total, start=1.0, end=0.0)
        for value, speed, slope in zip((weights, bias), speeds, slopes, strict=True):
            speed.mul_(0.9).add_(slope)
            value.sub_(scale.view(-1, *[1] * (value.ndim - 1)) * speed)
    return heads
