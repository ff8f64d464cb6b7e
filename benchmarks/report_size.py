"""How large the report of 20,000 real images and four encoders is, and how soon it is there in headless Chromium.

python -m benchmarks.report_size --images FOLDER --out FOLDER    builds the page and opens it
python -m benchmarks.report_size --open report.html              opens a page that is there

The encoders are four fixed readings of the pixels, which cost nothing: the size and the time of the page depend on the
images, on the number of points and on the tables, not on how good the features are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from repdiag.core.embedding_set import EmbeddingSet
from repdiag.core.files import write_json
from repdiag.core.metric_table import MetricTable
from repdiag.core.provenance import Provenance
from repdiag.data.datasets import open_dataset
from repdiag.data.image_split import ImageSplit
from repdiag.diagnosis.diagnose import judge
from repdiag.embeddings.store import save_embedding_set
from repdiag.metrics.breakdown import class_frame
from repdiag.metrics.evaluate import evaluate
from repdiag.results.thumbnails import save_thumbnails, thumbnail_key
from repdiag.results.writing import write_parts, write_run, write_tables
from repdiag.workflows.figures import draw_comparison
from repdiag.workflows.report import build_report

ROWS = 20_000
LIMIT_MB, LIMIT_SECONDS = 15.0, 3.0
_METRICS = ("uniformity", "precision_at_1", "r_precision", "intra_class_distance", "class_distance_ratio", "rankme")
_JUDGED = 2_000  # rows that the tables are made from; the map and the pictures have all of them


def encoders() -> Mapping[str, Callable[[Tensor], Tensor]]:
    """Return four readings of images [N, 3, 32, 32] in 0..1."""
    mixing = torch.randn(3 * 16 * 16, 64, generator=torch.Generator().manual_seed(0)) / 28

    def edges(images: Tensor) -> Tensor:
        grey = images.mean(dim=1)
        strength = (grey.diff(dim=1)[:, :, :-1] ** 2 + grey.diff(dim=2)[:, :-1] ** 2).sqrt()
        return functional.adaptive_avg_pool2d(strength, 8).flatten(1)

    def colours(images: Tensor) -> Tensor:
        bins = (images * 7.999).long()
        return functional.one_hot(bins, 8).flatten(2, 3).float().mean(dim=2).flatten(1)

    return {
        "thumbnail 8 x 8": lambda images: functional.adaptive_avg_pool2d(images, 8).flatten(1),
        "edges 8 x 8": edges,
        "colour histogram": colours,
        "random ReLU": lambda images: (functional.adaptive_avg_pool2d(images - 0.5, 16).flatten(1) @ mixing).relu(),
    }


def build(spec: str, out: Path, *, rows: int, map_method: Any) -> Path:
    """Write the run of a comparison and its report; return the page."""
    splits = {name: _part(open_dataset(spec, name), rows // 2) for name in ("train", "val")}
    tables, verdicts = [], {}
    for name, encode in encoders().items():
        folder = out / "checkpoints" / name
        for split, images in splits.items():
            save_embedding_set(_embedded(name, encode, images, split=split), folder / "embeddings" / split)
        val = _embedded(name, encode, splits["val"], split="val").select(range(min(_JUDGED, rows // 2)))
        found = evaluate(val, list(_METRICS))
        write_parts(class_frame(found, val), None, folder)
        tables.append(found)
        verdicts[name] = judge(found).to_dict()
    table = MetricTable.concat(tables)
    keys = [thumbnail_key(split, str(row)) for split, images in splits.items() for row in images.row_ids]
    save_thumbnails(out, (part.image(at) for part in splits.values() for at in range(len(part))), keys=keys)
    write_tables(table, out)
    write_json(out / "verdict.json", verdicts)
    draw_comparison(table, {name: out / "checkpoints" / name for name in encoders()}, out)
    write_run(out, kind="compare", options={"rows": rows})
    return build_report(out, out / "report.html", map_method=map_method)


def _part(images: ImageSplit, rows: int) -> ImageSplit:
    return images.balanced(max(1, rows // len(images.class_names)), seed=0)


def _embedded(name: str, encode: Callable[[Tensor], Tensor], images: ImageSplit, *, split: str) -> EmbeddingSet:
    chunks = []
    for start in range(0, len(images), 500):
        rows = range(start, min(start + 500, len(images)))
        pixels = [functional.adaptive_avg_pool2d(images.image(row).float() / 255, 32) for row in rows]
        chunks.append(encode(torch.stack(pixels)))
    return EmbeddingSet(
        features=torch.cat(chunks),
        labels=torch.as_tensor(images.labels),
        row_ids=images.row_ids,
        class_names=tuple(images.class_names),
        provenance=Provenance(checkpoint=name, dataset="images", split=split),
    )


def opened(page: Path, *, width: int = 1600) -> dict[str, float]:
    """Return the seconds until the document was read, was loaded, and its map was drawn, in a browser of its own.

    They are seconds of the clock, which other work on the machine makes longer; "work" is the processor time of the
    page's main thread until the map was drawn, which it does not.
    """
    from selenium import webdriver
    from selenium.webdriver.support.ui import WebDriverWait

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--window-size={width},1000",
    ):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        driver.get(page.resolve().as_uri())
        ready = "return performance.getEntriesByName('map-ready').length > 0"
        WebDriverWait(driver, 120).until(lambda browser: browser.execute_script(ready))
        found = driver.execute_script(
            "const page = performance.getEntriesByType('navigation')[0];"
            "return [page.domContentLoadedEventEnd, page.loadEventEnd,"
            " performance.getEntriesByName('map-ready')[0].startTime]"
        )
        spent = {
            item["name"]: item["value"] for item in driver.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
        }
    finally:
        driver.quit()
    clock = zip(("read", "loaded", "map drawn"), (value / 1000 for value in found), strict=True)
    return {**dict(clock), "work": spent["TaskDuration"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", help="an image folder of train/ and val/ (or test/)")
    parser.add_argument("--out", type=Path, default=Path("runs/report_size"))
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--map", choices=("pca", "umap"), default="pca")
    parser.add_argument("--open", type=Path, help="a page that is there, instead of building one")
    parser.add_argument("--times", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    page = arguments.open
    if page is None:
        if arguments.images is None:
            parser.error("give --images FOLDER or --open PAGE")
        page = build(f"imagefolder:{arguments.images}", arguments.out, rows=arguments.rows, map_method=arguments.map)
    size = page.stat().st_size / 1e6
    print(f"{page}: {size:.1f} MB (limit {LIMIT_MB:g})", flush=True)
    runs = [opened(page) for _ in range(arguments.times)]
    for name in runs[0]:
        values = [run[name] for run in runs]
        print(f"{name:<10} {statistics.median(values):.2f} s ({', '.join(f'{value:.2f}' for value in values)})")
    print(f"limit {LIMIT_SECONDS:g} s; load of the machine {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
