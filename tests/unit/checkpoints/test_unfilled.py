"""Networks are compared by their outlines, and take a file's tensors over; what a file asks for has ceilings."""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
import time
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from repdiag.checkpoints.fitting.match import fill
from repdiag.checkpoints.fitting.unfilled import build_outline, build_unfilled, width_of_output
from repdiag.checkpoints.inspect import inspect_checkpoint
from repdiag.checkpoints.load import load_encoder
from repdiag.checkpoints.reading import safe_load
from repdiag.checkpoints.reading.file_blocks import MappedFile, forget_all_pages
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints.families import resnet18, vit

# Rotary tables, masks and indices that are computed while the network is built; Swin's from its parameters.
NAMES = ("eva02_tiny_patch14_224", "swin_tiny_patch4_window7_224", "levit_128", "xcit_nano_12_p8_224", "regnety_002")


@pytest.mark.parametrize("name", NAMES)
def test_a_network_filled_without_drawing_weights_computes_the_same(name: str) -> None:
    def build() -> nn.Module:
        return timm.create_model(name, num_classes=0)

    whole = build().eval()
    outline = build_outline(build).state_dict()
    assert {key: value.shape for key, value in outline.items()} == {k: v.shape for k, v in whole.state_dict().items()}
    network = build_unfilled(build)
    assert (network is None) == name.startswith("swin")
    if network is None:
        return
    fill(network, whole.state_dict())
    size = whole.pretrained_cfg["input_size"][-1]
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(network(images), whole(images))


def test_building_is_as_before_afterwards() -> None:
    register = nn.Module.register_parameter
    assert build_unfilled(lambda: nn.Linear(2, -3)) is None
    assert nn.Module.register_parameter is register
    assert not nn.Linear(2, 3).weight.is_meta


def test_filling_takes_the_tensors_over_and_shares_none() -> None:
    whole = torch.randn(4, 3)
    state = {"0.weight": torch.randn(3, 3), "1.weight": whole[:3], "2.weight": whole.double()[:3]}
    state["3.weight"] = state["0.weight"]
    network = nn.Sequential(*(nn.Linear(3, 3, bias=False) for _ in range(4)))
    fill(network, state)
    assert network[0].weight.data_ptr() == state["0.weight"].data_ptr()
    assert all(torch.equal(network[index].weight, state[f"{index}.weight"].float()) for index in range(4))
    assert len({layer.weight.untyped_storage().data_ptr() for layer in network}) == 4
    assert network[1].weight.untyped_storage().nbytes() == 36
    assert network[2].weight.dtype == torch.float32


def test_the_width_on_shapes_alone_is_that_of_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert width_of_output(vit(), 64) == 192
    monkeypatch.setattr("repdiag.checkpoints.fitting.unfilled._LARGE", 0.0)
    assert width_of_output(vit(), 64) == 192
    wide = timm.models.VisionTransformer(img_size=2048, patch_size=16, embed_dim=64, depth=2, num_heads=1)
    assert width_of_output(wide, 2048) == 1000  # 16,384 tokens, whose numbers would take minutes


@pytest.mark.parametrize("name", ["blocks.99999999.attn.qkv.weight", f"blocks.{'9' * 900}.attn.qkv.weight"])
def test_a_number_in_a_name_builds_no_layers(name: str, tmp_path: Path) -> None:
    save_file(dict(vit().state_dict()) | {name: torch.ones(3, 1)}, tmp_path / "x.safetensors")
    started = time.process_time()
    with pytest.raises(CheckpointError, match="numbered higher"):
        load_encoder(tmp_path / "x.safetensors")
    assert time.process_time() - started < 2.0


def test_an_image_size_has_a_ceiling(tmp_path: Path) -> None:
    save_file(resnet18().state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "x", "image_size": 20_000}))
    with pytest.raises(CheckpointError, match="20000 pixels") as caught:
        load_encoder(tmp_path)
    assert "--image-size" in str(caught.value.hint)


def test_a_classifier_that_does_not_fit_is_none(tmp_path: Path) -> None:
    torch.save(
        resnet18().state_dict() | {"fc.weight": torch.ones(10, 512), "fc.bias": torch.ones(9)}, tmp_path / "x.pt"
    )
    found = inspect_checkpoint(tmp_path / "x.pt")
    assert (found.classifier, found.problem) == (None, None)


def test_a_file_that_is_refused_is_not_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[Path] = []
    monkeypatch.setattr(safe_load, "sha256_of_weights", lambda path: hashed.append(path) or "0" * 64)
    state = vit().state_dict()
    torch.save({"model": state}, tmp_path / "whole.pth")
    del state["blocks.1.mlp.fc2.bias"]
    torch.save({"model": state}, tmp_path / "cut.pth")
    with pytest.raises(CheckpointError):
        load_encoder(tmp_path / "cut.pth")
    assert load_encoder(tmp_path / "whole.pth").info.sha256 == "0" * 64
    assert hashed == [tmp_path / "whole.pth"]


def test_a_file_that_changes_before_it_is_hashed_is_refused(tmp_path: Path) -> None:
    torch.save(vit().state_dict(), tmp_path / "file.pth")
    payload = safe_load.read(tmp_path / "file.pth")
    torch.save(vit(1).state_dict() | {"more": torch.zeros(9)}, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="changed"):
        assert payload.sha256


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="resident memory is read from Linux's /proc")
def test_what_was_looked_at_in_a_mapped_file_takes_no_memory_afterwards(tmp_path: Path) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

    size = 32 * 2**20
    (tmp_path / "block").write_bytes(bytes(size))
    file = MappedFile(tmp_path / "block")
    before = resident()
    assert int(file.block(0, size).sum()) == 0
    assert resident() - before > size // 2
    forget_all_pages()
    assert resident() - before < size // 4


def test_no_outline_loads_the_compiler() -> None:
    code = (
        "import sys\n"
        "from repdiag.models.network_libraries import import_network_libraries\n"
        "import_network_libraries()\n"
        "from repdiag.checkpoints.fitting.unfilled import build_outline\n"
        "import timm\n"
        "for name in ('convnext_atto', 'swin_tiny_patch4_window7_224'):\n"
        "    build_outline(lambda: timm.create_model(name))\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_the_width_of_a_large_transformer_is_read_from_a_few_patches() -> None:
    network = vit(dynamic_img_size=True)
    shapes: list[torch.Size] = []
    network.patch_embed.register_forward_pre_hook(lambda _, given: shapes.append(given[0].shape))  # type: ignore[union-attr, operator]
    assert width_of_output(network, 4096) == 192
    assert shapes == [torch.Size([1, 3, 32, 32])]
