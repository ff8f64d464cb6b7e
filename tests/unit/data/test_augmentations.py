"""Whole views against torchvision's functions in the drawn order, and the distribution of what is drawn."""

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as reference

from repdiag.config.views import VIEW_PRESETS, ViewSettings, view_preset
from repdiag.data.augmentations import augment, draw_parameters, recolour, reframe_one
from repdiag.data.counter_rng import CounterStream
from repdiag.data.patches import HIDDEN_COLOUR
from repdiag.data.view_parameters import ViewParameters

JITTER = (
    reference.adjust_brightness,
    reference.adjust_contrast,
    reference.adjust_saturation,
    reference.adjust_hue,
)


def images(count: int, height: int = 40, width: int = 48) -> torch.Tensor:
    """Smooth coloured noise, more like photographs than independent pixels are."""
    noise = torch.rand(count, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(3))
    return (torch.nn.functional.interpolate(noise, (height, width), mode="bilinear") * 255).byte()


def draw(view: ViewSettings, count: int, height: int = 40, width: int = 48, size: int = 32) -> ViewParameters:
    stream = CounterStream.keyed(np.arange(count, dtype=np.uint64), purpose="test", seed=1)
    shape = np.broadcast_to(np.array([height, width]), (count, 2))
    return draw_parameters(view, stream, image_sizes=shape, size=size)


def by_torchvision(image: torch.Tensor, drawn: ViewParameters, row: int) -> torch.Tensor:
    """Make one view with torchvision's functions, in the order of its own recipes."""
    mode = InterpolationMode(drawn.settings.interpolation)
    view = image / 255
    top, left, height, width = drawn.boxes[row].tolist()
    shape = [drawn.size, drawn.size]
    view = reference.resized_crop(view, top, left, height, width, shape, interpolation=mode, antialias=True).clamp(0, 1)
    view = reference.hflip(view) if drawn.flip[row] else view
    for index in drawn.order[row] if drawn.jitter[row] else ():
        view = JITTER[index](view, float(drawn.factors[row, index]))
    view = reference.rgb_to_grayscale(view, 3) if drawn.gray[row] else view
    if drawn.blur[row] > 0:
        view = reference.gaussian_blur(view, [23, 23], [float(drawn.blur[row])] * 2)
    return reference.solarize(view, drawn.settings.solarize_threshold) if drawn.solarize[row] else view


@pytest.mark.parametrize("preset", ["moco_v2", "shi2022", "simclr", "dino_multi_crop", "crop_flip"])
def test_views_are_torchvisions_image_by_image(preset: str) -> None:
    batch = images(32)
    for view in dict.fromkeys(view_preset(preset)):
        drawn = draw(view, len(batch))
        found = augment(batch, drawn)
        assert found.shape == (32, 3, drawn.size, drawn.size)
        for row in range(len(batch)):
            wanted = by_torchvision(batch[row], drawn, row)
            assert (found[row] - wanted).abs().max() < 1.5 / 255


@pytest.mark.parametrize("preset", sorted(VIEW_PRESETS))
def test_a_view_is_the_same_alone_and_in_any_batch(preset: str) -> None:
    batch = images(5)
    for view in dict.fromkeys(view_preset(preset)):
        drawn = draw(view, len(batch))
        together = augment(batch, drawn)
        assert 0.0 <= together.min() <= together.max() <= 1.0
        for row in range(len(batch)):
            torch.testing.assert_close(
                augment(batch[row : row + 1], drawn.row(row))[0], together[row], atol=1e-5, rtol=0
            )


@pytest.mark.parametrize("preset", ["moco_v2", "dino_multi_crop", "digits"])
def test_cropping_file_by_file_gives_the_same_view_up_to_whole_levels(preset: str) -> None:
    batch = images(20)
    view = view_preset(preset)[0]
    drawn = draw(view, len(batch))
    stack = torch.stack([reframe_one(image, drawn, row) for row, image in enumerate(batch)])
    found = recolour(stack / 255, drawn)
    # One level from rounding, stretched by brightness and contrast of at most 1.4 each.
    assert (found - augment(batch, drawn)).abs().mean() < 0.5 / 255


