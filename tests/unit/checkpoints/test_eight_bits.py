"""Weights of eight bits are read as they stand, and this is said: scales that they may need are not applied."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from repdiag.checkpoints.load import load_encoder


@pytest.mark.parametrize("eight_bits", [True, False])
def test_eight_bits_are_said(tmp_path: Path, eight_bits: bool) -> None:
    state = resnet18().state_dict()
    if eight_bits:
        state["layer1.0.conv1.weight"] = state["layer1.0.conv1.weight"].to(torch.float8_e4m3fn)
    save_file(state, tmp_path / "file.safetensors")
    notes = " ".join(load_encoder(tmp_path / "file.safetensors").info.notes)
    assert ("1 tensors have eight bits" in notes) == eight_bits
