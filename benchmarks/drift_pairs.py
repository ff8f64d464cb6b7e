"""How often the verdict on drift is right, on pairs whose kind follows from how the second encoder was made.

python -m benchmarks.drift_pairs --planted FOLDER --exported FOLDER --resnet resnet20.th --data imagefolder:cifar10
(--write puts the table into docs/results/exported.md; --fresh counts encoders, rows and draws that no threshold saw)

The planted encoders' vectors are those of benchmarks.planted_encoders, the exported ones those of benchmarks.exported.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import repdiag
from benchmarks.exported import DOCUMENT, graph_path
from repdiag.checkpoints.encoder import Encoder
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.files import write_text
from repdiag.diagnosis.drift.measure import measure_drift
from repdiag.diagnosis.drift.verdict import CHANGED, SAME_CLASSES, SAME_NEIGHBOURHOODS, SAME_SPACE, judge_drift
from repdiag.embeddings.fed_images import as_fed
from repdiag.workflows.convert import calibration_images
from repdiag.workflows.drift import read_pair
from repdiag.workflows.options import AnalysisOptions

BEGIN, END = "<!-- pairs: begin -->", "<!-- pairs: end -->"
FRESH_BEGIN, FRESH_END = "<!-- fresh: begin -->", "<!-- fresh: end -->"
FRESH_SEED = 1
ROWS = 1000
LADDER = ("labels-fashion-cnn-0", "labels-fashion-resnet-0", "labels-fashion-vit-0", "simclr-fashion-cnn-0",
          "labels-digits-cnn-0", "labels-cifar-cnn-0")  # fmt: skip
TWO_SEEDS = (("labels-fashion-cnn-0", "labels-fashion-cnn-1"), ("labels-fashion-cnn-0", "labels-fashion-cnn-2"),
             ("labels-fashion-cnn-1", "labels-fashion-cnn-2"), ("labels-fashion-resnet-0", "labels-fashion-resnet-1"),
             ("labels-fashion-vit-0", "labels-fashion-vit-1"), ("simclr-fashion-cnn-0", "simclr-fashion-cnn-1"),
             ("simclr-fashion-cnn-0", "simclr-fashion-cnn-2"), ("labels-digits-cnn-0", "labels-digits-cnn-1"),
             ("labels-cifar-cnn-0", "labels-cifar-cnn-1"))  # fmt: skip
UNTRAINED = (("labels-fashion-cnn-0", "untrained-cnn"), ("labels-fashion-resnet-0", "untrained-resnet"),
             ("labels-fashion-vit-0", "untrained-vit"), ("labels-fashion-cnn-0", "pretext-fashion-200"))  # fmt: skip

FRESH = ("labels-fashion-cnn-2", "labels-fashion-resnet-1", "labels-fashion-vit-1", "labels-cifar-resnet-0",
         "simclr-cifar-cnn-0", "simclr-fashion-resnet-0", "swav-fashion-cnn-0", "dino-fashion-cnn-0",
         "pretext-fashion-1000", "merged-fashion-cnn-5")  # fmt: skip
FORMS = (("float32", SAME_SPACE), ("float16", SAME_SPACE), ("int8", SAME_CLASSES), ("int8 per tensor", SAME_CLASSES))


@dataclass(frozen=True)
class Pair:
    """Two encoders of the same rows, and what is true of them."""

    how: str
    name: str
    truth: str
    old: EmbeddingSet
    new: EmbeddingSet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planted", type=Path, required=True)
    parser.add_argument("--exported", type=Path, required=True)
    parser.add_argument("--resnet", type=Path, nargs="*", default=[], help="CIFAR-10 ResNets, fed wrongly, trained on")
    parser.add_argument("--data", help="its images, such as imagefolder:PATH")
    parser.add_argument("--fresh", action="store_true", help="other encoders, rows and draws")
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    judged = []
    for pair in fresh_pairs(asked) if asked.fresh else all_pairs(asked):
        judged.append(judge(pair))
        print(judged[-1].line, flush=True)
    right = sum(one.is_right for one in judged)
    worst = min((one.kept for one in judged if one.verdict == SAME_SPACE), default=1.0)
    said = (
        f'{right} of {len(judged)} pairs right ({100 * right / len(judged):.1f} %); where "same space" was said, the '
        f"nearest row was kept for {100 * worst:.1f} % of the rows or more."
    )
    print(said)
    if asked.write:
        write(said, judged, fresh=asked.fresh)


@dataclass(frozen=True)
class Judged:
    """A pair, what drift said of it, and its row of the table."""

    pair: Pair
    verdict: str
    kept: float
    line: str

    @property
    def is_right(self) -> bool:
        """Whether the verdict is the pair's kind."""
        return self.verdict == self.pair.truth


