"""What a view of an image is: augmentation settings, the named presets, and the evaluation set's settings."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from repdiag.core.errors import ConfigError, unknown_name

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Strength = Annotated[float, Field(ge=0.0)]
Interval = tuple[float, float]
Interpolation = Literal["bilinear", "bicubic"]
Difficulty = Literal["easy", "hard", "super-hard"]

# Bounds on the intersection over union of two crops of one image (shi2022).
DIFFICULTY_IOU: Mapping[Difficulty, Interval] = MappingProxyType(
    {"easy": (0.25, 1.0), "hard": (0.05, 0.25), "super-hard": (0.0001, 0.05)}
)


class ViewSettings(BaseModel):
    """How one view is drawn; an operation whose probability or strength is 0 does not happen.

    Operations run in the order of the fields: affine, crop, flip, jitter, gray, blur, solarize, hidden patches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: Annotated[int, Field(ge=1)] | None = None
    """Side of the view in pixels; None takes the image size of the run."""
    interpolation: Interpolation = "bilinear"

    rotate: Annotated[float, Field(ge=0.0, le=180.0)] = 0.0
    """Largest turn in degrees, either way."""
    shift: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    """Largest move along each axis, as a fraction of the side."""
    zoom: Interval = (1.0, 1.0)
    """Factor by which the content grows."""

    crop_scale: Interval | None = None
    """Area of the crop as a fraction of the image; None takes the whole image."""
    crop_ratio: Interval = (3 / 4, 4 / 3)
    """Width over height of the crop, log-uniform."""
    flip_p: Probability = 0.0

    brightness: Strength = 0.0
    contrast: Strength = 0.0
    saturation: Strength = 0.0
    hue: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    jitter_p: Probability = 1.0
    """Probability that the four factors above are applied, in a random order."""
    gray_p: Probability = 0.0
    blur_p: Probability = 0.0
    blur_sigma: Interval = (0.1, 2.0)
    """Standard deviation of the Gaussian in pixels."""
    solarize_p: Probability = 0.0
    solarize_threshold: Probability = 0.5

    patch_sizes: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Sides of the hide-and-seek cells in pixels, one drawn for each image; 0 hides nothing."""
    patch_p: Probability = 0.5
    """Probability that a cell is hidden."""

    @model_validator(mode="after")
    def _intervals_are_ordered(self) -> ViewSettings:
        floors = {"zoom": 0.0, "crop_scale": 0.0, "crop_ratio": 0.0, "blur_sigma": 0.0}
        for name, floor in floors.items():
            interval = getattr(self, name)
            if interval is not None and not floor < interval[0] <= interval[1]:
                raise ValueError(f"{name} must be an interval above {floor:g}, found {interval}")
        if self.crop_scale is not None and self.crop_scale[1] > 1.0:
            raise ValueError(f"crop_scale is a fraction of the image's area, found {self.crop_scale}")
        return self


class EvaluationSettings(BaseModel):
    """The static, seeded evaluation set: the same rows and views for every checkpoint."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: str = "moco_v2"
    seed: int = 0
    views: Annotated[int, Field(ge=0)] = 2
    per_class: Annotated[int, Field(ge=1)] = 50
    difficulty: Difficulty | None = None
    """Keep only crops whose overlap with the first view lies in a bin of `DIFFICULTY_IOU`."""
    iou: Interval | None = None
    """The same with bounds of one's own."""

    @model_validator(mode="after")
    def _names_and_bounds(self) -> EvaluationSettings:
        if self.preset not in VIEW_PRESETS:
            raise unknown_name("view preset", self.preset, VIEW_PRESETS)
        check_overlap(self.iou, self.difficulty)
        if self.iou_bounds is not None and self.views == 1:
            raise ValueError("bounds on the overlap of views need at least two of them")
        return self

    @property
    def iou_bounds(self) -> Interval | None:
        """Bounds on the overlap of each later view's crop with the first view's, or None."""
        return DIFFICULTY_IOU[self.difficulty] if self.difficulty is not None else self.iou


def check_overlap(iou: Interval | None, difficulty: Difficulty | None) -> None:
    """Raise `ValueError` unless the overlap of views is bounded in one way at most, and within [0, 1]."""
    if difficulty is not None and iou is not None:
        raise ValueError("give either difficulty or iou, not both")
    if iou is not None and not 0.0 <= iou[0] <= iou[1] <= 1.0:
        raise ValueError(f"iou must be an interval within [0, 1], found {iou}")


