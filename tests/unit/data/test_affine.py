"""Turns, moves and zooms against torchvision's affine, image by image."""

import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference

from repdiag.data.affine import move


def test_each_sample_equals_torchvisions_affine() -> None:
    batch = torch.rand(4, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    degrees = torch.tensor([0.0, 15.0, -40.0, 90.0])
    pixels = torch.tensor([[3.0, -2.0], [0.0, 0.0], [-4.0, 5.0], [1.0, 1.0]])  # right, down
    zoom = torch.tensor([1.0, 1.2, 0.8, 1.0])
    found = move(batch, degrees=degrees, shift=pixels / torch.tensor([30.0, 20.0]), zoom=zoom)
    for row in range(4):
        wanted = reference.affine(
            batch[row],
            float(degrees[row]),
            pixels[row].int().tolist(),
            float(zoom[row]),
            [0.0, 0.0],
            interpolation=InterpolationMode.BILINEAR,
        )
        torch.testing.assert_close(found[row], wanted, atol=1e-4, rtol=0)


def test_nothing_asked_nothing_changed() -> None:
    batch = torch.rand(2, 3, 9, 12, generator=torch.Generator().manual_seed(1))
    same = move(batch, degrees=torch.zeros(2), shift=torch.zeros(2, 2), zoom=torch.ones(2))
    torch.testing.assert_close(same, batch, atol=1e-5, rtol=0)
