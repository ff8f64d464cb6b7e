"""Another package adds a checkpoint format and a backbone; one that cannot be imported is named and left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

MODULE = """
from dataclasses import replace

from torch import nn

from repdiag.checkpoints.formats.state_dict import FORMAT as PLAIN


def pooled():
    return nn.Sequential(nn.AvgPool2d(8), nn.Flatten())


FORMAT = replace(PLAIN, name="theirs", recognise=lambda contents: "their_marker" in contents.payload.tree)
"""
SCRIPT = """
import json, logging, sys, torch
from repdiag.checkpoints.formats.registry import OURS, all_formats
from repdiag.models.backbones import build_backbone, known_backbones

backbone = build_backbone("pooled", image_size=16)
print(json.dumps([all_formats()[0].name, len(all_formats()) - len(OURS), backbone.feature_dim,
                  "pooled" in known_backbones()]))
"""


def test_an_installed_package_adds_a_format_and_a_backbone(tmp_path: Path) -> None:
    (tmp_path / "outside.py").write_text(MODULE, encoding="utf-8")
    package = tmp_path / "outside-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n", encoding="utf-8")
    formats = "[repdiag.checkpoints]\ntheirs = outside:FORMAT\nbroken = not_there:FORMAT\n"
    entries = formats + "[repdiag.backbones]\npooled = outside:pooled\n"
    (package / "entry_points.txt").write_text(entries, encoding="utf-8")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["theirs", 1, 12, True]
    assert "not_there" in done.stderr