def changed_view(view: ViewSettings, changes: Mapping[str, Any]) -> ViewSettings:
    """Return the view with some fields changed; a field that does not exist is answered with the nearest."""
    for name in changes:
        if name not in ViewSettings.model_fields:
            raise unknown_name(
                "setting", f"views.change.{name}", (f"views.change.{one}" for one in ViewSettings.model_fields)
            )
    try:
        return ViewSettings.model_validate(view.model_dump() | dict(changes))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in ("views.change", *first["loc"]))
        problem = f"setting {name} is not valid: {first['msg'].removeprefix('Value error, ')}"
        raise ConfigError(problem, found=repr(first.get("input"))[:80] if first["loc"] else None) from error


def view_preset(name: str) -> tuple[ViewSettings, ...]:
    """Return the views of a named preset; the error for another name lists the nearest."""
    if name not in VIEW_PRESETS:
        raise unknown_name("view preset", name, VIEW_PRESETS)
    return VIEW_PRESETS[name]


_MOCO_V2 = ViewSettings(
    crop_scale=(0.2, 1.0),
    flip_p=0.5,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    hue=0.1,
    jitter_p=0.8,
    gray_p=0.2,
    blur_p=0.5,
)
_SHI2022 = _MOCO_V2.model_copy(
    update={"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.4, "gray_p": 0.5}
)
_SIMCLR = _MOCO_V2.model_copy(
    update={"crop_scale": (0.08, 1.0), "brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}
)
_DINO = _MOCO_V2.model_copy(update={"interpolation": "bicubic", "saturation": 0.2, "crop_scale": (0.14, 1.0)})
_SWAV = _SIMCLR.model_copy(update={"interpolation": "bicubic", "crop_scale": (0.14, 1.0)})

_DIGITS = ViewSettings(rotate=15.0, shift=0.12, zoom=(0.85, 1.15), brightness=0.4)


def _multi_crop(
    base: ViewSettings, *, large: Interval, small: Interval, small_size: int, asymmetric: bool
) -> tuple[ViewSettings, ...]:
    # DINO blurs the first global view always, the second rarely and solarizes it; SwAV treats all views alike.
    first = {"crop_scale": large} | ({"blur_p": 1.0} if asymmetric else {})
    second = {"crop_scale": large} | ({"blur_p": 0.1, "solarize_p": 0.2} if asymmetric else {})
    local = base.model_copy(update={"crop_scale": small, "size": small_size})
    return (base.model_copy(update=first), base.model_copy(update=second)) + (local,) * 6


VIEW_PRESETS: Mapping[str, tuple[ViewSettings, ...]] = MappingProxyType(
    {
        "moco_v2": (_MOCO_V2,) * 2,
        # A blur of up to two pixels wipes out a 32 px image, so the small-image recipes leave it out.
        "moco_v2_32": (_MOCO_V2.model_copy(update={"blur_p": 0.0}),) * 2,
        "shi2022": (_SHI2022,) * 2,
        "shi2022_patches": (_SHI2022.model_copy(update={"patch_sizes": (0, 14, 28, 56)}),) * 2,
        "simclr": (_SIMCLR,) * 2,
        # SEED's small patches beside one whole view, which is cropped a little smaller than without them.
        "seed_small_patches": (_MOCO_V2.model_copy(update={"crop_scale": (0.14, 1.0)}),)
        + (_MOCO_V2.model_copy(update={"crop_scale": (0.05, 0.14), "size": 96}),) * 6,
        "dino_multi_crop": _multi_crop(_DINO, large=(0.14, 1.0), small=(0.05, 0.14), small_size=96, asymmetric=True),
        "sslight_dino": _multi_crop(_DINO, large=(0.3, 1.0), small=(0.05, 0.3), small_size=128, asymmetric=True),
        "swav_multi_crop": _multi_crop(_SWAV, large=(0.14, 1.0), small=(0.05, 0.14), small_size=96, asymmetric=False),
        "sslight_swav": _multi_crop(_SWAV, large=(0.3, 1.0), small=(0.05, 0.3), small_size=128, asymmetric=False),
        "crop_flip": (ViewSettings(crop_scale=(0.08, 1.0), flip_p=0.5),),
        # Digits have a side and no colour: they are moved, turned and scaled a little, never flipped.
        "digits": (_DIGITS,) * 2,
        # Half a digit often still is that digit; a tenth of one is a stroke.
        "digits_multi_crop": (_DIGITS.model_copy(update={"crop_scale": (0.6, 1.0)}),) * 2
        + (_DIGITS.model_copy(update={"crop_scale": (0.3, 0.6), "size": 112}),) * 4,
    }
)
