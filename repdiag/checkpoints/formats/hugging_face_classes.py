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
from repdiag.checkpoints.formats.pooled_models import PooledModel
from repdiag.checkpoints.reading.contents import Contents, State

_CONFIG = "config.json"
_MOST = {"layer": 256, "depth": 256, "head": 1024, "image_size": 2048}  # a file may ask for no more than this
_LARGEST = 1_000_000
_UNTRAINED = ("pooler.dense.", "pooler.attention.")  # which exports of pretraining do not bring
# The first names the class, the others types of numbers and code that no file may name.
_NOT_GIVEN = ("model_type", "dtype", "torch_dtype", "auto_map", "trust_remote_code")
_SPARE, _TIMES = 1_000_000, 4
PLACES = ("", "state_dict", "model", "model_state_dict")
"""Where the tensors beside a config.json may be: a folder of the library has them at the top."""
INSTALL = "pip install 'repdiag[transformers]', and the library's own class is used"
"""What to do where only transformers knows a network; its code for a config.json, and never that of the folder."""


def library_networks(contents: Contents, state: State, facts: Facts) -> list[Candidate]:
    """Return the network of transformers' own class, filled; none where the library does not know it."""
    del state
    config = contents.payload.sidecars.get(_CONFIG)
    tensors = next((found for place in PLACES if (found := contents.state(place))), None)
    return networks_of_config(config, tensors, facts) if isinstance(config, dict) and tensors is not None else []


def networks_of_config(config: Mapping[str, Any], tensors: State, facts: Facts) -> list[Candidate]:
    """Return the network that a config.json describes, filled with tensors under its own names or after a prefix.

    Of the facts the pooling is followed, where somebody said it.
    """
    if importlib.util.find_spec("transformers") is None:
        return []
    if any(number > _ceiling(name) for name, number in _numbers(config, "")):
        return []
    made = _loaded(config, tensors)
    if made is None:
        return []
    model, kind, unused = made
    network = PooledModel(model, config, told=facts.pool if facts.origin_of("pool").source == "told" else None)
    pooled = Fact.of("pooling", network.pooling, _origin_of_pooling(network, facts, kind), flag=network.flag)
    size = config.get("image_size")
    return [
        Candidate(
            name=f"transformers:{kind}",
            build=lambda: network,  # as it is filled already
            layer=network.pooling,
            image_size=size if isinstance(size, int) else None,
            image_size_origin=Origin("recorded", "config.json: image_size"),
            facts=(pooled,),
            config=dict(config),
            tensors=network.state_dict(),
            unused=unused,
        )
    ]


def _loaded(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> tuple[nn.Module, str, tuple[str, ...]] | None:
    """Return the network with the tensors in it, its class, and what it left of the file; None if it is not filled."""
    from transformers import AutoConfig
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    showed = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        given = {name: value for name, value in config.items() if name not in _NOT_GIVEN}
        settings = AutoConfig.for_model(str(config["model_type"]), **given)
        with torch.device("meta"):
            outline: Any = _outline(settings, config)
        wanted = sum(value.numel() for value in outline.state_dict().values())
        if wanted > _TIMES * sum(value.numel() for value in tensors.values()) + _SPARE:
            return None
        prefix = _its_prefix(tensors, outline)
        own = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
        network, report = type(outline).from_pretrained(None, config=settings, state_dict=own, output_loading_info=True)
    except Exception:  # a config of a stranger fails in many ways; the refusal that follows says what to do
        return None
    finally:
        logging.set_verbosity(before)
        if showed:
            logging.enable_progress_bar()
    missing = [name for name in report["missing_keys"] if not name.startswith(_UNTRAINED)]
    if missing or report["mismatched_keys"]:
        return None
    left = {prefix + name for name in report["unexpected_keys"]}
    unused = tuple(name for name in tensors if name in left or not name.startswith(prefix))
    return network.float().eval(), type(outline).__name__, unused


def _outline(settings: Any, config: Mapping[str, Any]) -> nn.Module:
    """Return the model without weights: the one that the library takes for a config, else its class of that name."""
    import transformers

    try:
        found: nn.Module = transformers.AutoModel.from_config(settings, trust_remote_code=False)
        return found
    except ValueError:  # towers of two, such as BLIP's, which the library loads by the name of their class only
        names = config.get("architectures")
        kind = getattr(transformers, str(names[0]), None) if isinstance(names, list) and names else None
        if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)):
            raise
        made: nn.Module = kind(settings)
        return made


def _its_prefix(tensors: Mapping[str, Tensor], outline: nn.Module) -> str:
    """Return what a user's module puts before the names of the model that it holds."""
    wanted = list(outline.state_dict())
    last = wanted[0]
    prefixes = [name.removesuffix(last) for name in tensors if name.endswith(last)]
    return max(prefixes, key=lambda prefix: sum(prefix + name in tensors for name in wanted), default="")


def _numbers(config: Mapping[str, Any], inside: str) -> Iterator[tuple[str, float]]:
    for name, value in config.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, name)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, int | float) and not isinstance(item, bool):
                yield f"{inside}.{name}", item


def _ceiling(name: str) -> int:
    return min((most for part, most in _MOST.items() if part in name), default=_LARGEST)


def _origin_of_pooling(network: PooledModel, facts: Facts, kind: str) -> Origin:
    if network.told:
        return facts.origin_of("pool")
    if network.returns_pooled:
        return Origin("family", f"what {kind} of transformers returns")
    return Origin("assumed", f"{kind} of transformers returns no trained pooling")
