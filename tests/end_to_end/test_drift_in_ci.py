"""The recipe of docs/drift.md for continuous integration, run as it stands: it fails for int8, and passes re-saved."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from repdiag.checkpoints.encoder import Encoder, EncoderInfo
from repdiag.checkpoints.exported.onnx_export import export_onnx

PAGE = (Path(__file__).parents[2] / "docs" / "drift.md").read_text("utf-8")
SIZE = 12


def script(name: str) -> str:
    """Return the shell script of the page that begins with this comment."""
    (found,) = re.findall(rf"```bash\n# {name}\n(.*?)```", PAGE, flags=re.DOTALL)
    return found


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write images of three classes, a small network as a graph, the same graph saved again, and in eight bits."""
    folder = tmp_path_factory.mktemp("ci")
    rng = np.random.default_rng(0)
    for kind in range(3):
        place = folder / "canary-images" / "val" / str(kind)
        place.mkdir(parents=True)
        base = rng.integers(0, 255, size=(SIZE, SIZE, 3))
        for number in range(30):
            pixels = np.clip(base + rng.normal(scale=60, size=base.shape), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(place / f"{number}.png")
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(800, 6)
    )
    known = dict.fromkeys(("name", "path", "sha256", "family", "backbone", "branch", "layer"), "own")
    encoder = Encoder(network, EncoderInfo(**known, feature_dim=6, image_size=SIZE, parameters=5000))
    export_onnx(encoder, folder / "float.onnx")
    export_onnx(encoder, folder / "again.onnx")
    export_onnx(encoder, folder / "int8.onnx", numbers="int8 per tensor", images=torch.randn(8, 3, SIZE, SIZE))
    return folder


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = f'repdiag() {{ "{sys.executable}" -m repdiag "$@"; }}\nset -e\n{text}'
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "REPDIAG_CACHE": str(folder / "cache")}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_recipe_fails_for_eight_bits_and_passes_for_the_same_network_saved_again(workplace: Path) -> None:
    model = workplace / "model.onnx"
    model.write_bytes((workplace / "float.onnx").read_bytes())
    released = run(script("at a release"), workplace)
    assert released.returncode == 0, released.stderr
    for name, expected in (("again", 0), ("int8", 3)):
        model.write_bytes((workplace / f"{name}.onnx").read_bytes())
        done = run(script("at every change"), workplace)
        assert done.returncode == expected, done.stdout + done.stderr
        assert ("<failure" in (workplace / "drift.xml").read_text("utf-8")) is (expected == 3)


def test_the_actions_of_the_page_run_the_same_script() -> None:
    (found,) = re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL)
    steps = yaml.safe_load(found)["jobs"]["drift"]["steps"]
    commands = "\n".join(step.get("run", "") for step in steps)
    assert script("at every change").strip() in commands
