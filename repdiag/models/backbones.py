"""Backbones by name: the CIFAR ResNets, torchvision, timm, or your own `file.py:function`; always [B, D] features."""

from __future__ import annotations

import functools
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import torch
from torch import nn

from repdiag.core.entry_points import installed
from repdiag.core.errors import ConfigError, unknown_name
from repdiag.core.own_code import call_named, is_own_code
from repdiag.core.shapes import Float, Tensor
from repdiag.models.cifar_resnet import DEPTHS, CifarResNet

_LOG = logging.getLogger(__name__)

Stem = Literal["imagenet", "cifar"]
DEFAULT_IMAGE_SIZE = 224

# Short names for the vision transformers of the papers; the full timm names work as well.
_VIT = {name: f"{name}_patch16_224" for name in ("vit_tiny", "vit_small", "vit_base", "deit_tiny", "deit_small")}
# What networks raise that are asked for a size they do not have.
_REFUSALS = (AssertionError, RuntimeError, ValueError, TypeError, IndexError, AttributeError)
# Functions of other packages that return a module: images [B, 3, H, W] -> features [B, D].
ENTRY_POINTS: Literal["repdiag.backbones"] = "repdiag.backbones"
_HEADS = ("fc", "linear", "classifier", "heads", "head")


class Backbone(nn.Module):
    """A network without its classifier: normalised images [B, C, H, W] -> pooled features [B, feature_dim].

    `layer` says where the features are read. The wrapped `trunk` does not show in the state dict: its keys are those
    of the original network (`conv1.weight`, ...), so that files move between this package and others.
    """

    def __init__(self, trunk: nn.Module, *, name: str, layer: str, feature_dim: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.name = name
        self.layer = layer
        self.feature_dim = feature_dim
        self.register_state_dict_post_hook(_drop_prefix)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_add_prefix)  # type: ignore[no-untyped-call]

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D"]:
        """Return the pooled features, not normalised."""
        features: Tensor = self.trunk(images)
        return features


def build_backbone(
    name: str, *, stem: Stem = "imagenet", image_size: int | None = None, drop_path: float = 0.0
) -> Backbone:
    """Return the untrained backbone `name`; weights are drawn from torch's global generator.

    `stem="cifar"` keeps the resolution of small images: a 3x3 convolution without max-pooling in ResNets, a first
    convolution of stride 1 in the mobile networks, patches of an eighth of the image in vision transformers.
    `image_size` matters to transformers only: it sizes their position embeddings, which are resampled for views of
    other sizes; a border is padded to whole patches. Raises `UsageError` with the nearest names for an unknown name,
    `ConfigError` for a network that takes no images of that size.
    """
    size = image_size or DEFAULT_IMAGE_SIZE
    first_problem: Exception | None = None
    for build in _ways_to_build(name, stem=stem, image_size=size, drop_path=drop_path):
        try:
            trunk, layer = build()
            dim = measure_features(trunk, name, size)
        except _REFUSALS as error:
            first_problem = first_problem or error
            continue
        if drop_path and not is_own_code(name) and not any(hasattr(one, "drop_prob") for one in trunk.modules()):
            _LOG.warning("backbone.drop_path=%g has no effect: %s drops no paths", drop_path, name)
        return Backbone(trunk, name=name, layer=layer, feature_dim=dim)
    assert first_problem is not None
    raise _refused(name, size, first_problem) from first_problem


@functools.lru_cache(maxsize=1)
def known_backbones() -> tuple[str, ...]:
    """Return every name that `build_backbone` knows without a file: ours, timm's, torchvision's, other packages'."""
    import timm

    return tuple(sorted({*installed(ENTRY_POINTS), *DEPTHS, *_VIT, *_torchvision_names(), *timm.list_models()}))


