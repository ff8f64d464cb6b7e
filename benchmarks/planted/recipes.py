"""The planted encoders: how each is trained and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

# Fashion-MNIST in five: tops, trousers, dresses, shoes, bags; and in two: what is worn on the body, and the rest.
MERGED = {
    ("fashion", 5): (0, 1, 0, 2, 0, 3, 0, 3, 4, 3),
    ("fashion", 2): (0, 0, 0, 0, 0, 1, 0, 1, 1, 1),
    ("cifar", 2): (0, 0, 1, 1, 1, 1, 1, 1, 0, 0),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One encoder: images, backbone, method, and the fault with its strength.

    `sibling` names the healthy encoder that differs in the fault alone; `only` keeps the first images of the train
    set; `targets` are what labels teach ("classes", "pixels:4" for sub-labels by k-means of the pixels within each
    class, "marks:4" for class and painted square, "merged:5"); `scaling` is how images are normalised when the encoder
    is read ("own", "unit" for mean and std of ImageNet's order left out, "half" for mean .5 and std .5).
    """

    name: str
    kind: str
    strength: float = 0.0
    data: str = "fashion"
    backbone: str = "cnn"
    method: str = "labels"
    seed: int = 0
    epochs: int = 4
    lr: float = 3e-3
    only: int = 10_000
    targets: str = "classes"
    temperature: float = 0.5
    augment: bool = True
    bottleneck: int = 0
    scaling: str = "own"
    weights_of: str = ""
    sibling: str = ""
    cone: float = 0.0
    lot: int = 0

    @property
    def marks(self) -> int:
        """Return how many colours of squares are painted onto the images, 0 for none."""
        return int(self.targets.partition(":")[2]) if self.targets.startswith("marks:") else 0


_METHODS = {
    "labels": {"method": "labels", "epochs": 4, "lr": 3e-3},
    "simclr": {"method": "simclr", "epochs": 5, "lr": 2e-3, "only": 8000},
    "swav": {"method": "swav", "epochs": 5, "lr": 2e-3, "only": 8000, "temperature": 0.1},
    "dino": {"method": "dino", "epochs": 5, "lr": 1e-3, "only": 8000, "temperature": 0.1},
}
_HEALTHY = (
    ("fashion", "cnn", "labels", 3),
    ("fashion", "resnet", "labels", 2),
    ("fashion", "vit", "labels", 2),
    ("fashion", "cnn", "simclr", 3),
    ("fashion", "resnet", "simclr", 1),
    ("fashion", "cnn", "swav", 1),
    ("fashion", "cnn", "dino", 1),
    ("cifar", "cnn", "labels", 2),
    ("cifar", "resnet", "labels", 1),
    ("cifar", "cnn", "simclr", 1),
    ("digits", "cnn", "labels", 2),
    ("digits", "cnn", "simclr", 1),
)


def recipes(*, lot: int = 0) -> list[Recipe]:
    """Return every planted encoder of a lot, those first whose weights others take; names are unique in a lot."""
    ways = (_healthy, _memorised, _by_labels, _collapsed, _by_views, _read_wrongly)
    found = [replace(recipe, lot=lot) for way in ways for recipe in way()]
    return [*(one for one in found if not _slow(one)), *filter(_slow, found)]


def _healthy() -> Iterator[Recipe]:
    for data, backbone, method, seeds in _HEALTHY:
        for seed in range(seeds):
            settings = dict(_METHODS[method])
            if data == "digits":
                settings |= {"epochs": 20, "only": 1000}
            if data == "cifar":
                settings |= {"epochs": 8 if backbone == "resnet" else 12 if method == "labels" else 6, "only": 6000}
            sibling = _named(data, backbone, method, 0) if seed else ""
            name = _named(data, backbone, method, seed)
            yield Recipe(
                name=name, kind="healthy", data=data, backbone=backbone, seed=seed, sibling=sibling, **settings
            )  # type: ignore[arg-type]


def _by_labels() -> Iterator[Recipe]:
    for backbone, numbers in (("cnn", (2, 4, 8)), ("resnet", (4,))):
        sibling = _named("fashion", backbone, "labels", 0)
        for parts in numbers:
            yield Recipe(
                name=f"finer-pixels-{backbone}-{parts}",
                kind="finer labels (overlapping)",
                strength=parts,
                backbone=backbone,
                targets=f"pixels:{parts}",
                sibling=sibling,
            )
    for backbone, numbers in (("cnn", (2, 4, 8)), ("vit", (4,))):
        for parts in numbers:
            yield Recipe(
                name=f"finer-marks-{backbone}-{parts}",
                kind="finer labels (apart)",
                strength=parts,
                backbone=backbone,
                targets=f"marks:{parts}",
            )
    for data, backbone, left in (
        ("fashion", "cnn", 5),
        ("fashion", "cnn", 2),
        ("fashion", "vit", 5),
        ("cifar", "cnn", 2),
    ):
        yield Recipe(
            name=f"merged-{data}-{backbone}-{left}",
            kind="merged labels",
            strength=left,
            data=data,
            backbone=backbone,
            targets=f"merged:{left}",
            epochs=12 if data == "cifar" else 3,
            sibling=_named(data, backbone, "labels", 0),
        )