def judge(pair: Pair) -> Judged:
    numbers = measure_drift(pair.old, pair.new, intervals=False)
    verdict = judge_drift(numbers).verdict
    kept, ten = (numbers.value("neighbors_kept", k=k) or 0.0 for k in (1, 10))
    assert numbers.classes is not None
    mark = "right" if verdict == pair.truth else f"**{verdict}**"
    shown = f"{100 * numbers.classes.old:.1f} -> {100 * numbers.classes.new:.1f} %"
    line = f"| {pair.how} | {pair.name} | {100 * kept:.1f} % | {100 * ten:.1f} % | {shown} | {pair.truth} | {mark} |"
    return Judged(pair, verdict, kept, line)


def write(said: str, judged: list[Judged], *, fresh: bool) -> None:
    """Write the count and the table into the document; of fresh pairs a row a kind, and each that is wrong."""
    head = [
        "| pair | encoder | nearest kept | ten kept | precision at 1 | kind | verdict |",
        "|---|---|---|---|---|---|---|",
    ]
    lines = [said, "", *head, *(one.line for one in judged)]
    if fresh:
        kinds = {one.pair.how: [other for other in judged if other.pair.how == one.pair.how] for one in judged}
        counts = [
            f"| {how} | {ones[0].pair.truth} | {len(ones)} | {sum(one.is_right for one in ones)} |"
            for how, ones in kinds.items()
        ]
        wrong = [one.line for one in judged if not one.is_right]
        lines = [
            said,
            "",
            "| pair | kind | pairs | right |",
            "|---|---|---|---|",
            *counts,
            "",
            "Wrong:",
            "",
            *head,
            *wrong,
        ]
    begin, end = (FRESH_BEGIN, FRESH_END) if fresh else (BEGIN, END)
    text = DOCUMENT.read_text("utf-8")
    start, stop = text.index(begin) + len(begin), text.index(end)
    write_text(DOCUMENT, text[:start] + "\n" + "\n".join(lines) + "\n" + text[stop:])


def all_pairs(asked: argparse.Namespace) -> Iterator[Pair]:
    whole = {path.name.removesuffix(".torch.npz"): vectors(path) for path in asked.exported.glob("*.torch.npz")}
    trained = {name: found for name, found in whole.items() if "untrained" not in name}
    for name in LADDER:
        trained[name] = vectors(asked.planted / f"{name}.npz")
    for name, old in trained.items():
        yield from made_of(name, old)
    for how, truth, names in (("another seed", SAME_CLASSES, TWO_SEEDS), ("without its training", CHANGED, UNTRAINED)):
        for first, second in names:
            sides = [vectors(asked.planted / f"{name}.npz") for name in (first, second)]
            yield Pair(how, f"{first}, {second}", truth, *sides)
    for name in (name for name in whole if name in trained):
        for form, truth in FORMS:
            yield Pair(f"ONNX, {form}", name, truth, whole[name], vectors(asked.exported / f"{name}.{form}.npz"))
    for path in asked.resnet:
        yield from of_resnet(path, asked.data)


def fresh_pairs(asked: argparse.Namespace) -> Iterator[Pair]:
    """Yield pairs of the same kinds, of encoders, rows and draws that were not looked at when thresholds were set."""
    for name in FRESH:
        yield from made_of(name, vectors(asked.planted / f"{name}.npz", first=ROWS), seed=FRESH_SEED)
    for how, truth, names in (("another seed", SAME_CLASSES, TWO_SEEDS), ("without its training", CHANGED, UNTRAINED)):
        for first, second in (pair for pair in names if "digits" not in pair[0]):  # which has no thousand rows more
            sides = [vectors(asked.planted / f"{name}.npz", first=ROWS) for name in (first, second)]
            yield Pair(how, f"{first}, {second}", truth, *sides)
    options = AnalysisOptions(data=asked.data, per_class=100, cache=False, seed=FRESH_SEED)
    for path in asked.resnet:
        yield from of_resnet(path, asked.data, seed=FRESH_SEED)
        whole = repdiag.load_encoder(path)
        for form, truth in FORMS:
            made = graph_path(asked.exported, whole.info.name, form)
            old, new = read_pair({"old": whole, "new": made}, options)[0].values()
            yield Pair(f"ONNX, {form}", whole.info.name, truth, old, new)


def vectors(path: Path, *, first: int = 0) -> EmbeddingSet:
    """Return a thousand rows of a stored set from the first on, in the order of their file."""
    held, rows = np.load(path), slice(first, first + ROWS)
    return EmbeddingSet(
        features=held["features"][rows].astype(np.float32),
        labels=held["labels"][rows],
        row_ids=held["row_ids"][rows].astype(str),
    )


