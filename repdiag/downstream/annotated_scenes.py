"""`coco:FOLDER` and `voc:FOLDER`: images with boxes and masks in the two layouts that most tools write."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from repdiag.core.errors import DataError
from repdiag.data.counter_rng import permutation
from repdiag.data.decode import UnreadableImage, decode
from repdiag.downstream.scenes import Scenes

Box = tuple[float, float, float, float]
_MOST_ENTITIES = b"<!ENTITY"  # a bomb of nested entities begins so, and no annotation does


@dataclass(frozen=True, kw_only=True)
class _Object:
    """One object: its box as x0, y0, x1, y1, label from 1, whether it counts for nobody, and how its mask is drawn."""

    box: Box
    label: int
    ignored: bool
    mask: Callable[[int, int], NDArray[np.uint8]] | None


@dataclass(frozen=True, kw_only=True)
class _Annotated:
    path: Path
    objects: tuple[_Object, ...]


class _Images(Sequence[Tensor]):
    """Images that are read when they are asked for: uint8 [3, H, W]."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, row: Any) -> Any:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        path = self.files[row]
        try:
            return decode(path.read_bytes())
        except (OSError, UnreadableImage) as error:
            raise DataError(f"{path} cannot be read", found=str(error), hint="mend it, or take it out") from error


class _Targets(Sequence[Mapping[str, Tensor]]):
    """The objects of each image as tensors; masks are drawn when they are asked for."""

    def __init__(self, found: Sequence[_Annotated], *, masks: bool) -> None:
        self.found, self.masks = found, masks

    def __len__(self) -> int:
        return len(self.found)

    def __getitem__(self, row: Any) -> Any:
        objects = self.found[row].objects
        made = {
            "boxes": torch.tensor([one.box for one in objects], dtype=torch.float32).reshape(-1, 4),
            "labels": torch.tensor([one.label for one in objects], dtype=torch.int64),
            "crowd": torch.tensor([one.ignored for one in objects], dtype=torch.bool),
        }
        if self.masks:
            with Image.open(self.found[row].path) as image:
                width, height = image.size
            drawn = [one.mask(height, width) for one in objects if one.mask is not None]
            stacked = np.stack(drawn) if drawn else np.zeros((0, height, width), dtype=np.uint8)
            made["masks"] = torch.from_numpy(stacked)
        return made


def is_annotated(spec: str) -> bool:
    """Say whether data are named as images with boxes."""
    return spec.startswith(("coco:", "voc:"))


def annotated_scenes(
    spec: str, *, train: int, test: int, masks: bool, seed: int
) -> tuple[Scenes, Scenes, tuple[str, ...]]:
    """Return at most so many train and test scenes, drawn by seed, and what was left out; raises `DataError`.

    Crowds (COCO) and difficult objects (VOC) count for nobody in test; crowds are left out of train, difficult ones
    stay, as usual. With `masks` objects without one are left out.
    """
    kind, _, folder = spec.partition(":")
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", hint=f"{kind}:FOLDER")
    read = _coco if kind == "coco" else _voc
    sides: list[Scenes] = []
    notes: list[str] = []
    known: tuple[str, ...] | None = None
    for split, most in (("train", train), ("val", test)):
        names, found = read(root, split, masks=masks)
        if known is not None and names != known:
            odd = sorted(set(names) ^ set(known))
            raise DataError("the two parts have other classes", found=", ".join(odd[:5]) or "in another order")
        known = names
        chosen = permutation(len(found), purpose="scenes", seed=seed, number=0).tolist()[:most]
        kept = [found[row] for row in sorted(chosen)]
        if len(kept) < len(found):
            notes.append(f"{split}: {len(kept)} of {len(found)} images, drawn by seed (--set {split_setting(split)}=N)")
        objects = sum(len(one.objects) for one in kept)
        if not objects:
            raise DataError(f"{spec} has no object in {split}", found=f"{len(kept)} images")
        scenes = Scenes(
            name=spec,
            images=_Images([one.path for one in kept]),
            objects=_Targets(kept, masks=masks),
            class_names=names,
        )
        sides.append(scenes)
    return sides[0], sides[1], tuple(notes)


