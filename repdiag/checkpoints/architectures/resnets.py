"""ResNets with the names of torchvision: depth, block, width and stem are read from the tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.formats.format import Facts
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
    relu: bool


def resnet_candidates(state: Mapping[str, Tensor], facts: Facts) -> list[Candidate]:
    """Return the one ResNet that has tensors of these shapes; none where the names are not a ResNet's."""
    first = state.get("conv1.weight")
    if first is None or first.ndim != 4 or not {"layer1.0.conv1.weight", "layer1.0.conv2.weight"} <= state.keys():
        return []
    depths = _depths(state)
    if len(depths) == 3 and "layer1.0.conv3.weight" not in state:
        depth = 6 * depths[0] + 2
        whole = len(set(depths)) == 1 and depth in DEPTHS.values()
        return [cifar_candidate(depth)] if whole else []
    if len(depths) != 4:
        return []
    bottleneck = "layer1.0.conv3.weight" in state
    small = first.shape[2] == 3
    middle = state["layer1.0.conv2.weight"]
    groups = middle.shape[0] // middle.shape[1]
    planes = state["layer1.0.conv3.weight"].shape[0] // 4 if bottleneck else middle.shape[0]
    shape = _Shape(
        bottleneck=bottleneck,
        depths=depths,
        stem_width=first.shape[0],
        planes=planes,
        groups=groups,
        width_per_group=64 * middle.shape[0] // (planes * groups) if bottleneck else 64,
        kernel=first.shape[2],
        padding=facts.stem_padding if small and facts.stem_padding is not None else first.shape[2] // 2,
        relu=facts.stem_relu,
    )
    assumed = ("stem padding 1, the usual one",) if small and facts.stem_padding is None else ()
    return [
        Candidate(
            name=_name(shape),
            build=lambda: _build(shape),
            image_size=32 if small else None,
            assumptions=assumed,
        )
    ]


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
    return Candidate(name=f"resnet{depth}", build=lambda: _cifar(depth), image_size=32)


def _cifar(depth: int) -> CifarResNet:
    module = CifarResNet(depth)
    module.linear = nn.Identity()
    return module


def _build(shape: _Shape) -> nn.Module:
    """Return torchvision's ResNet with the given stem and stage widths and no classifier."""
    from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

    block = Bottleneck if shape.bottleneck else BasicBlock
    module = ResNet(block, [1, 1, 1, 1], groups=shape.groups, width_per_group=shape.width_per_group)
    small = shape.kernel == 3
    module.conv1 = nn.Conv2d(
        3, shape.stem_width, shape.kernel, stride=1 if small else 2, padding=shape.padding, bias=False
    )
    module.bn1 = nn.BatchNorm2d(shape.stem_width)
    module.inplanes = shape.stem_width
    for stage, depth in enumerate(shape.depths):
        layer = module._make_layer(block, shape.planes * 2**stage, depth, stride=1 if stage == 0 else 2)
        setattr(module, f"layer{stage + 1}", layer)
    if small:
        module.maxpool = nn.Identity()
    if not shape.relu:
        module.relu = nn.Identity()  # the stem's; blocks have their own
    module.fc = nn.Identity()
    built: nn.Module = module
    return built