def check_takes(backbone: Backbone, sizes: Iterable[int]) -> None:
    """Raise `ConfigError` unless the backbone takes images of all the sizes."""
    for size in sizes:
        try:
            measure_features(backbone.trunk, backbone.name, size)
        except _REFUSALS as error:
            raise _refused(backbone.name, size, error) from error


def full_name(name: str) -> str:
    """Return what a library calls the backbone `name`: timm's name for the papers' short ones, else the name itself."""
    return _VIT.get(name, name)


def _ways_to_build(
    name: str, *, stem: Stem, image_size: int, drop_path: float
) -> Iterator[Callable[[], tuple[nn.Module, str]]]:
    """Yield what to try in turn: networks with patches of a fixed number are told the size only where they need it."""
    yield lambda: _build_trunk(name, stem=stem, image_size=image_size, drop_path=drop_path)
    if is_own_code(name) or name in _torchvision_names():
        return
    if stem == "cifar":
        small = _small_patch(image_size)
        yield lambda: _timm_model(name, drop_path=drop_path, img_size=image_size, patch_size=small)
    yield lambda: _timm_model(name, drop_path=drop_path, img_size=image_size)


def _refused(name: str, size: int, error: Exception) -> ConfigError:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:160]
    return ConfigError(
        f"backbone {name} cannot be built for images of {size} px, or does not take them",
        found=said,
        hint="choose another data.image_size (most need 224), views.local_size or backbone",
    )


def _build_trunk(name: str, *, stem: Stem, image_size: int, drop_path: float) -> tuple[nn.Module, str]:
    if is_own_code(name):
        module = call_named(name, kind="backbone")
        if not isinstance(module, nn.Module):
            raise ConfigError(f"{name} must return a torch module", found=type(module).__name__)
        return module, "output"
    if name in (theirs := installed(ENTRY_POINTS)):
        module = theirs[name]()
        if not isinstance(module, nn.Module):
            raise ConfigError(f"{name} must return a torch module", found=type(module).__name__)
        return module, "output"
    if name in DEPTHS:
        return _without_classifier(CifarResNet(DEPTHS[name]), name)
    if name in _torchvision_names():
        trunk, layer = _without_classifier(_torchvision_model(name, stem=stem, image_size=image_size), name)
        if name.startswith("vit_"):
            return trunk, layer  # its patches have been chosen
    elif name in _VIT or name.startswith(("vit_", "deit")):
        return _timm_transformer(name, stem=stem, image_size=image_size, drop_path=drop_path)
    else:
        trunk, layer = _timm_model(name, drop_path=drop_path)
    if stem == "cifar":
        _keep_resolution(trunk)
    return trunk, layer


@functools.lru_cache(maxsize=1)
def _torchvision_names() -> frozenset[str]:
    import torchvision

    return frozenset(torchvision.models.list_models(module=torchvision.models))


def _torchvision_model(name: str, *, stem: Stem, image_size: int) -> nn.Module:
    import torchvision

    # These two would answer with three outputs in training, and take half a minute to draw their weights.
    inception = name in ("googlenet", "inception_v3")
    settings = {"aux_logits": False, "init_weights": False} if inception else {}
    network: nn.Module = torchvision.models.get_model(name, weights=None, **settings)
    if isinstance(network, torchvision.models.VisionTransformer):
        from repdiag.models.torchvision_vit import any_size

        return any_size(
            network, image_size=image_size, patch_size=_small_patch(image_size) if stem == "cifar" else None
        )
    return network