def split_setting(split: str) -> str:
    """Return the setting that says how many images of a split are taken."""
    return "train_images" if split == "train" else "test_images"


def _coco(root: Path, split: str, *, masks: bool) -> tuple[tuple[str, ...], list[_Annotated]]:
    file = _one_of(root, [f"annotations/instances_{split}*.json", f"annotations/*{split}*.json", f"{split}*.json"])
    try:
        content = json.loads(file.read_bytes())
        categories = sorted(content["categories"], key=lambda one: int(one["id"]))
        images = {int(one["id"]): str(one["file_name"]) for one in content["images"]}
        by_image: dict[int, list[Any]] = {number: [] for number in images}
        for one in content["annotations"]:
            by_image[int(one["image_id"])].append(one)
        labels = {int(one["id"]): place for place, one in enumerate(categories, start=1)}
        names = tuple(str(one["name"]) for one in categories)
        found = [
            _Annotated(
                path=_image(root, split, images[number]),
                objects=tuple(_coco_objects(of_image, labels, split=split, masks=masks)),
            )
            for number, of_image in by_image.items()
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"{type(error).__name__}: {str(error)[:120]}"
        raise DataError(f"{file} is no annotation in COCO's layout", found=said) from error
    return names, sorted(found, key=lambda one: str(one.path))


def _coco_objects(found: Sequence[Any], labels: Mapping[int, int], *, split: str, masks: bool) -> Iterator[_Object]:
    for one in found:
        crowd = bool(one.get("iscrowd", 0))
        left, top, width, height = (float(value) for value in one["bbox"])
        shape = one.get("segmentation")
        if width <= 0 or height <= 0 or (crowd and split == "train") or (masks and not shape):
            continue
        yield _Object(
            box=(left, top, left + width, top + height),
            label=labels[int(one["category_id"])],
            ignored=crowd,
            mask=partial(coco_mask, shape) if masks else None,
        )


def coco_mask(shape: Any, height: int, width: int) -> NDArray[np.uint8]:
    """Return a mask [H, W] of polygons [[x, y, x, y, ...], ...], or of counts of runs down the columns.

    Example:
        >>> coco_mask({"size": [2, 2], "counts": [1, 2, 1]}, 2, 2).tolist()
        [[0, 1], [1, 0]]
    """
    if isinstance(shape, dict):
        counts = shape["counts"]
        if not isinstance(counts, list):
            raise DataError("compressed masks are not read", hint="write counts as a list of numbers, or as polygons")
        runs = np.repeat(np.arange(len(counts)) % 2, counts).astype(np.uint8)
        found: NDArray[np.uint8] = runs.reshape((width, height)).T.copy()
        return found
    drawn = np.zeros((height, width), dtype=np.uint8)
    for polygon in shape:
        _fill(drawn, np.asarray(polygon, dtype=np.float64).reshape(-1, 2))
    return drawn


def _fill(mask: NDArray[np.uint8], corners: NDArray[np.float64]) -> None:
    """Set the pixels whose middle lies within the polygon of corners x, y; crossings cut it into pairs (even-odd)."""
    height, width = mask.shape
    ends = np.roll(corners, -1, axis=0)
    low, high = corners[:, 1].min(), corners[:, 1].max()
    for row in range(max(0, math.ceil(low - 0.5)), min(height, math.floor(high - 0.5) + 1)):
        y = row + 0.5
        crossed = (corners[:, 1] <= y) != (ends[:, 1] <= y)
        (x0, y0), (x1, y1) = corners[crossed].T, ends[crossed].T
        middles = np.sort(x0 + (y - y0) * (x1 - x0) / (y1 - y0)) - 0.5
        places = np.clip(np.ceil(middles), 0, width).astype(int)
        for left, right in zip(places[::2], places[1::2], strict=True):
            mask[row, left:right] = 1


def _voc(root: Path, split: str, *, masks: bool) -> tuple[tuple[str, ...], list[_Annotated]]:
    years = [folder for folder in (root, *sorted(root.glob("VOC2*"))) if (folder / "Annotations").is_dir()]
    if not years:
        raise DataError(f"{root} has no folder Annotations", hint="voc:VOCdevkit, or voc:VOCdevkit/VOC2007")
    lists = ("trainval", "train") if split == "train" else ("test", "val")
    kind = "Segmentation" if masks else "Main"
    found: list[tuple[Path, Any]] = []
    for year in years:
        listed = next((file for name in lists if (file := year / "ImageSets" / kind / f"{name}.txt").is_file()), None)
        for name in [] if listed is None else listed.read_text("utf-8").split("\n"):
            if name.strip():
                word = name.split()[0]
                found.append((year / "JPEGImages" / f"{word}.jpg", _xml(year / "Annotations" / f"{word}.xml")))
    if not found:
        raise DataError(f"{root} lists no images for {split}", hint=f"ImageSets/{kind}/{lists[0]}.txt")
    everywhere = {text for year in years for text in _voc_classes(year)}
    names = tuple(sorted(everywhere))
    return names, [
        _Annotated(path=path, objects=tuple(_voc_objects(path, content, names, split=split, masks=masks)))
        for path, content in found
    ]


def _voc_classes(year: Path) -> set[str]:
    """Return the classes of all annotations of a year, so that both parts number them alike."""
    files = sorted((year / "Annotations").glob("*.xml"))
    return {text for file in files for one in _xml(file).iter("object") if (text := one.findtext("name"))}


def _xml(file: Path) -> Any:
    try:
        text = file.read_bytes()
        if _MOST_ENTITIES in text:
            raise DataError(f"{file} defines entities, which no annotation needs", hint="it is not read")
        return Xml.fromstring(text)
    except (OSError, Xml.ParseError) as error:
        raise DataError(f"{file} is no annotation in VOC's layout", found=str(error)) from error


def _voc_objects(path: Path, content: Any, names: Sequence[str], *, split: str, masks: bool) -> Iterator[_Object]:
    drawn = path.parent.parent / "SegmentationObject" / f"{path.stem}.png"
    for place, one in enumerate(content.iter("object"), start=1):
        ends = [float(one.findtext(f"bndbox/{name}") or "nan") for name in ("xmin", "ymin", "xmax", "ymax")]
        if not all(np.isfinite(ends)) or ends[2] < ends[0] or ends[3] < ends[1]:
            raise DataError(f"the annotation of {path} has a box that is none", found=str(ends))
        # Pixels are counted from 1, and the last one is part of the box.
        box = (ends[0] - 1.0, ends[1] - 1.0, ends[2], ends[3])
        difficult = split != "train" and (one.findtext("difficult") or "0").strip() == "1"
        yield _Object(
            box=box,
            label=names.index(str(one.findtext("name"))) + 1,
            ignored=difficult,
            mask=partial(_voc_mask, drawn, number=place) if masks else None,
        )


def _voc_mask(file: Path, height: int, width: int, *, number: int) -> NDArray[np.uint8]:
    try:
        with Image.open(file) as image:
            found = np.asarray(image)
    except OSError as error:
        raise DataError(f"{file} cannot be read", found=str(error)) from error
    if found.shape != (height, width):
        raise DataError(f"{file} is of another size than its image", found=f"{found.shape}, {(height, width)}")
    return np.asarray(found == number, dtype=np.uint8)


def _one_of(root: Path, patterns: Sequence[str]) -> Path:
    for pattern in patterns:
        found = sorted(root.glob(pattern))
        if len(found) > 1:
            shown = ", ".join(file.name for file in found[:4])
            raise DataError(f"{root} has several annotations for one part", found=shown, hint="keep one of them there")
        if found:
            return found[0]
    raise DataError(f"{root} has no annotations", found=f"nothing like {patterns[0]}")


def _image(root: Path, split: str, name: str) -> Path:
    folders = [*sorted(root.glob(f"{split}*/")), root / "images", *sorted((root / "images").glob(f"{split}*/")), root]
    for folder in folders:
        path = (folder / name).resolve()
        if path.is_file() and path.is_relative_to(root.resolve()):
            return path
    raise DataError(f"{root} lacks an image that is annotated", found=name[:120], hint="unpack the images beside it")
