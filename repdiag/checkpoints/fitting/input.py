"""What an encoder is fed with: size, framing and normalisation, each with where it was read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from repdiag.checkpoints.facts import ASSUMED, Fact, Origin, told
from repdiag.checkpoints.fitting.ceilings import bounded_image_size
from repdiag.checkpoints.fitting.resolve import Resolved
from repdiag.checkpoints.fitting.unfilled import width_of_output
from repdiag.checkpoints.formats.format import Preprocessing
from repdiag.checkpoints.read_options import ReadOptions, flag_of
from repdiag.checkpoints.reading.contents import Contents
from repdiag.core.errors import CheckpointError
from repdiag.models.backbones import input_channels

_USUAL = 224
_COLOURS = 3
_SMALL = 64  # images up to this size are used whole


@dataclass(frozen=True, kw_only=True)
class Input:
    """The side of the images, the shorter side before the crop (None: the side itself), and all of it as facts."""

    preprocessing: Preprocessing
    size: int
    resize: int | None
    facts: tuple[Fact, ...]

    def as_certain(self) -> Preprocessing:
        """Return the preprocessing with all that was found out about it, so that nothing is found out twice."""
        size = next(Origin(fact.source, fact.where) for fact in self.facts if fact.flag == "--image-size")
        origins = {**self.preprocessing.origins, "image_size": size}
        return replace(self.preprocessing, image_size=self.size, resize=self.resize, usual_size=None, origins=origins)


def input_of(contents: Contents, resolved: Resolved, read_options: ReadOptions) -> Input:
    """Return the input of a resolved network: told, else recorded, else shown by tensors, else the family's."""
    preprocessing = as_told(resolved.format.preprocessing_of(contents), read_options)
    size, size_origin = _size(resolved, preprocessing)
    colours = input_channels(resolved.fitted.network) == _COLOURS
    return described(preprocessing, bounded_image_size(size), size_origin, colours=colours)


def described(preprocessing: Preprocessing, size: int, size_origin: Origin, *, colours: bool = False) -> Input:
    """Return the input at a size that is settled, with all of it as facts; `colours`: channels have an order."""
    resize, framing, framing_origin = _framing(preprocessing, size)
    origin_of = preprocessing.origin_of
    facts = (
        Fact.of("image size", size, size_origin, flag="--image-size"),
        Fact.of("framing", framing, framing_origin, flag="--resize"),
        Fact.of("interpolation", preprocessing.interpolation, origin_of("interpolation"), flag="--interpolation"),
        *_channel_order(preprocessing, colours=colours),
        Fact.of("mean", _shown(preprocessing.mean), origin_of("mean"), flag="--mean"),
        Fact.of("std", _shown(preprocessing.std), origin_of("std"), flag="--std"),
    )
    return Input(preprocessing=preprocessing, size=size, resize=resize, facts=facts)


def as_told(preprocessing: Preprocessing, read_options: ReadOptions) -> Preprocessing:
    """Return the preprocessing with what the user says in the place of what was read."""
    changes = read_options.input_changes()
    flags = {"bgr": told("--channel-order"), "squash": told("--resize")}
    flags["resize"] = told("--resize" if read_options.resize else "--image-size")
    origins = {name: flags.get(name, told(flag_of(name))) for name in changes}
    return replace(preprocessing, **changes, origins={**preprocessing.origins, **origins})


def _size(resolved: Resolved, preprocessing: Preprocessing) -> tuple[int, Origin]:
    candidate = resolved.fitted.candidate
    if preprocessing.image_size is not None:
        return preprocessing.image_size, preprocessing.origin_of("image_size")
    if candidate.image_size is not None and candidate.image_size_origin is not None:
        return candidate.image_size, candidate.image_size_origin
    if preprocessing.usual_size is not None:
        return preprocessing.usual_size, preprocessing.origin_of("usual_size")
    if candidate.image_size is not None:
        return candidate.image_size, Origin("assumed", f"what {candidate.name} is usually given")
    return _USUAL, ASSUMED


def _framing(preprocessing: Preprocessing, size: int) -> tuple[int | None, str, Origin]:
    """Return the shorter side before the crop, in words, and where it was read."""
    resize, usual = preprocessing.resize, preprocessing.usual_size
    if preprocessing.squash and (resize is None or resize <= size):
        return None, f"both sides to {size}, nothing cropped", preprocessing.origin_of("squash")
    if preprocessing.squash:
        return resize, f"both sides to {resize}, then the centre", preprocessing.origin_of("squash")
    if resize is not None and resize >= size and usual in (None, size):
        return resize, f"shorter side to {resize}, then the centre", preprocessing.origin_of("resize")
    if size <= _SMALL:
        return None, f"shorter side to {size}, then the centre", preprocessing.origin_of("resize")
    return size * 8 // 7, f"shorter side to {size * 8 // 7}, then the centre", preprocessing.origin_of("resize")


def _channel_order(preprocessing: Preprocessing, *, colours: bool) -> list[Fact]:
    """Return the order of channels where somebody says it, where it is assumed, or where it is not the usual one."""
    origin = preprocessing.origin_of("bgr")
    if not preprocessing.bgr and origin.source != "told" and not (colours and origin.source == "assumed"):
        return []
    return [Fact.of("channel order", "BGR" if preprocessing.bgr else "RGB", origin, flag="--channel-order")]


def _shown(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def feature_dim(network: nn.Module, size: int) -> int:
    """Return the number of features that a network gives for images of this size."""
    try:
        return width_of_output(network, size)
    except TypeError as error:
        if "missing" not in str(error):
            raise _does_not_take(size, error) from error
        raise CheckpointError(
            "the network takes more than images",
            found=str(error).partition("\n")[0][:160],
            hint="--backbone your_file.py:function with a forward of images alone",
        ) from error
    except (RuntimeError, AssertionError, ValueError, IndexError, AttributeError) as error:  # for a size
        raise _does_not_take(size, error) from error


def _does_not_take(size: int, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"the network does not take images of {size} pixels",
        found=str(error).partition("\n")[0][:160],
        hint="give the size that it was trained at with --image-size N",
    )
