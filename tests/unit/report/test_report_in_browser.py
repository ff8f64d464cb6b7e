"""The report in a browser: nothing fetched, nothing injected, and it sorts, searches, filters and points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, complaints, open_page, requested, wait_for
from hostile_names import PAYLOADS
from stored_runs import write_comparison

from repdiag.workflows.report import build_report

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = write_comparison(tmp_path_factory.mktemp("runs"), ["small", "large"])
    return build_report(run, run / "report.html", map_method="pca")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as driver:
        yield driver


@pytest.fixture
def driver(browser: Any, page: Path) -> Any:
    open_page(browser, page)
    return browser


@pytest.mark.parametrize("width", [400, 1600])
def test_it_opens_without_complaint_or_request_and_fits(page: Path, width: int) -> None:
    with chromium(width=width) as driver:
        open_page(driver, page)
        assert complaints(driver) == []
        assert requested(driver) == []
        assert driver.execute_script("return document.documentElement.scrollWidth") <= width


def test_a_click_on_a_heading_sorts_and_a_second_one_turns_round(driver: Any) -> None:
    column = 5  # uniformity
    table = "document.querySelector('#comparison table')"
    read = f"return [...{table}.querySelectorAll('tbody tr')].map(r => +r.cells[{column}].dataset.sort)"
    click = f"{table}.querySelectorAll('thead button')[{column}].click()"
    driver.execute_script(click)
    rising = driver.execute_script(read)
    assert rising == sorted(rising)
    assert len(set(rising)) > 2
    driver.execute_script(click)
    assert driver.execute_script(read) == rising[::-1]


def test_the_search_box_keeps_the_rows_with_its_words(driver: Any) -> None:
    driver.execute_script(
        "const box = document.querySelector('[data-table=class-table]'); box.value = 'three';"
        "box.dispatchEvent(new Event('input'))"
    )
    shown = (
        "return [...document.querySelectorAll('#class-table tbody tr')].filter(r => !r.hidden).map(r => r.innerText)"
    )
    assert [line.split()[0] for line in driver.execute_script(shown)] == ["three"]


def test_filters_select_the_same_images_in_every_panel(driver: Any) -> None:
    driver.execute_script(
        "for (const [id, value] of [['map-class', '1'], ['map-split', '0']]) {"
        "const box = document.getElementById(id); box.value = value; box.dispatchEvent(new Event('change')) }"
    )
    assert driver.execute_script("return document.getElementById('map-count').textContent") == "12 of 96 images"
    picked = "return Bokeh.documents[0].roots().map(p => p.renderers[0].data_source.selected.indices.length)"
    assert driver.execute_script(picked) == [12, 12]


def test_colours_follow_the_choice(driver: Any) -> None:
    colours = "return Bokeh.documents[0].roots()[0].renderers[0].glyph.fill_color.transform.palette.length"
    assert driver.execute_script(colours) == 4
    driver.execute_script(
        "const box = document.getElementById('map-colour'); box.value = 'split'; box.dispatchEvent(new Event('change'))"
    )
    assert driver.execute_script(colours) == 2
    legend = "return [...document.querySelectorAll('#map-legend span:has(i)')].map(entry => entry.innerText)"
    assert driver.execute_script(legend) == ["train", "val"]


def test_pointing_at_a_dot_shows_its_image_and_names_it(driver: Any) -> None:
    from selenium.webdriver import ActionChains

    driver.execute_script("document.getElementById('map-1').scrollIntoView({block: 'center'})")
    wait_for(driver, "return Bokeh.index.roots.every(view => view.is_idle ?? true)")
    spot = driver.execute_script(
        "const plot = Bokeh.documents[0].roots()[1]; const view = Bokeh.index.get_by_id(plot.id);"
        "const data = plot.renderers[0].data_source.data; const frame = view.frame;"
        "const box = view.el.getBoundingClientRect();"
        "return [box.x + frame.x_scale.compute(data.x1[7]), box.y + frame.y_scale.compute(data.y1[7])]"
    )
    move = ActionChains(driver)
    move.w3c_actions.pointer_action.move_to_location(round(spot[0]) - 3, round(spot[1]))
    move.w3c_actions.pointer_action.move_to_location(round(spot[0]), round(spot[1]))
    move.perform()
    wait_for(driver, "return !document.getElementById('map-tip').hidden")
    assert "train/000007" in driver.execute_script("return document.getElementById('map-tip').innerText")
    shade = "return document.querySelector('#map-tip canvas').getContext('2d').getImageData(56, 56, 1, 1).data[0]"
    assert abs(driver.execute_script(shade) - 7 * 97 % 255) < 6


def test_folds_are_after_printing_as_they_were_left(driver: Any) -> None:
    folds = "return [...document.querySelectorAll('details')].map(fold => fold.open)"
    driver.execute_script("document.querySelector('#findings details').open = true")
    before = driver.execute_script(folds)
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert driver.execute_script("return document.querySelectorAll('details.on-paper:not([open])').length") == 0
    driver.execute_script("dispatchEvent(new Event('afterprint'))")
    assert driver.execute_script(folds) == before


def test_no_name_runs_a_script_or_reaches_out(tmp_path: Path) -> None:
    run = write_comparison(tmp_path, [PAYLOADS[1], PAYLOADS[31]], names=PAYLOADS, rows=len(PAYLOADS))
    page = build_report(run, tmp_path / "report.html", map_method="pca")
    with chromium() as driver:
        open_page(driver, page)
        driver.execute_script("for (const fold of document.querySelectorAll('details')) fold.open = true")
        for row in range(0, len(PAYLOADS), 50):  # what pointing at an image writes
            driver.execute_script(
                f"const s = Bokeh.documents[0].roots()[0].renderers[0].data_source;"
                f"s.inspected.indices = [{row}]; s.inspect.emit([null, {{}}])"
            )
        assert driver.execute_script("return window.hacked ?? null") is None
        assert complaints(driver) == []
        assert requested(driver) == []
        shown = driver.execute_script(
            "return [...document.querySelectorAll('#class-table tbody th')].map(t => t.textContent)"
        )
    assert len(shown) == len(PAYLOADS)
    assert sum("window.hacked=1" in name for name in shown) > 250  # they are there, as text


def test_the_canary_would_sing(tmp_path: Path) -> None:
    page = tmp_path / "open.html"
    page.write_text("<p>x</p><script>window.hacked=1</script>", "utf-8")
    with chromium() as driver:
        driver.get(page.as_uri())
        assert driver.execute_script("return window.hacked ?? null") == 1