def _small_patch(image_size: int) -> int:
    return max(2, image_size // 8)


def _timm_model(name: str, **settings: Any) -> tuple[nn.Module, str]:
    import timm

    if not timm.is_model(name):
        raise unknown_name("backbone", name, known_backbones(), hint="your own: path/to/file.py:function")
    try:
        module = timm.create_model(name, num_classes=0, drop_path_rate=settings.pop("drop_path"), **settings)
    except TypeError:
        module = timm.create_model(name, num_classes=0, **settings)  # an architecture without stochastic depth
    return module, "pre_logits"


def _timm_transformer(name: str, *, stem: Stem, image_size: int, drop_path: float) -> tuple[nn.Module, str]:
    full = full_name(name)
    settings: dict[str, Any] = {"img_size": image_size}
    if stem == "cifar":
        settings["patch_size"] = _small_patch(image_size)
    # Local views are smaller than the global ones, and few sides are whole numbers of patches.
    any_size = {"dynamic_img_size": True, "dynamic_img_pad": True}
    try:
        module, _ = _timm_model(full, drop_path=drop_path, **settings, **any_size)
    except TypeError:
        module, _ = _timm_model(full, drop_path=drop_path, **settings)  # an architecture of one size
    return module, "class token" if getattr(module, "global_pool", "token") == "token" else "mean of tokens"


def _without_classifier(module: nn.Module, name: str) -> tuple[nn.Module, str]:
    """Remove the last linear layer and the dropout before it; layers before these belong to the features.

    So MobileNetV3 is read after the hidden layer of its classifier (1024 or 1280 features), as its papers do.
    """
    for attribute in _HEADS:
        head = getattr(module, attribute, None)
        if isinstance(head, nn.Linear):
            setattr(module, attribute, nn.Identity())
            return module, "pooling"
        if isinstance(head, nn.Sequential) and len(head) and isinstance(head[-1], nn.Linear):
            layers = list(head.named_children())[:-1]
            while layers and isinstance(layers[-1][1], nn.Dropout):
                layers.pop()
            setattr(module, attribute, nn.Sequential(OrderedDict(layers)))
            return module, f"{attribute}.{layers[-1][0]}" if layers else "pooling"
    raise ConfigError(f"{name} has no linear classifier to remove", hint="wrap it in your own file.py:function")


def _keep_resolution(trunk: nn.Module) -> None:
    wide_stem = getattr(trunk, "conv1", None)
    if isinstance(wide_stem, nn.Conv2d) and hasattr(trunk, "maxpool"):
        small_stem = nn.Conv2d(3, wide_stem.out_channels, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(small_stem.weight, mode="fan_out", nonlinearity="relu")
        trunk.conv1, trunk.maxpool = small_stem, nn.Identity()
        return
    first = next(module for module in trunk.modules() if isinstance(module, nn.Conv2d))
    first.stride = (1, 1)


def input_channels(network: nn.Module) -> int | None:
    """Return the channels of the images that a network takes: its `in_channels`, or its first convolution's.

    None where it has neither, as a network has that cuts patches by itself.
    """
    own = getattr(network, "in_channels", None)
    if isinstance(own, int):
        return own
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    return None if first is None else first.in_channels


def measure_features(trunk: nn.Module, name: str, image_size: int) -> int:
    """Return the number of features of one black image; statistics and random numbers stay as they are."""
    training = trunk.training
    trunk.eval()
    with torch.no_grad():
        out = trunk(torch.zeros(1, input_channels(trunk) or 3, image_size, image_size))
    trunk.train(training)
    if not isinstance(out, Tensor) or out.ndim != 2:
        found = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
        raise ConfigError(f"backbone {name} must return features [B, D]", found=found)
    return int(out.shape[1])


def _drop_prefix(module: nn.Module, state: dict[str, Any], prefix: str, metadata: dict[str, Any]) -> None:
    del module, metadata
    _rename(state, lambda key: prefix + key.removeprefix(f"{prefix}trunk."), where=f"{prefix}trunk.")


def _add_prefix(module: nn.Module, state: dict[str, Any], prefix: str, *unused: Any) -> None:
    del module, unused
    _rename(state, lambda key: f"{prefix}trunk.{key.removeprefix(prefix)}", where=prefix)


def _rename(state: dict[str, Any], new_name: Callable[[str], str], *, where: str) -> None:
    for key in [key for key in state if key.startswith(where)]:
        state[new_name(key)] = state.pop(key)
