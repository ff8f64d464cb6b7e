"""Images with boxes and masks in COCO's and VOC's layouts: the objects that were written are those that are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import repdiag
from repdiag.core.errors import DataError, UsageError
from repdiag.downstream.annotated_scenes import annotated_scenes, coco_mask
from repdiag.downstream.scenes import Scenes

RED, BLUE = (200, 30, 30), (30, 30, 200)
# Class, box as x0, y0, x1, y1 in pixels, the last ones not in it; the second image is wider.
DRAWN = {
    "a": [("apple", (4, 6, 20, 24)), ("berry", (30, 30, 46, 40))],
    "b": [("berry", (10, 2, 26, 30))],
    "c": [("apple", (8, 8, 40, 40))],
    "d": [("apple", (2, 30, 22, 44)), ("berry", (24, 4, 44, 24))],
}
NAMES = ("apple", "berry")
PARTS = {"train": ("a", "b"), "val": ("c", "d")}


def painted(path: Path, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((48, 64 if name == "b" else 48, 3), 120, np.uint8)
    for kind, (left, top, right, bottom) in DRAWN[name]:
        pixels[top:bottom, left:right] = RED if kind == "apple" else BLUE
    Image.fromarray(pixels).save(path, quality=98, subsampling=0)


def coco(root: Path, *, crowd: bool = False) -> str:
    """Categories have the numbers 7 and 3, in which berries come first; boxes are x, y, width, height."""
    numbers = {"apple": 7, "berry": 3}
    for split, names in PARTS.items():
        annotations: list[dict[str, Any]] = []
        for image, name in enumerate(names):
            painted(root / f"{split}2017" / f"{name}.jpg", name)
            for kind, (left, top, right, bottom) in DRAWN[name]:
                shape = [[left, top, right, top, right, bottom, left, bottom]]
                annotations.append(
                    {"image_id": image, "category_id": numbers[kind], "bbox": [left, top, right - left, bottom - top]}
                    | {"segmentation": shape, "iscrowd": int(crowd and kind == "berry")}
                )
        content = {
            "images": [{"id": image, "file_name": f"{name}.jpg"} for image, name in enumerate(names)],
            "annotations": annotations,
            "categories": [{"id": number, "name": kind} for kind, number in numbers.items()],
        }
        file = root / "annotations" / f"instances_{split}2017.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(content), "utf-8")
    return f"coco:{root}"


def voc(root: Path, *, difficult: bool = False) -> str:
    """Pixels are counted from 1 and the last one belongs to the box."""
    year = root / "VOC2007"
    for split, names in PARTS.items():
        for kind in ("Main", "Segmentation"):
            lists = year / "ImageSets" / kind
            lists.mkdir(parents=True, exist_ok=True)
            (lists / f"{'trainval' if split == 'train' else 'test'}.txt").write_text("\n".join(names) + "\n")
        for name in names:
            painted(year / "JPEGImages" / f"{name}.jpg", name)
            mask = np.zeros((48, 64 if name == "b" else 48), np.uint8)
            objects = ""
            for place, (kind, (left, top, right, bottom)) in enumerate(DRAWN[name], start=1):
                mask[top:bottom, left:right] = place
                ends = zip(("xmin", "ymin", "xmax", "ymax"), (left + 1, top + 1, right, bottom), strict=True)
                box = "".join(f"<{end}>{value}</{end}>" for end, value in ends)
                hard = int(difficult and kind == "berry")
                objects += f"<object><name>{kind}</name><difficult>{hard}</difficult><bndbox>{box}</bndbox></object>"
            for folder, content in (("Annotations", f"<annotation>{objects}</annotation>"),):
                (year / folder).mkdir(exist_ok=True)
                (year / folder / f"{name}.xml").write_text(content, "utf-8")
            (year / "SegmentationObject").mkdir(exist_ok=True)
            Image.fromarray(mask).save(year / "SegmentationObject" / f"{name}.png")
    return f"voc:{root}"


def opened(spec: str, *, masks: bool = True) -> tuple[Scenes, Scenes]:
    train, test, _ = annotated_scenes(spec, train=10, test=10, masks=masks, seed=0)
    return train, test


@pytest.mark.parametrize("layout", [coco, voc])
def test_boxes_labels_and_masks_are_those_that_were_written(layout: Any, tmp_path: Path) -> None:
    spec = layout(tmp_path)
    order = ("berry", "apple") if layout is coco else ("apple", "berry")  # COCO's by the numbers of its categories
    for scenes, names in zip(opened(spec), PARTS.values(), strict=True):
        assert scenes.class_names == order
        assert len(scenes.images) == len(scenes.objects) == len(names)
        for image, found, name in zip(scenes.images, scenes.objects, names, strict=True):
            assert [order[label - 1] for label in found["labels"].tolist()] == [kind for kind, _ in DRAWN[name]]
            assert found["boxes"].tolist() == [list(map(float, box)) for _, box in DRAWN[name]]
            assert not found["crowd"].any()
            for mask, (kind, (left, top, right, bottom)) in zip(found["masks"], DRAWN[name], strict=True):
                expected = torch.zeros_like(mask)
                expected[top:bottom, left:right] = 1
                assert torch.equal(mask, expected), kind
                colour = image[:, mask > 0].float().mean(dim=1)
                assert (colour - torch.tensor(RED if kind == "apple" else BLUE)).abs().max() < 12


@pytest.mark.parametrize(("layout", "how", "in_train"), [(coco, "crowd", 1), (voc, "difficult", 3)])
def test_what_counts_for_nobody_is_marked_in_test(layout: Any, how: str, in_train: int, tmp_path: Path) -> None:
    """Crowds are no object to learn from, difficult ones are; in test neither counts."""
    train, test = opened(layout(tmp_path, **{how: True}))
    assert sum(len(found["labels"]) for found in train.objects) == in_train
    assert [found["crowd"].tolist() for found in test.objects] == [[False], [False, True]]


def test_a_pixel_belongs_to_the_polygon_that_holds_its_middle() -> None:
    """The triangle below the diagonal of four pixels, and a ring: of a pixel that is cut the middle decides."""
    triangle = coco_mask([[0, 0, 4, 4, 0, 4]], 4, 5)
    rows, columns = np.mgrid[0:4, 0:5]
    inside = (columns + 0.5 < rows + 0.5) & (columns < 4)
    assert (triangle[inside] == 1).all()
    assert triangle[columns > rows].sum() == 0
    bow = coco_mask([[0, 0, 4, 0, 4, 4, 0, 4, 0, 0, 1, 1, 1, 3, 3, 3, 3, 1, 1, 1]], 4, 4)
    assert bow[1:3, 1:3].sum() == 0
    assert bow.sum() == 12


def test_runs_go_down_the_columns() -> None:
    """Three rows and two columns: two of nothing, three of the object, one of nothing."""
    assert coco_mask({"size": [3, 2], "counts": [2, 3, 1]}, 3, 2).tolist() == [[0, 1], [0, 1], [1, 0]]
    with pytest.raises(DataError, match="compressed masks"):
        coco_mask({"size": [3, 2], "counts": "abc"}, 3, 2)


@pytest.mark.parametrize(("layout", "name"), [(coco, "detection"), (voc, "segmentation")])
def test_the_protocols_run_on_them(layout: Any, name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 4, stride=4), nn.ReLU(), nn.Conv2d(8, 12, 2, stride=2), nn.ReLU()]
    encoder = repdiag.load_encoder(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), image_size=64)
    quick = {"image_size": 64, "train_images": 1, "test_images": 6, "steps": 2, "batch_size": 2}
    found = repdiag.probe(encoder, data=layout(tmp_path), protocol=name, settings=quick)
    assert found.row.dataset.startswith(("coco:", "voc:"))
    assert found.value is not None
    assert any("1 of 2 images" in note for note in found.notes)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        opened(f"coco:{tmp_path / 'nowhere'}")
    with pytest.raises(DataError, match="no annotations"):
        opened(f"coco:{tmp_path}")
    spec = coco(tmp_path)
    (tmp_path / "train2017" / "a.jpg").unlink()
    with pytest.raises(DataError, match="lacks an image"):
        opened(spec)
    (tmp_path / "annotations" / "instances_train2017.json").write_text('{"images": [{}]}')
    with pytest.raises(DataError, match="no annotation in COCO's layout"):
        opened(spec)
    other = voc(tmp_path / "voc")
    (tmp_path / "voc" / "VOC2007" / "Annotations" / "a.xml").write_text('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>')
    with pytest.raises(DataError, match="defines entities"):
        opened(other)
    with pytest.raises(UsageError, match="coco:FOLDER"):
        repdiag.probe(repdiag.load_encoder(nn.Flatten(), image_size=4), data="digits", protocol="detection")
