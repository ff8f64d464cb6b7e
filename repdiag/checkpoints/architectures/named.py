"""Networks that torchvision and timm know by name, found by the recorded name or by the shapes of their tensors."""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
import math
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import resources
from typing import Any

from torch import Size, Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.resnets import cifar_candidate
from repdiag.checkpoints.facts import Origin
from repdiag.core.errors import CheckpointError
from repdiag.models.backbones import full_name, known_backbones
from repdiag.models.cifar_resnet import DEPTHS

_AUXILIARY = ("aux_head", "aux1", "aux2", "AuxLogits")
HEADS = ("fc", "linear", "last_linear", "classifier", "heads", "head", "head_dist", *_AUXILIARY)
_INDEX = "known_shapes.json"
_INCEPTIONS = ("googlenet", "inception_v3")
_FROM_TENSORFLOW = "weights that torchvision publishes for it take images of --mean .5,.5,.5 --std .5,.5,.5"


def signature(shapes: Iterable[tuple[str, Size]]) -> str:
    """Return a short name for a set of tensor names and shapes, without classifiers and batch counters."""
    lines = sorted(
        f"{name} {tuple(shape)}"
        for name, shape in shapes
        if name.partition(".")[0] not in HEADS and not name.endswith("num_batches_tracked")
    )
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def known_names(state: Mapping[str, Tensor], other_shapes: Mapping[str, Size] | None = None) -> list[str]:
    """Return the networks of torchvision and timm with exactly these tensors, some of them taken in other shapes."""
    changed = other_shapes or {}
    return _index().get(signature((name, changed.get(name, value.shape)) for name, value in state.items()), [])


def is_indexed(state: Mapping[str, Tensor]) -> bool:
    """Say whether a network of torchvision or timm has exactly these names and shapes, but for its images' channels."""
    stem = next(((name, value.shape) for name, value in state.items() if value.ndim == 4), None)
    other = {} if stem is None or stem[1][1] == 3 else {stem[0]: Size((stem[1][0], 3, *stem[1][2:]))}
    return bool(known_names(state) or (other and known_names(state, other)))


def named_candidates(state: Mapping[str, Tensor], recorded: str | None, like: str | None) -> list[Candidate]:
    """Return the networks of these shapes; the recorded name alone if it is known, else those with `like` in it."""
    known = known_names(state) or _for_other_channels(state)
    if like:  # what the naming says about the output is certain; a recorded name is another code's
        alike = [item for item in known if like in item]
        known, recorded = alike or known, None if alike else recorded
    if recorded:
        name = recorded.rpartition(":")[2].removeprefix("timm/").partition(".")[0]
        exact = [item for item in known if item.partition(":")[2] == name]
        if exact:
            known = exact[:1]
        elif not known and (source := _source_of(name)):
            known = [f"{source}:{name}"]
    return [candidate_by_name(item) for item in known]


def _for_other_channels(state: Mapping[str, Tensor]) -> list[str]:
    """Return the known networks with these tensors but for the channels of their first convolution."""
    for name, value in state.items():
        if value.ndim == 4 and value.shape[1] != 3:
            known = known_names(state, {name: Size((value.shape[0], 3, *value.shape[2:]))})
            if known:
                return known
    return []


def candidate_by_name(name: str, settings: Mapping[str, Any] | None = None) -> Candidate:
    """Return the candidate for "torchvision:NAME", "timm:NAME", or a name that either knows or `repdiag train` does.

    `settings` are arguments of timm's constructor, such as an image size; see `timm_settings`.
    """
    source, _, short = name.rpartition(":")
    if name in DEPTHS:
        return cifar_candidate(DEPTHS[name])
    short = short if source else full_name(short)
    found = source or _source_of(short)
    if found == "torchvision":
        return Candidate(
            name=name,
            build=lambda: _torchvision(short),
            image_size=299 if short == "inception_v3" else None,
            assumptions=(_FROM_TENSORFLOW,) if short in _INCEPTIONS else (),
        )
    if found == "timm":
        chosen = dict(settings or {})
        size = chosen.get("img_size") or _timm_size(short)
        return Candidate(
            name=name,
            build=lambda: _timm(short, chosen),
            layer="pre_logits",
            image_size=size if isinstance(size, int) else None,
            recorded=bool(chosen),
            settings=chosen,
        )
    raise CheckpointError(f"no architecture is called {name!r}", hint=_nearest(short))


