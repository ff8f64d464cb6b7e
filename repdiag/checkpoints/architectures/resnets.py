"""ResNets with the names of torchvision: depth, block, width and stem are read from the tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from repdiag.checkpoints.architectures.activations import replace_activations
from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.pooling import repool
from repdiag.checkpoints.facts import ASSUMED, Fact, Origin
from repdiag.checkpoints.formats.format import Facts
from repdiag.core.errors import CheckpointError
from repdiag.models.cifar_resnet import DEPTHS, CifarResNet

_STAGE_BLOCK = re.compile(r"layer(\d)\.(\d+)\.")
_NAMES: Mapping[tuple[str, tuple[int, ...]], str] = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
    ("bottleneck", (3, 4, 23, 3)): "resnet101",
    ("bottleneck", (3, 8, 36, 3)): "resnet152",
}


@dataclass(frozen=True, kw_only=True)
class _Shape:
    bottleneck: bool
    depths: tuple[int, ...]
    stem_width: int
    planes: int
    groups: int
    width_per_group: int
    kernel: int
    padding: int
    stride: int
    pool: bool
    relu: bool
    stride_in: str
    output_stride: int | None
    dilated: bool
    shortcut_bias: bool
    activation: str
    pooling: str
    gem_power: float

    @property
    def usual_output_stride(self) -> int:
        """What the last map is smaller by where no stride is left out."""
        return self.stride * (2 if self.pool else 1) << (len(self.depths) - 1)


def resnet_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one ResNet that has tensors of these shapes; none where the names are not a ResNet's."""
    first = state.get("conv1.weight")
    if first is None or first.ndim != 4 or not {"layer1.0.conv1.weight", "layer1.0.conv2.weight"} <= state.keys():
        return []
    depths = _depths(state)
    if len(depths) == 3 and "layer1.0.conv3.weight" not in state and "layer2.0.downsample.0.weight" not in state:
        depth = 6 * depths[0] + 2
        whole = len(set(depths)) == 1 and depth in DEPTHS.values()
        return [cifar_candidate(depth)] if whole else []
    if len(depths) not in (3, 4):
        return []
    if facts.stem_stride is None and any(name.endswith("downsample.0.bias") for name in state):
        only = Origin("assumed", "MONAI's default, as downsample.0.bias is there")
        facts = facts.with_origin(only, stem_stride=1, stem_pool=True)
    shape = _shape_of(state, facts, depths)
    if not shape.bottleneck and (shape.groups > 1 or shape.width_per_group != 64):
        return []  # a RegNet
    small = shape.kernel == 3
    return [
        Candidate(
            name=_name(shape),
            build=lambda: _build(shape),
            layer=_pooled(shape.pooling),
            image_size=32 if small and shape.stride == 1 and not shape.pool else None,
            image_size_origin=Origin("assumed", "because a 3x3 stem usually means CIFAR"),
            facts=_facts_of(shape, facts),
        )
    ]


def _shape_of(state: Mapping[str, Tensor], facts: Facts, depths: tuple[int, ...]) -> _Shape:
    bottleneck = "layer1.0.conv3.weight" in state
    middle, first = state["layer1.0.conv2.weight"], state["conv1.weight"]
    groups = middle.shape[0] // middle.shape[1]
    planes = state["layer1.0.conv3.weight"].shape[0] // 4 if bottleneck else middle.shape[0]
    kernel = first.shape[2]
    small = kernel == 3
    return _Shape(
        bottleneck=bottleneck,
        depths=depths,
        stem_width=first.shape[0],
        planes=planes,
        groups=groups,
        width_per_group=64 * middle.shape[0] // (planes * groups) if bottleneck else 64,
        kernel=kernel,
        padding=facts.stem_padding if small and facts.stem_padding is not None else kernel // 2,
        stride=facts.stem_stride or (1 if small else 2),
        pool=facts.stem_pool if facts.stem_pool is not None else not small,
        relu=facts.stem_relu,
        stride_in=facts.stride_in or "3x3",
        output_stride=facts.output_stride,
        dilated=bool(facts.dilated),
        shortcut_bias=any(name.endswith("downsample.0.bias") for name in state),
        activation=facts.activation or "relu",
        pooling=facts.pool if facts.pool not in (None, "token") else "mean",
        gem_power=facts.gem_power,
    )


def _facts_of(shape: _Shape, facts: Facts) -> tuple[Fact, ...]:
    """Return what has no tensor in a ResNet. Without a word, a stem is that of the network for such images."""
    stem = facts.origin_of("stem_stride") if facts.stem_stride else facts.origin_of("stem_pool")
    stem_value = f"stride {shape.stride}, {'max-pool' if shape.pool else 'no max-pool'}"
    found = [Fact.of("stem", stem_value, stem, flag="--stem")]
    if shape.kernel == 3:
        found.append(Fact.of("stem padding", shape.padding, facts.origin_of("stem_padding"), flag="--stem-padding"))
    stride = shape.output_stride or shape.usual_output_stride
    found.append(
        Fact.of(
            "output stride",
            stride,
            facts.origin_of("output_stride"),
            flag="--output-stride",
        )
    )
    if shape.output_stride is not None:
        found.append(Fact.of("strides left out become", "dilation" if shape.dilated else "nothing",
                             facts.origin_of("dilated"), flag="--dilated"))  # fmt: skip
    if shape.bottleneck:
        found.append(Fact.of("bottlenecks stride in the convolution of", shape.stride_in, facts.origin_of("stride_in"),
                             flag="--stride-in"))  # fmt: skip
    found.append(Fact.of("activation", shape.activation, facts.origin_of("activation"), flag="--activation"))
    pooled = facts.origin_of("pool") if facts.pool not in (None, "token") else ASSUMED
    found.append(Fact.of("pooling", shape.pooling, pooled, flag="--pool"))
    return tuple(found)


