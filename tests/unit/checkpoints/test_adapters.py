"""Low-rank adapters: merged into the base model where both are here, by the definition W + alpha / r * B A."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from repdiag.checkpoints.adapters import read_checkpoint
from repdiag.checkpoints.load import convert_checkpoint, load_encoder
from repdiag.core.errors import CheckpointError
from tests.unit.checkpoints.families import State, vit

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
RANK, ALPHA = 4, 12
CONFIG = {"peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "base_model_name_or_path": "base"}


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def adapter_of(module: str = "blocks.1.mlp.fc1", *, out: int = 768, width: int = 192) -> State:
    name = f"base_model.model.{module}.lora_"
    return {f"{name}A.weight": drawn(RANK, width, seed=1), f"{name}B.weight": drawn(out, RANK, seed=2)}


def merged(scale: float = ALPHA / RANK) -> Any:
    network: Any = vit()
    down, up = adapter_of().values()
    network.blocks[1].mlp.fc1.weight.data += scale * up @ down
    return network


def folder(tmp_path: Path, adapter: State, *, base: str | None = "base", **config: Any) -> Path:
    made = tmp_path / "adapter"
    made.mkdir()
    save_file(adapter, made / "adapter_model.safetensors")
    (made / "adapter_config.json").write_text(json.dumps(CONFIG | config))
    if base is not None:
        (tmp_path / base).mkdir(exist_ok=True)
        save_file(vit().state_dict(), tmp_path / base / "model.safetensors")
    return made


def same(found: Tensor, wanted: Tensor) -> bool:
    return float((found - wanted).abs().max() / wanted.abs().max()) < 1e-5


@pytest.mark.parametrize("base", ["base", "adapter"])  # beside the adapter's folder, and in it
def test_an_adapter_and_its_base_are_one_encoder(base: str, tmp_path: Path) -> None:
    path = folder(tmp_path, adapter_of(), base=base)
    encoder = load_encoder(path)
    assert same(encoder(IMAGES), merged()(IMAGES))
    assert not same(encoder(IMAGES), vit()(IMAGES))
    assert any("merged into" in note for note in encoder.info.notes)
    convert_checkpoint(path, tmp_path / "own.safetensors")
    assert same(load_encoder(tmp_path / "own.safetensors")(IMAGES), merged()(IMAGES))


@pytest.mark.parametrize(
    ("config", "scale"),
    [({"use_rslora": True}, ALPHA / RANK**0.5), ({"alpha_pattern": {"mlp.fc1": 2}}, 2 / RANK)],
)
def test_the_scale_is_what_the_config_says(config: dict[str, Any], scale: float, tmp_path: Path) -> None:
    assert same(load_encoder(folder(tmp_path, adapter_of(), **config))(IMAGES), merged(scale)(IMAGES))


def test_names_before_and_since_transformers_5_mean_one_module(tmp_path: Path) -> None:
    old = "encoder.layer.0.attention.attention.query"
    base = {f"{old}.weight": drawn(8, 8, seed=3), "embeddings.cls_token": torch.zeros(1, 1, 8)}
    path = folder(tmp_path, adapter_of("layers.0.attention.q_proj", out=8, width=8), base=None)
    (tmp_path / "base").mkdir()
    save_file(base, tmp_path / "base" / "model.safetensors")
    found = read_checkpoint(path).tree[f"{old}.weight"]
    assert torch.allclose(found, base[f"{old}.weight"] + ALPHA / RANK * drawn(8, RANK, seed=2) @ drawn(RANK, 8, seed=1))


def test_a_model_saved_with_its_adapters_is_merged_where_the_scale_is_known(tmp_path: Path) -> None:
    state = {f"base_model.model.{name}": value for name, value in vit().state_dict().items()}
    state = {re.sub(r"(blocks\.1\.mlp\.fc1)\.", r"\1.base_layer.", name): value for name, value in state.items()}
    state |= {name.replace(".weight", ".default.weight"): value for name, value in adapter_of().items()}
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(CheckpointError, match="fills 93%") as caught:
        load_encoder(tmp_path / "file.pth")
    assert "adapter_config.json" in str(caught.value.hint)
    (tmp_path / "adapter_config.json").write_text(json.dumps(CONFIG))
    assert same(load_encoder(tmp_path / "file.pth")(IMAGES), merged()(IMAGES))


@pytest.mark.parametrize(
    ("adapter", "config", "said"),
    [
        (adapter_of(), {"use_dora": True}, "not plain LoRA"),
        (adapter_of(), {"peft_type": "IA3"}, "not plain LoRA"),
        (adapter_of(), {"lora_alpha": "much"}, "not plain LoRA"),
        (adapter_of("blocks.7.mlp.fc1"), {}, "another base model"),
        (adapter_of(width=64), {}, "another base model"),
        (dict(list(adapter_of().items())[:1]), {}, "lacks one of its two halves"),
        (
            adapter_of(),
            {"base_model_name_or_path": "nobody/nothing-of-this-name"},
            "base model that is not on this machine",
        ),
    ],
)
def test_what_cannot_be_merged_is_refused(
    adapter: State, config: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match=said):
        load_encoder(
            folder(tmp_path, adapter, base="other" if "base_model_name_or_path" in config else "base", **config)
        )
