"""`PooledModel`: a model of Hugging Face transformers that gives one vector an image, as its class or somebody says."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from repdiag.core.errors import CheckpointError
from repdiag.core.shapes import Float

_TOKENS = ("cls_token", "class_embedding")
_WORDS = {"token": "class token", "mean": "mean of the last map", "max": "maximum of the last map"}
_OWN = "its own pooled output"
_TOWER = "its own features of images"


class PooledModel(nn.Module):
    """Features [B, D] of a model: its own pooled output where that is trained, else the class token or the mean.

    `told` is what somebody said instead: "token", "mean" or "max" of the patches. `returns_pooled` says that the class
    decides it, `flag` is the one that changes it, None for the image tower of a model of two.
    """

    def __init__(self, model: nn.Module, config: Mapping[str, Any], *, told: str | None = None) -> None:
        super().__init__()
        self.model = model
        self.told = told
        names = set(dict(model.named_parameters()))
        returned = _fields_returned(model)
        # Where the token is returned apart, the last map is without it.
        self.has_token = "cls_token_value" not in returned and any(mark in name for name in names for mark in _TOKENS)
        tower = hasattr(model, "get_image_features") and any(name.startswith("text_") for name in names)
        bert = any(name.startswith("pooler.dense.") for name in names)  # which pretraining leaves as it was drawn
        self.returns_pooled = tower or (not bert and "pooler_output" in returned)
        self.flag = None if tower else "--pool"
        self.before = int(self.has_token) + _count(config, "num_register_tokens")
        self.after = _count(config, "num_detection_tokens")
        usual = _OWN if self.returns_pooled else _WORDS["token" if self.has_token else "mean"]
        self.pooling = _TOWER if tower else self._as_told(told) if told else usual

    def _as_told(self, told: str) -> str:
        if told not in _WORDS or (told == "token" and not self.has_token):
            kinds = [kind for kind in _WORDS if kind != "token" or self.has_token]
            raise CheckpointError(
                f"the features of {type(self.model).__name__} cannot be pooled by {told}",
                hint=f"--pool {', '.join(kinds)}, or --backbone your_file.py:function",
            )
        return _WORDS[told]

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Return the pooled output: of maps [B, D, H, W] over their pixels, of tokens [B, N, D] over the patches."""
        if self.pooling == _TOWER:
            found = self.model.get_image_features(pixel_values=images)  # type: ignore[operator]
            return found if isinstance(found, Tensor) else found.pooler_output
        out = self.model(pixel_values=images)
        if self.pooling == _OWN:
            pooled: Tensor = out.pooler_output
            return pooled.flatten(1)
        last: Tensor = out.last_hidden_state
        if self.pooling == _WORDS["token"]:
            return last[:, 0]
        patches = last.flatten(2) if last.ndim == 4 else last[:, self.before : last.shape[1] - self.after].mT
        return patches.amax(2) if self.pooling == _WORDS["max"] else patches.mean(2)


def _fields_returned(model: nn.Module) -> set[str]:
    """Return the fields of what the class says that its `forward` returns; none where it does not say."""
    try:
        said = typing.get_type_hints(type(model).forward).get("return")
    except (NameError, TypeError, AttributeError):  # of types that are not there at run time
        return set()
    found = {name for kind in typing.get_args(said) or (said,) for name in getattr(kind, "__dataclass_fields__", {})}
    unpooled = getattr(model, "pooler", model) is None  # built without the layer that would make it
    return found - {"pooler_output"} if unpooled else found


def _count(config: Mapping[str, Any], name: str) -> int:
    found = config.get(name)
    return found if isinstance(found, int) and found > 0 else 0