def resized(candidate: Candidate, state: Mapping[str, Tensor]) -> Candidate | None:
    """Return a network of timm built for the image size and window that its tensors show, where these are unusual."""
    if not candidate.name.rpartition(":")[0].startswith("timm") and not _is_of_timm(candidate.name):
        return None
    tables = [value for name, value in state.items() if name.endswith("relative_position_bias_table")]
    position, stem = state.get("pos_embed"), state.get("patch_embed.proj.weight")
    settings: dict[str, Any] = dict(candidate.settings)
    if tables and tables[0].ndim == 2:
        window = (math.isqrt(tables[0].shape[0]) + 1) // 2
        if (2 * window - 1) ** 2 != tables[0].shape[0]:
            return None
        settings = {"img_size": 32 * window, "window_size": window, **settings}
    elif position is not None and position.ndim == 3 and stem is not None and stem.ndim == 4:
        sides = [math.isqrt(position.shape[1] - before) for before in range(min(position.shape[1], 9))]
        exact = [side for before, side in enumerate(sides) if side > 1 and side * side == position.shape[1] - before]
        if len(exact) != 1:
            return None
        settings = {**settings, "img_size": exact[0] * stem.shape[-1]}
    else:
        return None
    other = candidate_by_name(candidate.name, settings)
    return replace(other, facts=candidate.facts, image_size_origin=Origin("tensors", "position embeddings"))


def _is_of_timm(name: str) -> bool:
    return ":" not in name and name not in DEPTHS and _source_of(full_name(name)) == "timm"


def _nearest(name: str) -> str:
    near = difflib.get_close_matches(name, known_backbones(), n=3, cutoff=0.6)
    own = "your_file.py:function for a network of your own"
    return f"did you mean {', '.join(near)}? Or {own}" if near else f"a name of torchvision or timm, or {own}"


def _source_of(name: str) -> str | None:
    import timm
    import torchvision

    if name in torchvision.models.list_models(module=torchvision.models):
        return "torchvision"
    return "timm" if timm.is_model(name) else None


def _torchvision(name: str) -> nn.Module:
    """Return a torchvision model that ends at its pooled features: all from the first linear layer on is dropped."""
    import torchvision

    options = {"aux_logits": False, "init_weights": False} if name in _INCEPTIONS else {}
    module: nn.Module = torchvision.models.get_model(name, weights=None, **options)
    if name.startswith("squeezenet"):  # whose classifier is a convolution
        module.classifier = nn.AdaptiveAvgPool2d(1)
        return module
    for attribute in HEADS:
        head = getattr(module, attribute, None)
        if isinstance(head, nn.Linear):
            setattr(module, attribute, nn.Identity())
        elif isinstance(head, nn.Sequential):
            kept: OrderedDict[str, nn.Module] = OrderedDict()
            for key, layer in head.named_children():
                if isinstance(layer, nn.Linear):
                    break
                kept[key] = layer
            setattr(module, attribute, nn.Sequential(kept))
    return module


def _timm(name: str, settings: Mapping[str, Any]) -> nn.Module:
    import timm

    given = {argument: value for argument, value in settings.items() if argument != "bn_eps"}
    module: nn.Module = timm.create_model(name, num_classes=0, **given)
    if isinstance(eps := settings.get("bn_eps"), float):  # which not all of its constructors take
        for layer in module.modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                layer.eps = eps
    return module


def _timm_size(name: str) -> int | None:
    import timm

    config = timm.get_pretrained_cfg(name)
    return config.input_size[-1] if config else None


@functools.lru_cache(maxsize=1)
def _index() -> dict[str, list[str]]:
    text = resources.files("repdiag.checkpoints.architectures").joinpath(_INDEX).read_text("utf-8")
    index: dict[str, list[str]] = json.loads(text)
    return index


def build_index(pattern: str = ".*") -> dict[str, list[str]]:
    """Return the index of the installed torchvision and timm: signature -> names, canonical ones first."""
    import timm
    import torch
    import torchvision

    index: dict[str, list[str]] = {}
    names = [f"torchvision:{name}" for name in torchvision.models.list_models(module=torchvision.models)]
    names += [f"timm:{name}" for name in timm.list_models()]
    for name in sorted(
        filter(re.compile(pattern).search, names), key=lambda item: (item[:4] == "timm", len(item), item)
    ):
        for device in ("meta", "cpu"):  # RegNets compute their widths with tensors, which must have values
            try:
                with torch.device(device):
                    module = candidate_by_name(name).build()
            except Exception:  # a few need packages or sizes that are not there; they are found by name alone
                continue
            shapes = ((key, value.shape) for key, value in module.state_dict().items())
            index.setdefault(signature(shapes), []).append(name)
            break
    return index