def test_input_is_left_alone() -> None:
    batch = images(5)
    before = batch.clone()
    augment(batch, draw(view_preset("shi2022_patches")[0], 5))
    assert torch.equal(batch, before)


def test_draws_follow_the_settings() -> None:
    count = 20_000
    view = view_preset("dino_multi_crop")[1].model_copy(update={"hue": 0.1, "blur_p": 0.5})
    drawn = draw(view, count)
    # Standard errors of the frequencies are at most .0036.
    for found, wanted in [
        (drawn.flip.mean(), 0.5),
        (drawn.jitter.mean(), 0.8),
        (drawn.gray.mean(), 0.2),
        ((drawn.blur > 0).mean(), 0.5),
        (drawn.solarize.mean(), 0.2),
    ]:
        assert abs(found - wanted) < 0.016
    bounds = [(0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.1, 0.1)]
    for column, (low, high) in enumerate(bounds):
        scaled = (drawn.factors[:, column] - low) / (high - low)
        assert np.abs(np.quantile(scaled, [0.1, 0.5, 0.9]) - [0.1, 0.5, 0.9]).max() < 0.02
    sigma = drawn.blur[drawn.blur > 0]
    assert 0.1 <= sigma.min() < 0.12
    assert 1.98 < sigma.max() <= 2.0
    codes = drawn.order @ [64, 16, 4, 1]
    counts = np.unique(codes, return_counts=True)[1]
    assert len(counts) == 24
    assert np.abs(counts / count - 1 / 24).max() < 0.007  # standard error .0014
    decisions = np.stack([drawn.flip, drawn.jitter, drawn.gray, drawn.blur > 0, drawn.solarize])
    assert np.abs(np.corrcoef(decisions) - np.eye(5)).max() < 0.035  # drawn independently


def test_affine_draws_cover_their_ranges() -> None:
    affine = draw(ViewSettings(rotate=15.0, shift=0.1, zoom=(0.8, 1.25)), 5000).affine
    assert affine is not None
    for column, (low, high) in enumerate([(-15, 15), (-0.1, 0.1), (-0.1, 0.1), (0.8, 1.25)]):
        scaled = (affine[:, column] - low) / (high - low)
        assert np.abs(np.quantile(scaled, [0.05, 0.5, 0.95]) - [0.05, 0.5, 0.95]).max() < 0.04


def test_hide_and_seek_hides_whole_cells_in_the_mean_colour() -> None:
    view = ViewSettings(patch_sizes=(0, 8, 16), patch_p=0.5)
    drawn = draw(view, 3000)
    assert drawn.hidden is not None
    share = drawn.hidden.mean(axis=(1, 2))
    assert abs((share == 0).mean() - 1 / 3) < 0.08  # no grid, or the rare grid without a hidden cell
    assert abs(share[share > 0].mean() - 0.5) < 0.04
    cells = drawn.hidden.reshape(-1, 4, 8, 4, 8)
    assert (cells == cells[:, :, :1, :, :1]).all()
    batch = images(3)
    found = augment(batch, draw(view, 3))
    hidden = torch.from_numpy(draw(view, 3).hidden)
    colour = found.permute(0, 2, 3, 1)[hidden]
    torch.testing.assert_close(colour, torch.tensor(HIDDEN_COLOUR).expand_as(colour))
    plain = augment(batch, draw(ViewSettings(), 3))
    assert torch.equal(found.permute(0, 2, 3, 1)[~hidden], plain.permute(0, 2, 3, 1)[~hidden])


@pytest.mark.gpu
@pytest.mark.parametrize("preset", sorted(VIEW_PRESETS))
def test_a_gpu_makes_the_same_views(preset: str) -> None:
    batch = images(32)
    for view in dict.fromkeys(view_preset(preset)):
        drawn = draw(view, len(batch))
        found = augment(batch.cuda(), drawn).cpu()
        assert (found - augment(batch, drawn)).abs().max() < 0.5 / 255
