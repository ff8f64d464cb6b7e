"""Encoders of twelve channels on TIFFs of twelve channels, from the checkpoint file to the features."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import repdiag
from repdiag.core.errors import DataError
from repdiag.data.datasets import open_dataset
from repdiag.models.backbones import input_channels

tifffile = pytest.importorskip("tifffile", reason="TIFFs of many channels need the extra images")

NETWORK = """
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(12, 7, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


@pytest.fixture
def tiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("REPDIAG_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    for part in ("train", "val"):
        for name in ("crop", "water"):
            for number in range(3):
                path = tmp_path / "tiles" / part / name / f"{number}.tif"
                path.parent.mkdir(parents=True, exist_ok=True)
                level = draw.uniform(500, 9000, (12, 1, 1)) + draw.uniform(0, 900, (12, 24, 24))
                tifffile.imwrite(path, level.astype("uint16"))
    return f"imagefolder:{tmp_path}/tiles,levels=0..10000"


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, str, nn.Module]:
    """A checkpoint of a network of one's own, the name of its code, and the network itself."""
    code = tmp_path / "net.py"
    code.write_text(NETWORK)
    space: dict[str, object] = {}
    exec(NETWORK, space)
    torch.manual_seed(0)
    network = space["make"]()
    torch.save(network.state_dict(), tmp_path / "own.pth")
    return tmp_path / "own.pth", f"{code}:make", network.eval()


def test_features_are_the_networks_own_on_pixels_normalised_by_the_images_to_train_on(
    tiles: str, own: tuple[Path, str, nn.Module], tmp_path: Path
) -> None:
    path, code, network = own
    encoder = repdiag.load_encoder(path, backbone=code, image_size=24)
    found = repdiag.extract(encoder, open_dataset(tiles, "val"), views=2)
    assert found.features.shape == (6, 7)
    assert found.views.shape == (2, 6, 7)
    stacks = {
        part: torch.stack(
            [torch.from_numpy(tifffile.imread(tmp_path / "tiles" / row).astype(np.float32)) / 10_000.0
             for row in open_dataset(tiles, part).row_ids]
        )
        for part in ("train", "val")
    }  # fmt: skip
    mean = stacks["train"].mean(dim=(0, 2, 3))[:, None, None]
    std = stacks["train"].std(dim=(0, 2, 3), correction=0)[:, None, None]
    with torch.no_grad():
        wanted = network((stacks["val"] - mean) / std)
    torch.testing.assert_close(found.features, wanted, rtol=1e-4, atol=1e-5)
    own_normalisation = repdiag.load_encoder(path, backbone=code, image_size=24, mean=(0.2,) * 12, std=(0.1,) * 12)
    with torch.no_grad():
        wanted = network((stacks["val"] - 0.2) / 0.1)
    again = repdiag.extract(own_normalisation, open_dataset(tiles, "val"), views=0)
    torch.testing.assert_close(again.features, wanted, rtol=1e-4, atol=1e-5)


def test_a_known_network_with_twelve_channels_is_recognised_by_its_first_convolution(
    tiles: str, tmp_path: Path
) -> None:
    import timm

    torch.manual_seed(1)
    network = timm.create_model("resnet18", in_chans=12, num_classes=0).eval()
    torch.save(network.state_dict(), tmp_path / "r18.pth")
    encoder = repdiag.load_encoder(tmp_path / "r18.pth", image_size=24)
    assert input_channels(encoder.backbone) == 12
    assert any("12 channels" in note for note in encoder.info.notes)
    pixels = torch.rand(2, 12, 24, 24)
    with torch.no_grad():
        torch.testing.assert_close(encoder(pixels), network(pixels))
    found = repdiag.embed(encoder, data=tiles, limit=4)
    assert found.features.shape == (4, 512)


def test_other_numbers_of_channels_are_refused_both_ways(tiles: str, own: tuple[Path, str, nn.Module]) -> None:
    path, code, _ = own
    many = repdiag.load_encoder(path, backbone=code, image_size=16)
    with pytest.raises(DataError, match=r"takes images of 12 channels(.|\n)*images of 3"):
        repdiag.embed(many, data="digits", limit=4)
    plain = repdiag.load_encoder(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), image_size=24
    )
    with pytest.raises(DataError, match=r"takes images of 3 channels(.|\n)*,channels=1\+2\+3"):
        repdiag.embed(plain, data=tiles)
    assert repdiag.embed(plain, data=f"{tiles},channels=4+3+2").features.shape == (6, 4)