def _memorised() -> Iterator[Recipe]:
    for data, backbone, numbers in (
        ("fashion", "cnn", (100, 500, 2000)),
        ("cifar", "cnn", (500, 2000)),
        ("fashion", "vit", (500,)),
    ):
        for images in numbers:
            yield Recipe(
                name=f"memorised-{data}-{backbone}-{images}",
                kind="memorised labels",
                strength=images,
                data=data,
                backbone=backbone,
                only=images,
                epochs=max(8, 12_000 // images),
                augment=False,
                sibling=_named(data, backbone, "labels", 0),
            )


def _by_views() -> Iterator[Recipe]:
    for data, images in (("fashion", 200), ("fashion", 500), ("fashion", 1000), ("cifar", 500)):
        yield Recipe(
            name=f"pretext-{data}-{images}",
            kind="pretext overfitted",
            strength=images,
            data=data,
            method="simclr",
            only=images,
            epochs=24_000 // images,
            lr=2e-3,
            temperature=0.1,
            sibling=_named(data, "cnn", "simclr", 0),
        )
    for data, temperature in (("fashion", 0.05), ("fashion", 0.02), ("cifar", 0.02)):
        yield Recipe(
            name=f"cold-{data}-{temperature:g}",
            kind="cold temperature",
            strength=temperature,
            data=data,
            method="simclr",
            epochs=5 if data == "fashion" else 6,
            lr=2e-3,
            only=8000 if data == "fashion" else 6000,
            temperature=temperature,
            sibling=_named(data, "cnn", "simclr", 0),
        )
    yield Recipe(
        name="hot-fashion-cnn",
        kind="hot learning rate",
        strength=0.3,
        method="simclr",
        epochs=5,
        lr=0.3,
        only=8000,
        sibling=_named("fashion", "cnn", "simclr", 0),
    )


def _collapsed() -> Iterator[Recipe]:
    for backbone in ("cnn", "vit"):
        yield Recipe(
            name=f"collapsed-complete-{backbone}",
            kind="complete collapse",
            backbone=backbone,
            method="align",
            epochs=2,
            only=4000,
        )
    for left in (2, 4):
        yield Recipe(
            name=f"collapsed-dimensions-{left}", kind="dimensional collapse", strength=left, epochs=2, bottleneck=left
        )
    for data, method in (("fashion", "simclr"), ("cifar", "labels")):
        healthy = _named(data, "cnn", method, 0)
        yield Recipe(
            name=f"collapsed-cone-{data}",
            kind="cone collapse",
            strength=10.0,
            data=data,
            weights_of=healthy,
            sibling=healthy,
            cone=10.0,
        )
    for backbone in ("cnn", "resnet", "vit"):
        yield Recipe(name=f"untrained-{backbone}", kind="untrained", backbone=backbone, epochs=0)


def _read_wrongly() -> Iterator[Recipe]:
    for data, backbone, method in (
        ("fashion", "cnn", "labels"),
        ("fashion", "resnet", "simclr"),
        ("fashion", "vit", "labels"),
        ("cifar", "cnn", "labels"),
        ("cifar", "resnet", "labels"),
    ):
        healthy = _named(data, backbone, method, 0)
        for scaling in ("unit", "half"):
            yield Recipe(
                name=f"scaled-{data}-{backbone}-{scaling}",
                kind="wrong normalisation",
                strength={"unit": 1.0, "half": 0.5}[scaling],
                data=data,
                backbone=backbone,
                method=method,
                scaling=scaling,
                weights_of=healthy,
                sibling=healthy,
            )


def _named(data: str, backbone: str, method: str, seed: int) -> str:
    return f"{method}-{data}-{backbone}-{seed}"


def _slow(recipe: Recipe) -> bool:
    return recipe.method not in ("labels", "align") and recipe.data != "fashion"


def takes_minutes(recipe: Recipe) -> bool:
    """Say whether the recipe, or the one whose weights it takes, trains a residual network for minutes."""
    return "resnet" in recipe.name and ("cifar" in recipe.name or recipe.method == "simclr")