def made_of(name: str, old: EmbeddingSet, *, seed: int = 0) -> Iterator[Pair]:
    """Yield an encoder with itself: with noise of known size, turned, widened, its rows exchanged."""
    rows, dims = old.features.shape
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(rows, dims, generator=generator) * old.features.std(dim=0)
    turn = torch.linalg.qr(torch.randn(dims, dims, generator=generator)).Q
    wide = torch.linalg.qr(torch.randn(dims + 16, dims + 16, generator=generator)).Q[:dims]
    changes: list[tuple[str, str, Tensor]] = [
        ("noise of .0001 sd", SAME_SPACE, old.features + 1e-4 * noise),
        ("twice as long", SAME_SPACE, 2.0 * old.features),
        ("a rotation", SAME_NEIGHBOURHOODS, old.features @ turn),
        ("16 dimensions more, turned", SAME_NEIGHBOURHOODS, old.features @ wide),
        ("noise of .2 sd", SAME_CLASSES, old.features + 0.2 * noise),
        ("noise of 3 sd", CHANGED, old.features + 3.0 * noise),
        ("rows exchanged", CHANGED, old.features[torch.randperm(rows, generator=generator)]),
    ]
    for how, truth, features in changes:
        yield Pair(how, name, truth, old, replace(old, features=features))


def of_resnet(path: Path, data: str, *, seed: int = 0) -> Iterator[Pair]:
    """Yield a ResNet with itself fed wrongly, on another crop, and after one epoch more."""
    options = AnalysisOptions(data=data, per_class=100, cache=False, seed=seed)

    def run(encoder: Encoder) -> EmbeddingSet:
        return next(iter(read_pair({"old": encoder}, options)[0].values()))

    plain = repdiag.load_encoder(path)
    old, name = run(plain), plain.info.name
    fed = {
        ("wrong normalisation, std 1", CHANGED): {"std": (1.0, 1.0, 1.0)},
        ("wrong normalisation, none", CHANGED): {"mean": (0.0,) * 3, "std": (1.0,) * 3},
    }
    for (how, truth), changes in fed.items():
        other = repdiag.load_encoder(path)
        other.info = replace(other.info, **changes)
        yield Pair(how, name, truth, old, run(other))
    yield from framed(plain, options)
    yield Pair("trained on, 256 images more", name, SAME_CLASSES, old, run(one_epoch_more(path, options)))


@torch.inference_mode()
def framed(encoder: Encoder, options: AnalysisOptions) -> Iterator[Pair]:
    """Yield the encoder on images as they are, on their middles, and on middles that another rule made larger."""
    from repdiag.data.datasets import open_dataset

    assert options.data is not None
    split = open_dataset(options.data, "val").limited(ROWS, seed=options.seed)
    images, name, side = as_fed(encoder, split, seed=0), encoder.info.name, encoder.info.image_size

    def seen(inputs: Tensor) -> EmbeddingSet:
        features = torch.cat([encoder(part) for part in torch.split(inputs, 100)])
        return EmbeddingSet(features=features, labels=split.labels, row_ids=split.row_ids)

    def middle(cut: int, mode: str) -> EmbeddingSet:
        inner = images[:, :, cut : side - cut, cut : side - cut]
        larger = nn.functional.interpolate(inner, size=(side, side), mode=mode, align_corners=False)
        return seen(larger)

    whole, bilinear = seen(images), middle(2, "bilinear")
    yield Pair(
        f"another crop, the middle {side - 2} of {side} pixels", name, SAME_CLASSES, whole, middle(1, "bilinear")
    )
    yield Pair(f"another crop, the middle {side - 4} of {side} pixels", name, SAME_CLASSES, whole, bilinear)
    yield Pair("another interpolation, bicubic", name, SAME_CLASSES, bilinear, middle(2, "bicubic"))


def one_epoch_more(path: Path, options: AnalysisOptions) -> Encoder:
    """Return the encoder after one pass over some images of train, at a small rate, by cross-entropy."""
    from repdiag.data.datasets import open_dataset

    encoder = repdiag.load_encoder(path)
    assert encoder.classifier is not None
    assert options.data is not None
    network = nn.Sequential(encoder.backbone, encoder.classifier).requires_grad_(True)
    images = calibration_images(encoder, options)
    labels = torch.from_numpy(open_dataset(options.data, "train").limited(len(images), seed=options.seed).labels)
    descent = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)
    for part in torch.split(torch.randperm(len(images), generator=torch.Generator().manual_seed(0)), 32):
        loss = nn.functional.cross_entropy(network(images[part]), labels[part])
        descent.zero_grad()
        loss.backward()
        descent.step()
    return encoder.requires_grad_(False)


if __name__ == "__main__":
    main()
