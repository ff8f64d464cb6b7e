"""Checkpoints of torchvision's reference scripts: `model` beside a scheduler, sometimes `model_ema`."""

from dataclasses import replace

from repdiag.checkpoints.discover import is_known_network
from repdiag.checkpoints.facts import Origin, recorded
from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing
from repdiag.checkpoints.reading.contents import Contents
from repdiag.checkpoints.reading.stand_ins import settings_of

_LARGEST_SIDE = 4096
_OWN_ARGUMENTS = {"val_crop_size", "cache_dataset", "test_only"}


def _is_its_own(file: Contents) -> bool:
    """Say whether the arguments are of torchvision's scripts, and not of somebody's with the same keys."""
    return bool(_OWN_ARGUMENTS & set(settings_of(file.setting("args"))))


def _preprocessing(file: Contents) -> Preprocessing:
    """Return the evaluation's input from the script's arguments, else its defaults."""
    found = Preprocessing(usual_size=224, resize=256)
    if not _is_its_own(file):
        found = replace(found, origin=Origin("assumed", "torchvision's scripts; others save files like this too"))
    crop, resize = (file.setting("args", name) for name in ("val_crop_size", "val_resize_size"))
    if isinstance(crop, int) and 0 < crop <= _LARGEST_SIDE:
        found = replace(found, image_size=crop, usual_size=None, origins={"image_size": recorded("args.val_crop_size")})
        resize = resize if isinstance(resize, int) and crop <= resize <= _LARGEST_SIDE else None
        found = replace(found, resize=resize, origins={**found.origins, "resize": recorded("args.val_resize_size")})
    if (interpolation := file.setting("args", "interpolation")) in ("bilinear", "bicubic"):
        origins = {**found.origins, "interpolation": recorded("args.interpolation")}
        found = replace(found, interpolation=str(interpolation), origins=origins)
    return found


FORMAT = Format(
    name="torchvision",
    reads=("args: model, val_crop_size, val_resize_size, interpolation",),
    title="torchvision's reference scripts",
    tried="torchvision 0.29",
    recognise=lambda file: (
        file.has_keys("model", "lr_scheduler", "args")
        and bool(file.state("model"))
        and file.setting("args", "input_size") is None  # that one is DeiT's
        and (_is_its_own(file) or is_known_network(file.state("model") or {}))
    ),
    branches=(Branch(name="online", place="model"), Branch(name="ema", place="model_ema")),
    heads=("fc.", "head.", "heads.", "classifier.", "n_averaged"),
    preprocessing=_preprocessing,
    arch=lambda file: file.setting("args", "model"),
)
