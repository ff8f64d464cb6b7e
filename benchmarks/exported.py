"""What an export keeps of an encoder: each form held against torch on the same images; one network a run.

python -m benchmarks.exported --network resnet20.th --data imagefolder:cifar10 --keep runs/exported
python -m benchmarks.exported --network timm:vit_tiny_patch16_224 --data imagefolder:cifar10 --keep runs/exported
python -m benchmarks.exported --write --keep runs/exported      the table of docs/results/exported.md
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

import repdiag
from repdiag.checkpoints.encoder import Encoder
from repdiag.checkpoints.exported.onnx_encoder import onnx_encoder
from repdiag.checkpoints.exported.onnx_export import Numbers, export_onnx
from repdiag.checkpoints.read_options import ReadOptions
from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.files import write_json, write_text
from repdiag.workflows.convert import calibration_images
from repdiag.workflows.drift import drift_of_sets, read_pair
from repdiag.workflows.drift_result import Drift, save_canary
from repdiag.workflows.options import AnalysisOptions

DOCUMENT = Path(__file__).parent.parent / "docs" / "results" / "exported.md"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
FORMS: tuple[Numbers, ...] = ("float32", "float16", "int8", "int8 per tensor")
ROUNDS, BATCH = 11, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", help="a checkpoint, or timm:NAME, which is drawn untrained")
    parser.add_argument("--data", help="images, such as imagefolder:PATH")
    parser.add_argument("--keep", type=Path, required=True, help="a folder for vectors and numbers")
    parser.add_argument("--per-class", type=int, default=100)
    parser.add_argument("--times", action="store_true", help="measure the times of the kept graphs again, and no more")
    parser.add_argument("--write", action="store_true", help="write the table into the document")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    asked.keep.mkdir(parents=True, exist_ok=True)
    if asked.write:
        write_table(asked.keep)
    elif asked.times:
        retime(asked.network, asked.keep)
    else:
        measure(asked.network, asked.data, asked.keep, per_class=asked.per_class)


def measure(network: str, data: str, keep: Path, *, per_class: int) -> None:
    encoder = opened(network)
    name = encoder.info.name
    options = AnalysisOptions(data=data, per_class=per_class, cache=False)
    sets, _ = read_pair({"old": encoder}, options)
    old = sets[name]
    save_canary(old, keep / f"{name}.torch.npz")
    records = []
    for form, made, size in exported(encoder, keep, options):
        (new,) = read_pair({"new": made}, options)[0].values()
        save_canary(new, keep / f"{name}.{form}.npz")
        found = drift_of_sets({name: old, form: new})
        records.append(record(name, form, found, old=old, new=new) | {"bytes": size})
        print(json.dumps(records[-1]))
    write_json(keep / f"{name}.json", records)
    retime(network, keep)


def opened(network: str) -> Encoder:
    """Return a checkpoint's encoder, or a network of timm with weights from the seed, at 224 pixels."""
    if not network.startswith("timm:"):
        return repdiag.load_encoder(network)
    import timm

    name = network.removeprefix("timm:")
    torch.manual_seed(0)
    made = timm.create_model(name, pretrained=False, num_classes=0)
    return repdiag.load_encoder(made.eval(), image_size=224, name=f"{name}, untrained")


def exported(encoder: Encoder, keep: Path, options: AnalysisOptions) -> Iterator[tuple[str, Encoder, int]]:
    images = calibration_images(encoder, options)
    for form in FORMS:
        path = graph_path(keep, encoder.info.name, form)
        export_onnx(encoder, path, numbers=form, images=images)
        yield form, onnx_encoder(path, ReadOptions(), name=form), path.stat().st_size


def record(network: str, form: str, drift: Drift, *, old: EmbeddingSet, new: EmbeddingSet) -> dict[str, Any]:
    kept = drift.table.one(metric="neighbors_kept", k=1)
    classes = drift.numbers.classes
    assert classes is not None
    return {
        "network": network,
        "form": form,
        "difference": float((old.features - new.features).abs().max() / old.features.abs().max()),
        "kept": kept.value,
        "low": kept.ci_low,
        "high": kept.ci_high,
        "ten": drift.table.value(metric="neighbors_kept", k=10),
        "cross": drift.table.value(metric="cross_gallery", rotated=False),
        "cosine": drift.table.value(metric="row_cosine"),
        "old": classes.old,
        "new": classes.new,
        "rows": len(old),
        "verdict": drift.verdict,
    }


@torch.inference_mode()
def timed(encoders: Mapping[str, Encoder]) -> dict[str, float]:
    """Return each form's processor milliseconds an image, on one thread, and its share of torch's.

    The forms take turns, batch by batch, so that what else the machine does meets all of them. Processor time leaves
    out the time in which others ran. Both numbers are medians over the rounds; the share is taken within each round.
    """
    size = encoders["torch"].info.image_size
    images = torch.rand(BATCH, 3, size, size, generator=torch.Generator().manual_seed(0))
    spent: dict[str, list[float]] = {form: [] for form in encoders}
    for number in range(ROUNDS + 1):
        for form, encoder in encoders.items():
            started = time.process_time()
            encoder(images)
            if number:  # the first round warms up
                spent[form].append(1000.0 * (time.process_time() - started) / BATCH)
    return {form: statistics.median(times) for form, times in spent.items()} | {
        f"{form}, share": statistics.median(a / b for a, b in zip(times, spent["torch"], strict=True))
        for form, times in spent.items()
    }


def retime(network: str, keep: Path) -> None:
    """Measure the times of a network's kept graphs again, and nothing else."""
    encoder = opened(network)
    name = encoder.info.name
    forms = {form: onnx_encoder(graph_path(keep, name, form), ReadOptions(), name=form) for form in FORMS}
    write_json(keep / f"{name}.times.json", timed({"torch": encoder, **forms}))


def graph_path(keep: Path, name: str, form: str) -> Path:
    return keep / f"{name}.{form}.onnx".replace(" ", "-")


def write_table(keep: Path) -> None:
    rows = [
        "| network | form | MB | apart | nearest kept | ten kept | cross-gallery | precision at 1 | ms | of torch's | "
        "verdict |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for path in sorted(item for item in keep.glob("*.json") if not item.name.endswith(".times.json")):
        times = json.loads(path.with_suffix(".times.json").read_text("utf-8"))
        for one in json.loads(path.read_text("utf-8")):
            if one["form"] == "torch":
                continue
            rows.append(
                f"| {one['network']} ({one['rows']} rows) | {one['form']} | {one['bytes'] / 1e6:.2f} | "
                f"{one['difference']:.0e} | {100 * one['kept']:.1f} % "
                f"[{100 * one['low']:.1f}, {100 * one['high']:.1f}] | "
                f"{100 * one['ten']:.1f} % | {100 * one['cross']:.1f} % | {100 * one['old']:.1f} -> "
                f"{100 * one['new']:.1f} % | {times[one['form']]:.2f} | {times[one['form'] + ', share']:.2f} | "
                f"{one['verdict']} |"
            )
    text = DOCUMENT.read_text("utf-8")
    start, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    write_text(DOCUMENT, text[:start] + "\n" + "\n".join(rows) + "\n" + text[end:])


if __name__ == "__main__":
    main()