def _pooled(kind: str) -> str:
    return "pooling" if kind == "mean" else f"pooling by {kind}"


def _depths(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    blocks: dict[int, int] = {}
    for match in filter(None, map(_STAGE_BLOCK.match, state)):
        stage, block = int(match[1]), int(match[2])
        blocks[stage] = max(blocks.get(stage, 0), block + 1)
    return tuple(blocks[stage] for stage in sorted(blocks))


def _name(shape: _Shape) -> str:
    kind = "bottleneck" if shape.bottleneck else "basic"
    name = _NAMES.get((kind, shape.depths), f"resnet-{kind}-{'-'.join(map(str, shape.depths))}")
    if shape.groups > 1:
        name = f"{name.replace('resnet', 'resnext')}_{shape.groups}x{shape.width_per_group}d"
    elif shape.width_per_group != 64:
        name = f"wide_{name}_{shape.width_per_group // 64}"
    if shape.planes != 64 or shape.stem_width != 64:
        name += f"_w{shape.planes / 64:g}"
        name += f"_stem{shape.stem_width}" if shape.stem_width != shape.planes else ""
    return name + ("-cifar" if shape.kernel == 3 else "")


def cifar_candidate(depth: int) -> Candidate:
    """Return the ResNet of 6n + 2 layers for images of 32 px."""
    return Candidate(
        name=f"resnet{depth}",
        build=lambda: _cifar(depth),
        image_size=32,
        image_size_origin=Origin("tensors", "three stages after a 3x3 stem"),
    )


def _cifar(depth: int) -> CifarResNet:
    module = CifarResNet(depth)
    module.linear = nn.Identity()
    return module


def _build(shape: _Shape) -> nn.Module:
    """Return torchvision's ResNet with the given stem, strides and widths and no classifier."""
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

    block = Bottleneck if shape.bottleneck else BasicBlock
    module = ResNet(block, [1, 1, 1, 1], groups=shape.groups, width_per_group=shape.width_per_group)
    module.conv1 = nn.Conv2d(
        3, shape.stem_width, shape.kernel, stride=shape.stride, padding=shape.padding, bias=False
    )  # fmt: skip
    module.bn1 = nn.BatchNorm2d(shape.stem_width)
    module.inplanes = shape.stem_width
    for stage, depth in enumerate(shape.depths):
        layer = module._make_layer(block, shape.planes * 2**stage, depth, stride=1 if stage == 0 else 2)
        setattr(module, f"layer{stage + 1}", layer)
    for stage in range(len(shape.depths), 4):
        setattr(module, f"layer{stage + 1}", nn.Identity())
    if not shape.pool:
        module.maxpool = nn.Identity()
    if not shape.relu:
        module.relu = nn.Identity()  # the stem's; blocks have their own
    module.fc = nn.Identity()
    _set_strides(module, shape)
    if shape.activation != "relu":
        replace_activations(module, shape.activation)
    return module if shape.pooling == "mean" else repool(module, shape.pooling, power=shape.gem_power)


def _set_strides(module: nn.Module, shape: _Shape) -> None:
    """Move, leave out or replace by dilation the strides of stages; biases of shortcuts are MONAI's."""
    stride, dilation = shape.stride * (2 if shape.pool else 1), 1
    for stage in range(1, len(shape.depths)):
        layer = getattr(module, f"layer{stage + 1}")
        kept = shape.output_stride is None or stride < shape.output_stride
        stride *= 2 if kept else 1
        for number, block in enumerate(layer):
            before = dilation
            if number == 0:
                _stride_block(block, 2 if kept else 1, in_first=shape.stride_in == "1x1")
                dilation *= 1 if kept or not shape.dilated else 2
            _dilate(block, dilation, first=before)
    if shape.output_stride is not None and stride != shape.output_stride:
        raise CheckpointError(
            f"this ResNet cannot have an output stride of {shape.output_stride}",
            found=f"its stem and stages give {shape.usual_output_stride} at most",
            hint="--output-stride, a smaller power of two",
        )
    for layer in module.modules():
        shortcut = getattr(layer, "downsample", None)
        if shape.shortcut_bias and isinstance(shortcut, nn.Sequential) and isinstance(shortcut[0], nn.Conv2d):
            shortcut[0].bias = nn.Parameter(torch.zeros(shortcut[0].out_channels))


def _stride_block(block: Any, stride: int, *, in_first: bool) -> None:
    strided = "conv1" if in_first or not hasattr(block, "conv3") else "conv2"
    for name in ("conv1", "conv2"):
        layer = getattr(block, name)
        layer.stride = (stride, stride) if name == strided else (1, 1)
    shortcut = getattr(block, "downsample", None)
    if isinstance(shortcut, nn.Sequential) and isinstance(shortcut[0], nn.Conv2d):
        shortcut[0].stride = (stride, stride)


def _dilate(block: Any, dilation: int, *, first: int) -> None:
    """Dilate a block's 3x3 convolutions: the first of them by `first`, as DeepLab's and timm's networks do."""
    wide = [layer for layer in (block.conv1, block.conv2) if layer.kernel_size == (3, 3)]
    for layer, rate in zip(wide, (first, dilation), strict=False):
        layer.dilation = layer.padding = (rate, rate)
