"""The page at four widths, dark and light and on paper, measured in a browser: it fits, is read, and is named."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, complaints, open_page, requested, wait_for
from stored_runs import write_comparison

from repdiag.plots.save import save_figure
from repdiag.workflows.report import build_report

pytestmark = pytest.mark.slow

AUDIT = Path(__file__).with_name("page_audit.js").read_text("utf-8")
LONG = "cifar10-moco_v2-mobilenet_v3_small-seed"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three encoders with long names that begin alike, ten classes, and a figure."""
    from repdiag.plots.checkpoint_comparison import checkpoint_comparison
    from repdiag.results.frames.table_frames import checkpoint_comparison as comparison_frame
    from repdiag.results.reading import read_table

    names = [f"{LONG}{seed}-last" for seed in range(3)]
    classes = [f"class number {number}" for number in range(10)]
    run = write_comparison(tmp_path_factory.mktemp("runs"), names, names=classes, rows=60)
    table = read_table(run)
    frame = comparison_frame(table)
    save_figure(checkpoint_comparison(frame), frame, run / "figures", name="checkpoint_comparison")
    record = json.loads((run / "run.json").read_text("utf-8"))
    (run / "run.json").write_text(json.dumps({**record, "ranking": ranking(names)}), "utf-8")
    return build_report(run, run / "report.html", map_method="pca")


def ranking(names: list[str]) -> dict[str, Any]:
    """What a comparison stores of which encoder to take; the first one, by far."""
    cost = {"parameters": 1_500_000, "width": 576, "gflops": 0.06, "ms_per_image": 1.2}
    rows = [
        {"checkpoint": name, "rank": place, "p_best": 0.98 if place == 1 else 0.01, "by": "r_precision", **cost}
        for place, name in enumerate(names, start=1)
    ]
    said = f"Take {names[0]}: best by R-precision (probability 98 %). It costs 1.5 M parameters."
    return {"headline": said, "summary": said, "rows": rows}


@pytest.fixture(scope="module")
def driver(page: Path) -> Iterator[Any]:
    with chromium() as found:
        open_page(found, page)
        yield found


def show(driver: Any, *, width: int, media: str = "", theme: str = "light") -> None:
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": theme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})
    driver.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true")
    wait_for(driver, f"return innerWidth === {width}")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1285, 1920])
def test_everything_fits_and_is_legible(driver: Any, width: int, theme: str) -> None:
    """Text of at least 11 px and 4.5:1, marks of at least 3:1, nothing beyond the edge, cut or without a name."""
    show(driver, width=width, theme=theme)
    found = driver.execute_script(AUDIT)
    assert {kind: items[:5] for kind, items in found.items() if items} == {}


def test_the_audit_sees_what_it_looks_for(driver: Any) -> None:
    show(driver, width=360)
    driver.execute_script(
        "const bad = document.createElement('div'); bad.id = 'bad'; bad.innerHTML = "
        "\"<p style='font-size:9px;color:#bbb;width:500px'>tiny</p><button></button>"
        "<figcaption style='overflow:hidden;white-space:nowrap;width:40px'>cut in the middle</figcaption>"
        "<span class='legend'><i style='background:#ffee88'></i></span>\"; document.body.append(bad)"
    )
    found = driver.execute_script(AUDIT)
    driver.execute_script("document.getElementById('bad').remove()")
    assert {kind for kind, items in found.items() if items} == {"wide", "small", "clipped", "pale", "faint", "nameless"}


def test_nothing_is_complained_of_and_nothing_is_fetched(driver: Any) -> None:
    assert complaints(driver) == []
    assert requested(driver) == []


def test_paper_holds_the_evidence_and_is_light_in_a_dark_room(driver: Any) -> None:
    show(driver, width=1085, media="print", theme="dark")
    driver.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = false")
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    unfolded = "return [...document.querySelectorAll('.evidence li')].every(line => line.checkVisibility())"
    assert driver.execute_script(unfolded)
    found = driver.execute_script(AUDIT)
    assert {kind: items[:5] for kind, items in found.items() if items} == {}
    assert driver.execute_script(
        "return document.querySelectorAll('.maps canvas').length === 0 || "
        "!document.querySelector('.maps').checkVisibility()"
    )
    driver.execute_script("dispatchEvent(new Event('afterprint'))")
    assert driver.execute_script("return document.querySelectorAll('details[open]').length") == 0
    pdf = driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True})["data"]
    pages = len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(pdf)))
    assert pages >= 2


def test_the_top_of_the_page_answers(driver: Any) -> None:
    """In the first 600 px: which encoder to take, by how much, what is wrong with each, what to do about it."""
    show(driver, width=1285)
    driver.execute_script("scrollTo(0, 0)")
    seen = driver.execute_script(
        "return [...document.querySelectorAll('h1, .margin, .matrix, .steps li')]"
        ".filter(one => one.getBoundingClientRect().bottom <= 600).map(one => one.innerText).join('\\n')"
    )
    assert "Take \N{HORIZONTAL ELLIPSIS}seed0-last" in seen
    # Of the test that write_pairs leaves: first minus second is -0.2 [-0.3, -0.1] in kNN accuracy.
    assert (
        "Against \N{HORIZONTAL ELLIPSIS}seed1-last, on the same images: kNN accuracy -20.0 points [-30.0, -10.0]"
        in seen
    )
    assert [word for word in ("Over-clustering", "Overfitting", "Collapse") if word not in seen] == []
    assert seen.count("seed2-last") >= 1
    assert re.search(r"^RD\d{3} \w+", seen, re.M)


def test_a_click_on_a_figure_enlarges_it_and_a_key_does_so_too(driver: Any) -> None:
    show(driver, width=360)
    width = "return document.querySelector('.drawing img[tabindex]').clientWidth"
    small = driver.execute_script(width)
    driver.execute_script("document.querySelector('.drawing img[tabindex]').click()")
    assert driver.execute_script(width) > 2 * small
    driver.execute_script(
        "document.querySelector('.drawing img[tabindex]').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter'}))"
    )
    assert driver.execute_script(width) == small


def test_what_is_chosen_is_listed_and_can_be_saved(driver: Any) -> None:
    show(driver, width=1285)
    driver.execute_script("Bokeh.documents[0].roots()[0].renderers[0].data_source.selected.indices = [3, 5]")
    lines = driver.execute_script(
        "return [...document.querySelectorAll('#map-picked tbody tr')].map(row => row.cells[0].textContent)"
    )
    assert lines == ["train/000003", "train/000005"]
    heads = driver.execute_script(
        "return [...document.querySelectorAll('#map-picked th')].map(cell => cell.textContent)"
    )
    assert heads[:3] == ["image", "split", "class"]
    assert sum("nearest" in head for head in heads) == sum("predicted" in head for head in heads) == 3
    assert driver.execute_script("return !document.getElementById('map-save').hidden")
