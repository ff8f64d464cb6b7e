"""What models of transformers are pooled by: their own output, a class token, the mean, or what somebody says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from repdiag.checkpoints.formats.pooled_models import PooledModel
from repdiag.core.errors import CheckpointError

TOKENS = torch.arange(2 * 8 * 3, dtype=torch.float32).reshape(2, 8, 3)  # class token, 5 patches, 2 for detection
MAPS = torch.arange(2 * 3 * 4, dtype=torch.float32).reshape(2, 3, 2, 2)
IMAGES = torch.zeros(2, 3, 4, 4)


@dataclass
class Output:
    last_hidden_state: Tensor


@dataclass
class PooledOutput(Output):
    pooler_output: Tensor | None = None


@dataclass
class OutputWithToken(Output):
    cls_token_value: Tensor | None = None


class Plain(nn.Module):
    """A model without a pooled output; `token` gives it a class token."""

    def __init__(self, last: Tensor, *, token: bool) -> None:
        super().__init__()
        self.last = last
        self.embeddings = nn.Module()
        if token:
            self.embeddings.cls_token = nn.Parameter(torch.zeros(3))

    def forward(self, pixel_values: Tensor) -> tuple[Tensor] | Output:
        del pixel_values
        return Output(self.last)


class Pooled(Plain):
    def forward(self, pixel_values: Tensor) -> tuple[Tensor] | PooledOutput:
        del pixel_values
        return PooledOutput(self.last, pooler_output=self.last[:, 1, :, None])


class WithBert(Pooled):
    """The pooler that pretraining leaves as it was drawn."""

    def __init__(self, last: Tensor, *, token: bool) -> None:
        super().__init__(last, token=token)
        self.pooler = nn.Module()
        self.pooler.dense = nn.Linear(3, 3)


class WithTokenApart(Plain):
    def forward(self, pixel_values: Tensor) -> OutputWithToken:
        del pixel_values
        return OutputWithToken(self.last)


YOLOS = {"num_detection_tokens": 2}


@pytest.mark.parametrize(
    ("model", "told", "wanted"),
    [
        (Plain(TOKENS, token=True), None, TOKENS[:, 0]),
        (Plain(TOKENS, token=True), "mean", TOKENS[:, 1:6].mean(1)),
        (Plain(TOKENS, token=True), "max", TOKENS[:, 5]),
        (Plain(TOKENS, token=False), None, TOKENS[:, :6].mean(1)),
        (Plain(MAPS, token=False), None, MAPS.mean((2, 3))),
        (Plain(MAPS, token=False), "max", MAPS.amax((2, 3))),
        (Pooled(TOKENS, token=True), None, TOKENS[:, 1]),
        (Pooled(TOKENS, token=True), "token", TOKENS[:, 0]),
        (WithBert(TOKENS, token=True), None, TOKENS[:, 0]),
        (WithTokenApart(MAPS, token=True), None, MAPS.mean((2, 3))),
    ],
)
def test_the_pooling(model: Plain, told: str | None, wanted: Tensor) -> None:
    assert torch.equal(PooledModel(model, YOLOS, told=told)(IMAGES), wanted)


@pytest.mark.parametrize(("kind", "known"), [(Plain, False), (Pooled, True), (WithBert, False)])
def test_what_the_class_decides_is_told_from_what_is_assumed(kind: type[Plain], known: bool) -> None:
    assert PooledModel(kind(TOKENS, token=True), {}).returns_pooled is known


def test_a_class_token_that_is_not_there_is_refused() -> None:
    with pytest.raises(CheckpointError, match="cannot be pooled by token"):
        PooledModel(Plain(MAPS, token=False), {}, told="token")


def test_a_model_of_images_and_texts_gives_its_features_of_images() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.text_model = nn.Linear(1, 1)
            self.cls_token = nn.Parameter(torch.zeros(3))

        def get_image_features(self, pixel_values: Tensor) -> Any:
            return pixel_values.flatten(1)

    found = PooledModel(Both(), {})
    assert torch.equal(found(IMAGES), IMAGES.flatten(1))
    assert found.flag is None
