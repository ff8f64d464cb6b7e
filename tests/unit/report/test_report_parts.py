"""The parts of a report that need no browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pandas as pd
import pytest
import torch
from stored_runs import UNTRAINED, embedding_set, metric_rows, write_analysis, write_comparison

from repdiag.core.errors import StoreError
from repdiag.core.metric_table import MetricRow, MetricTable
from repdiag.core.numbers import show_value
from repdiag.diagnosis import advice
from repdiag.diagnosis.verdict import Advice
from repdiag.embeddings.projection_2d import READINGS, Projection
from repdiag.metrics.registry import load_all
from repdiag.report.citations import cite
from repdiag.report.classes import class_table
from repdiag.report.comparison import best_sentence, comparison_table
from repdiag.report.methods import methods_of
from repdiag.report.verdicts import Judgement, headline, judgements
from repdiag.results.pairs import StoredPairs, read_pairs
from repdiag.results.thumbnails import load_thumbnails, save_thumbnails
from repdiag.workflows.hardest import hardest_images
from repdiag.workflows.report import build_report


def test_every_key_that_a_metric_or_an_advice_cites_has_its_paper() -> None:
    keys = {metric.reference for metric in load_all().values() if metric.family != "external"}
    keys |= {item.reference for item in vars(advice).values() if isinstance(item, Advice)}
    assert sorted(key for key in keys if not cite(key).bibtex) == []


def test_a_citation_reads_as_text_and_copies_as_bibtex() -> None:
    paper = cite("calinski1974")
    assert (
        paper.text == "Cali\N{LATIN SMALL LETTER N WITH ACUTE}ski & Harabasz 1974. " + paper.text.partition("1974. ")[2]
    )
    assert paper.bibtex.startswith("@article{calinski1974,\n  author = {Cali{\\'n}ski, Tadeusz and Harabasz, Jerzy},")
    assert paper.bibtex.count("{") == paper.bibtex.count("}")
    assert cite("nobody1900").text == "nobody1900"


@pytest.mark.parametrize(
    ("metric", "params", "values", "best"),
    [
        ("pretext_gap", {"pair": "original-view", "k": 1}, (-0.20, 0.05, 0.30), 1),
        ("pretext_gap", {"pair": "original-view", "k": 1}, (-0.04, 0.10, 0.30), 0),
        ("granularity", {}, (0.2, 3.0, 1.4), 2),
        ("granularity", {}, (0.9, 3.0, 1.4), 0),
        ("knn_accuracy", {"k": 20}, (0.1, 0.9, 0.5), 1),
        ("uniformity", {"t": 2.0}, (-1.0, -2.0, -3.0), None),
        ("rankme", {}, (10.0, 20.0, 30.0), None),
    ],
)
def test_the_best_is_nearest_to_what_is_best(
    metric: str, params: dict[str, object], values: tuple[float, ...], best: int | None
) -> None:
    """A gap is best at 0, a granularity at 1, an accuracy high; of what falls with collapse nothing is best."""
    where = {"dataset": "d", "split": "val", "space": "features", "metric": metric, "version": 1, "params": params}
    bounds = [{"ci_low": value - 0.001, "ci_high": value + 0.001} for value in values]
    rows = tuple(
        MetricRow(checkpoint=name, **where, value=value, n=50, **ends)
        for name, value, ends in zip("abc", values, bounds, strict=True)
    )
    found = comparison_table(MetricTable(rows))
    assert [line.cells[0].mark for line in found.lines] == ["best" if at == best else "" for at in range(3)]


def test_those_that_share_the_lead_are_marked_among_the_trained_only() -> None:
    rows = metric_rows("a", quality=0.9) + metric_rows("b", quality=0.88) + metric_rows("c", quality=0.2)
    rows += metric_rows("a" + UNTRAINED, quality=1.0, role="untrained")
    found = comparison_table(MetricTable(tuple(rows)))
    column = [headline.metric for headline in found.headlines].index("knn_accuracy")
    assert [line.cells[column].mark for line in found.lines] == ["alike", "alike", "", ""]
    assert [line.trained for line in found.lines] == [True, True, True, False]


def test_the_best_is_named_with_what_is_not_told_from_it() -> None:
    one, near, far = (metric_rows(name, quality=q) for name, q in (("a", 0.9), ("b", 0.88), ("c", 0.2)))
    copy = metric_rows("a" + UNTRAINED, quality=0.1, role="untrained")

    def said(*rows: list[MetricRow]) -> str:
        return best_sentence(comparison_table(MetricTable(tuple(chain(*rows)))))

    value, interval = "83.0 %", "[81.0, 85.0]"
    assert said(one, near, far) == f"Highest kNN accuracy: a, {value} {interval}; statistically tied with b."
    assert said(one, far, copy) == f"Highest kNN accuracy: a, {value} {interval}; better than c, 34.0 %."
    assert said(one, copy) == f"kNN accuracy is {value} {interval}; the untrained copy gets 27.0 %."
    assert best_sentence(comparison_table(MetricTable(tuple(one)).where(metric="granularity"))) == ""


def test_paired_tests_overrule_overlapping_intervals_and_letters_show_the_groups(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path, ["a", "b", "c"])
    rows = [row for at, name in enumerate("abc") for row in metric_rows(name, quality=0.9 - 0.01 * at)]
    found = comparison_table(MetricTable(tuple(rows)), read_pairs(folder))
    column = {headline.metric: at for at, headline in enumerate(found.headlines)}
    knn, uniformity, purity = (column[name] for name in ("knn_accuracy", "uniformity", "kmeans_purity"))
    assert [line.cells[knn].mark for line in found.lines] == ["best", "", ""]
    assert [line.cells[knn].letters for line in found.lines] == ["a", "b", "c"]
    assert [line.cells[uniformity].letters for line in found.lines] == ["", "", ""]  # context: no letters
    assert {line.cells[purity].mark for line in found.lines} == {""}  # not tested, and no interval tells them apart
    assert {line.cells[purity].letters for line in found.lines} == {""}


def test_a_checkpoint_between_two_groups_belongs_to_both() -> None:
    pairs = [("a", "b", False), ("b", "c", False), ("a", "c", True)]
    tests = pd.DataFrame(pairs, columns=["first", "second", "differs"]).assign(metric="ami")
    assert StoredPairs(tests=tests, classes=tests).letters("ami", "abc") == {"a": "a", "b": "ab", "c": "b"}


def test_classes_come_with_the_classes_they_merge_with(tmp_path: Path) -> None:
    write_analysis(tmp_path, "small")
    found = class_table({"small": tmp_path})
    assert found is not None
    merged = found.headings.index(("shares its largest cluster with", "small"))
    cells = {name: cells[merged].text for name, _, cells in found.lines}
    assert cells == {"one": "two (50.0 %)", "two": "one (50.0 %)", "three": "\N{EN DASH}", "four": "\N{EN DASH}"}
    assert next(cells[0].text for name, _, cells in found.lines if name == "one") == "50.0 %"


def test_the_hardest_image_is_the_one_under_a_wrong_label() -> None:
    found = embedding_set("val", names=("one", "two"), rows=40, seed=0, spread=0.05)
    assert found.labels is not None
    labels = found.labels.clone()
    labels[6] = 1 - labels[6]
    hard = hardest_images(replace(found, labels=labels), split="val", tiles={"val: val/000006": 3})
    assert hard[0].image.row_id == "val/000006"
    assert hard[0].image.tile == 3
    assert not any(near.agrees for near in hard[0].neighbors)


def test_near_one_is_best_for_granularity_and_a_missing_value_has_its_reason() -> None:
    rows = metric_rows("a", quality=0.9) + metric_rows("b", quality=0.2)
    found = comparison_table(MetricTable(tuple(rows)).where(metric="granularity"))
    assert [line.cells[0].mark for line in found.lines] == ["best", ""]
    assert show_value(0.1234, percent=True) == "12.3 %"


def test_methods_come_from_the_registered_docstrings() -> None:
    found = {method.name: method for method in methods_of(MetricTable(tuple(metric_rows("a", quality=0.5))))}
    parts = dict(found["uniformity"].parts)
    assert "exp(-t" in parts["Formula"]
    assert "Cost" not in parts["Conventions"]
    assert found["uniformity"].citation.key == "wang2020"


def test_thumbnails_come_back_where_their_index_says(tmp_path: Path) -> None:
    from io import BytesIO

    from PIL import Image

    images = [torch.full((3, 8, 20), shade, dtype=torch.uint8) for shade in (0, 90, 180)]
    save_thumbnails(tmp_path, images, keys=["a", "b", "c"])
    found = load_thumbnails(tmp_path)
    assert found is not None
    assert found.keys == ("a", "b", "c")
    sheet = Image.open(BytesIO(found.sheet)).convert("L")
    middle = found.tile // 2
    for number, shade in enumerate((0, 90, 180)):
        across, down = number % found.columns * found.tile, number // found.columns * found.tile
        assert abs(sheet.getpixel((across + middle, down + middle)) - shade) < 6  # type: ignore[operator]
        assert sheet.getpixel((across + middle, down + 1)) > 240  # type: ignore[operator]  # a wide image is not stretched
    assert load_thumbnails(tmp_path / "nowhere") is None


def test_the_policy_names_the_hash_of_every_script(tmp_path: Path) -> None:
    write_analysis(tmp_path, "one")
    text = build_report(tmp_path, tmp_path / "report.html", map_method="pca").read_text("utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    for script in re.findall(r"<script(?: type=\"text/plain\" class=\"held\")?>(.*?)</script>", text, flags=re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
        assert f"sha256-{digest}" in policy[1].replace("&#43;", "+")
    assert "default-src &#39;none&#39;" in policy[1]


def test_the_library_of_the_map_is_no_script_until_the_page_has_been_read(tmp_path: Path) -> None:
    run = write_comparison(tmp_path, ["small", "large"])
    page = build_report(run, tmp_path / "report.html", map_method="pca").read_text("utf-8")
    kinds = re.findall(r"<script([^>]*)>", page)
    assert kinds.count(' type="text/plain" class="held"') == 2
    assert kinds.count("") == 1  # what runs at once
    small = build_report(run, tmp_path / "plain.html", map_method="none").read_text("utf-8")
    assert 'class="held"' not in small


@pytest.mark.parametrize(("method", "other"), [("pca", "tsne"), ("tsne", "pca")])
def test_a_map_is_read_by_what_it_was_made_by(tmp_path: Path, method: Projection, other: Projection) -> None:
    write_analysis(tmp_path, "one")
    page = build_report(tmp_path, tmp_path / "report.html", map_method=method).read_text("utf-8")
    assert READINGS[method] in page
    assert READINGS[other] not in page


def test_checkpoints_judged_alike_share_one_sentence_on_top() -> None:
    def judged(name: str, sentence: str) -> Judgement:
        return Judgement(checkpoint=name, sentence=sentence, findings=())

    found = [judged("a", "no fault found"), judged("b", "overfitting"), judged("c", "no fault found")]
    assert headline(found) == "a, c: no fault found. b: overfitting."
    assert headline([]) == "This run has no verdict."


def test_what_a_reference_says_stands_under_the_findings(tmp_path: Path) -> None:
    run = tmp_path / "run"
    write_analysis(run, "small")
    verdict = json.loads((run / "verdict.json").read_text("utf-8"))
    verdict["standings"] = [{"against": "reference <b>", "verdict": "worse grouped", "sentence": "Against <b>: x."}]
    (run / "verdict.json").write_text(json.dumps(verdict), "utf-8")
    page = build_report(run, run / "report.html", map_method="none").read_text("utf-8")
    assert '<b>Against &lt;b&gt;: </b><span class="quiet">x.</span>' in page


def test_the_same_run_gives_the_same_page(tmp_path: Path) -> None:
    run = write_comparison(tmp_path, ["small", "large"])
    first = build_report(run, tmp_path / "a.html", map_method="pca").read_bytes()
    assert build_report(run, tmp_path / "b.html", map_method="pca").read_bytes() == first


def test_a_report_without_vectors_still_has_its_tables(tmp_path: Path) -> None:
    import shutil

    write_analysis(tmp_path, "one")
    shutil.rmtree(tmp_path / "embeddings")
    text = build_report(tmp_path, tmp_path / "report.html").read_text("utf-8")
    assert 'id="map"' not in text
    assert 'id="comparison"' in text
    assert len(text) < 500_000  # the plotting library stays out


def test_an_unfinished_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot read .*run\.json"):
        build_report(tmp_path, tmp_path / "report.html")


def test_a_folder_that_is_not_there_and_a_run_without_analysis_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"there is no folder .*gone\n  try: "):
        build_report(tmp_path / "gone", tmp_path / "report.html")
    (tmp_path / "run.json").write_text('{"kind": "train"}', "utf-8")
    with pytest.raises(StoreError, match=r"without an analysis\n  try:   repdiag analyze"):
        build_report(tmp_path, tmp_path / "report.html")


@pytest.mark.parametrize(
    ("severity", "tone"),
    [("none", "good"), ("none or mild", "good"), ("none to marked", "open"), ("unknown", "open"), ("mild", "warn")],
)
def test_an_open_question_never_has_the_colour_of_a_good_answer(severity: str, tone: str) -> None:
    (judged,) = judgements({"a": {"summary": "", "findings": [{"code": "RD203", "severity": severity}]}})
    assert judged.coded[0]["tone"] == tone
