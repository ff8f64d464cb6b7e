"""Networks that only Hugging Face transformers has: its own class, where it is installed, for a config.json.

The library is never asked for code of the folder (`trust_remote_code`), and gets tensors that were read here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.facts import Fact, Origin
from repdiag.checkpoints.formats.format import Facts
from repdiag.checkpoints.reading.contents import Contents, State
from repdiag.core.shapes import Float

_CONFIG = "config.json"
_MOST = {"layer": 256, "depth": 256, "head": 1024, "image_size": 2048}  # a file may ask for no more than this
_LARGEST = 1_000_000
_UNTRAINED = ("pooler.dense.", "pooler.attention.")  # which exports of pretraining do not bring
# The first names the class, the others types of numbers and code that no file may name.
_NOT_GIVEN = ("model_type", "dtype", "torch_dtype", "auto_map", "trust_remote_code")
_SPARE, _TIMES = 1_000_000, 4


def library_networks(contents: Contents, state: State, facts: Facts) -> list[Candidate]:
    """Return the network of transformers' own class, filled; none where the library does not know it."""
    del state, facts
    config = contents.payload.sidecars.get(_CONFIG)
    tensors = contents.state("")
    if importlib.util.find_spec("transformers") is None or not isinstance(config, dict) or tensors is None:
        return []
    if any(number > _ceiling(name) for name, number in _numbers(config, "")):
        return []
    made = _loaded(config, tensors)
    if made is None:
        return []
    network, kind = made
    pooled = Fact.of("pooling", network.pooling, Origin("family", f"what {kind} of transformers returns"))
    size = config.get("image_size")
    return [
        Candidate(
            name=f"transformers:{kind}",
            build=lambda: _loaded(config, tensors)[0],  # type: ignore[index]  # it has been loaded once
            layer=network.pooling,
            image_size=size if isinstance(size, int) else None,
            image_size_origin=Origin("recorded", "config.json: image_size"),
            facts=(pooled,),
            of_config=True,
            tensors=network.state_dict(),
        )
    ]


def _loaded(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[_Pooled, str] | None:
    """Return the network with the tensors in it; None where not all of it is filled."""
    from transformers import AutoConfig, AutoModel
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    showed = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        given = {name: value for name, value in config.items() if name not in _NOT_GIVEN}
        settings = AutoConfig.for_model(str(config["model_type"]), **given)
        with torch.device("meta"):
            outline = AutoModel.from_config(settings, trust_remote_code=False)
        wanted = sum(value.numel() for value in outline.state_dict().values())
        if wanted > _TIMES * sum(value.numel() for value in tensors.values()) + _SPARE:
            return None
        network, report = type(outline).from_pretrained(
            None, config=settings, state_dict=dict(tensors), output_loading_info=True
        )
    except Exception:  # a config of a stranger fails in many ways; the refusal that follows says what to do
        return None
    finally:
        logging.set_verbosity(before)
        if showed:
            logging.enable_progress_bar()
    missing = [name for name in report["missing_keys"] if not name.startswith(_UNTRAINED)]
    if missing or report["mismatched_keys"]:
        return None
    return _Pooled(network.float().eval()), type(outline).__name__


def _numbers(config: Mapping[str, Any], inside: str) -> Iterator[tuple[str, float]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, name)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, int | float) and not isinstance(item, bool):
                yield f"{inside}.{name}", item


def _ceiling(name: str) -> int:
    return min((most for part, most in _MOST.items() if part in name), default=_LARGEST)


class _Pooled(nn.Module):
    """A model of transformers that gives one vector an image."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        names = set(dict(model.named_parameters()))
        if any(name.startswith("pooler.dense.") for name in names) or any("cls_token" in name for name in names):
            self.pooling = "class token"
        else:
            self.pooling = "its own pooling, else the mean"

    def forward(self, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B D"]:
        """Return the class token, the model's own pooled output, or the mean of its last map."""
        out = self.model(pixel_values=images)
        last: Tensor = out.last_hidden_state
        if self.pooling == "class token":
            return last[:, 0]
        pooled = getattr(out, "pooler_output", None)
        if isinstance(pooled, Tensor):
            return pooled.flatten(1)
        return last.mean((2, 3)) if last.ndim == 4 else last.mean(1)
