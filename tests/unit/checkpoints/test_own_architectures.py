"""Networks that no library has, against the same computation written out from the names of the tensors alone."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from repdiag.checkpoints.load import load_encoder

State = dict[str, Tensor]


def drawn(shapes: dict[str, tuple[int, ...]]) -> State:
    """Return tensors of these shapes; variances and scales are positive, kernels keep the size of what they read."""
    generator = torch.Generator().manual_seed(0)
    found: State = {}
    for name, shape in shapes.items():
        value = torch.randn(shape, generator=generator)
        if len(shape) > 1:
            value = value / float(torch.tensor(shape[1:]).prod()) ** 0.5
        elif name.endswith(("running_var", "weight")):
            value = value.abs() + 0.5
        found[name] = value
    return found


def norm_shapes(name: str, width: int, *, running: bool) -> dict[str, tuple[int, ...]]:
    leaves = ("weight", "bias", *(("running_mean", "running_var") if running else ()))
    return {f"{name}.{leaf}": (width,) for leaf in leaves}


def vit_shapes(*, width: int, hidden: int, heads: int, patch: int, side: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {
        "pos_embedding": (1, side * side + 1, width),
        "cls_token": (1, 1, width),
        "to_patch_embedding.1.weight": (width, 3 * patch * patch),
        "to_patch_embedding.1.bias": (width,),
        **norm_shapes("mlp_head.0", width, running=False),
    }
    for block in range(2):
        place = f"transformer.layers.{block}"
        shapes |= norm_shapes(f"{place}.0.norm", width, running=False)
        shapes |= norm_shapes(f"{place}.1.norm", width, running=False)
        shapes |= {f"{place}.0.fn.to_qkv.weight": (3 * 64 * heads, width), f"{place}.0.fn.to_out.0.bias": (width,)}
        shapes |= {f"{place}.0.fn.to_out.0.weight": (width, 64 * heads), f"{place}.1.fn.net.0.bias": (hidden,)}
        shapes |= {f"{place}.1.fn.net.0.weight": (hidden, width), f"{place}.1.fn.net.3.bias": (width,)}
        shapes |= {f"{place}.1.fn.net.3.weight": (width, hidden)}
    return shapes


def vit_by_hand(state: State, image: Tensor, *, heads: int, patch: int) -> Tensor:
    def normed(name: str, tokens: Tensor) -> Tensor:
        return F.layer_norm(tokens, tokens.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"])

    def linear(name: str, tokens: Tensor) -> Tensor:
        return F.linear(tokens, state[f"{name}.weight"], state.get(f"{name}.bias"))

    rows = [
        image[:, top : top + patch, left : left + patch].permute(1, 2, 0).flatten()
        for top in range(0, image.shape[1], patch)
        for left in range(0, image.shape[2], patch)
    ]
    tokens = torch.cat([state["cls_token"][0], linear("to_patch_embedding.1", torch.stack(rows))])
    tokens = tokens + state["pos_embedding"][0]
    for block in range(2):
        place = f"transformer.layers.{block}"
        query, key, value = linear(f"{place}.0.fn.to_qkv", normed(f"{place}.0.norm", tokens)).chunk(3, dim=1)
        mixed = []
        for head in range(heads):
            part = slice(64 * head, 64 * head + 64)
            weights = (query[:, part] @ key[:, part].T / 8).softmax(1)
            mixed.append(weights @ value[:, part])
        tokens = tokens + linear(f"{place}.0.fn.to_out.0", torch.cat(mixed, dim=1))
        inner = F.gelu(linear(f"{place}.1.fn.net.0", normed(f"{place}.1.norm", tokens)))
        tokens = tokens + linear(f"{place}.1.fn.net.3", inner)
    return normed("mlp_head.0", tokens[0])


def test_the_vit_of_ssl_small(tmp_path: Path) -> None:
    state = drawn(vit_shapes(width=96, hidden=64, heads=2, patch=8, side=4))
    head = drawn({"fc.0.weight": (96, 96), "fc.0.bias": (96,), "fc.2.weight": (32, 96), "fc.2.bias": (32,)})
    names = {f"module.encoder_{which}.{name}": value for which in "qk" for name, value in (state | head).items()}
    torch.save({"arch": "vit_tiny", "state_dict": names | {"module.queue": torch.zeros(32, 8)}}, tmp_path / "vit.pth")
    encoder = load_encoder(tmp_path / "vit.pth")
    assert (encoder.info.family, encoder.info.image_size, encoder.info.projection_dim) == ("ssl_small", 32, 32)
    image = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(1))
    wanted = vit_by_hand(state, image, heads=2, patch=8)
    assert torch.allclose(encoder(image[None])[0], wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))


def kernel_shapes(width: int) -> dict[str, tuple[int, ...]]:
    half = width // 2
    shapes: dict[str, tuple[int, ...]] = {"net.0.0.weight": (half, 3, 3, 3), "net.0.2.weight": (half, half, 3, 3)}
    shapes |= {"net.0.4.weight": (width, half, 3, 3), "fc.weight": (5, 32 * width), "fc.bias": (5,)}
    for index, size in ((1, half), (3, half), (5, width)):
        shapes |= norm_shapes(f"net.0.{index}.0", size, running=True)
    before = width
    for stage in range(1, 5):
        planes = width * 2 ** (stage - 1)
        for block in range(2 if stage == 1 else 1):
            place = f"net.{stage}.blocks.{block}"
            if block == 0:
                shapes |= {f"{place}.projection.shortcut.2.weight": (4 * planes, before, 1, 1)}
                shapes |= norm_shapes(f"{place}.projection.bn.0", 4 * planes, running=True)
            shapes |= {
                f"{place}.net.0.weight": (planes, before, 1, 1),
                f"{place}.net.3.weight": (4 * planes, planes, 1, 1),
            }
            shapes |= {f"{place}.net.2.main_conv.0.weight": (2 * planes, planes, 3, 3)}
            shapes |= {f"{place}.net.2.mixing_conv.0.weight": (32, planes, 1, 1)}
            shapes |= {f"{place}.net.2.mixing_conv.2.weight": (2 * planes, 32, 1, 1)}
            for name, size in (
                ("1.0", planes),
                ("2.main_conv.1.0", 2 * planes),
                ("2.mixing_conv.1.0", 32),
                ("4.0", 4 * planes),
            ):
                shapes |= norm_shapes(f"{place}.net.{name}", size, running=True)
            before = 4 * planes
    return shapes


def kernels_by_hand(state: State, images: Tensor) -> Tensor:
    def conv(name: str, maps: Tensor, stride: int = 1) -> Tensor:
        kernel = state[f"{name}.weight"]
        return F.conv2d(maps, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    def norm(name: str, maps: Tensor) -> Tensor:
        mean, var, weight, bias = (
            state[f"{name}.{leaf}"] for leaf in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(maps, mean, var, weight, bias, eps=1e-5)

    maps = F.relu(norm("net.0.1.0", conv("net.0.0", images, 2)))
    maps = F.relu(norm("net.0.3.0", conv("net.0.2", maps)))
    maps = F.max_pool2d(F.relu(norm("net.0.5.0", conv("net.0.4", maps))), 3, 2, 1)
    for stage in range(1, 5):
        for block in range(2 if stage == 1 else 1):
            place, stride = f"net.{stage}.blocks.{block}", 2 if stage > 1 and block == 0 else 1
            short = maps
            if block == 0:
                padded = F.pad(maps, (0, 1, 0, 1))
                short = norm(
                    f"{place}.projection.bn.0", conv(f"{place}.projection.shortcut.2", F.avg_pool2d(padded, 2, stride))
                )
            inner = F.relu(norm(f"{place}.net.1.0", conv(f"{place}.net.0", maps)))
            both = F.relu(norm(f"{place}.net.2.main_conv.1.0", conv(f"{place}.net.2.main_conv.0", inner, stride)))
            one, two = both.chunk(2, dim=1)
            pooled = (one + two).mean((2, 3), keepdim=True)
            mixing = F.relu(norm(f"{place}.net.2.mixing_conv.1.0", conv(f"{place}.net.2.mixing_conv.0", pooled)))
            first, second = conv(f"{place}.net.2.mixing_conv.2", mixing).chunk(2, dim=1)
            share = torch.sigmoid(first - second)  # a softmax over two
            out = norm(f"{place}.net.4.0", conv(f"{place}.net.3", share * one + (1 - share) * two))
            maps = F.relu(short + out)
    return maps.mean((2, 3))


def test_selective_kernels_of_simclr_v2(tmp_path: Path) -> None:
    state = drawn(kernel_shapes(16))
    head = drawn({"layers.0.weight": (512, 512), **norm_shapes("layers.1", 512, running=True)})
    torch.save({"resnet": state, "head": head}, tmp_path / "r50_1x_sk1.pth")
    encoder = load_encoder(tmp_path / "r50_1x_sk1.pth")
    assert (encoder.info.family, encoder.info.mean, encoder.info.projection_dim) == ("simclr_v2", (0.0, 0.0, 0.0), 512)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    wanted = kernels_by_hand(state, images)
    assert torch.allclose(encoder(images), wanted, rtol=0, atol=1e-5 * float(wanted.abs().max()))
