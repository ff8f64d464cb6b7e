"""`repdiag table` and headline.csv: the numbers, the marks, and when nothing may be marked."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml
from stored_runs import metric_rows, write_analysis, write_comparison

from repdiag.cli import table as command
from repdiag.core.errors import UsageError
from repdiag.core.files import write_json
from repdiag.core.metric_table import MetricTable
from repdiag.core.version import HOME, RELEASE_YEAR, __version__
from repdiag.report.citations import OURS, PAPERS, cite
from repdiag.report.headline_csv import write_headline
from repdiag.report.methods import bibliography
from repdiag.workflows.table import headline_text, write_table

NAMES = ("small", "big_net & 100%|x")
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two encoders whose tests say that they differ in kNN accuracy: 0.2 + 0.7 * 0.8 and 0.2 + 0.7 * 0.7."""
    return write_comparison(tmp_path_factory.mktemp("runs"), NAMES)


def cells_of(line: str, between: str = "|") -> list[str]:
    row = line.strip().removesuffix("\\\\") if between == "&" else line.strip()[1:-1]
    return [cell.strip() for cell in re.split(rf"(?<!\\)[{between}]", row)]


def test_markdown_marks_the_best_and_shows_intervals(run: Path) -> None:
    text, notes = headline_text([run], "markdown", untrained=False, metrics=["knn_accuracy", "uniformity"])
    head, rule, knn, uniformity, blank, said = text.rstrip("\n").split("\n")
    assert cells_of(head) == ["", "small", "big_net & 100%\\|x"]
    assert rule == "|---|---:|---:|"
    assert cells_of(knn) == ["kNN accuracy, k = 20 \u2191", "**76.0 %** [74.0, 78.0]", "69.0 % [67.0, 71.0]"]
    assert cells_of(uniformity) == ["Uniformity", "-2.600 [-2.620, -2.580]", "-2.400 [-2.420, -2.380]"]
    assert blank == ""
    assert "Bold: best, told apart from all others." in said
    assert "Rows without an arrow" in said
    assert notes == ()


def test_latex_escapes_and_is_balanced(run: Path) -> None:
    text, _ = headline_text([run], "latex", untrained=False)
    assert r"big\_net \& 100\%\textbar{}x" in text
    assert r"\textbf{76.0 \%} {\scriptsize [74.0, 78.0]}" in text
    bare = re.sub(r"\\[{}]", "", text)
    assert bare.count("{") == bare.count("}")
    assert text.count(r"\begin{") == text.count(r"\end{") == 2
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0].strip().split("\n")
    assert {len(cells_of(line, "&")) for line in body} == {3}
    assert re.search(r"(?<!\\)[%_#]", text.partition("\n")[2]) is None


def test_html_is_a_table_without_markup_of_strangers(tmp_path: Path) -> None:
    folder = write_comparison(tmp_path, ["<script>", "b"])
    text, _ = headline_text([folder], "html")
    tags: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
    parser.feed(text)
    assert {"table", "caption", "strong"} <= set(tags)
    assert "script" not in tags
    assert tags.count("th") == 4 + tags.count("tr") - 1  # four encoders with their untrained copies, one label a row


def test_csv_is_headline_csv_with_numbers_and_marks(run: Path, tmp_path: Path) -> None:
    text, _ = headline_text([run], "csv")
    found = pd.read_csv(io.StringIO(text))
    best = found[(found["metric"] == "knn_accuracy") & (found["mark"] == "best")]
    assert best[["checkpoint", "better", "n"]].values.tolist() == [["small", "higher", 200]]
    assert best["value"].tolist() == pytest.approx([0.76])
    assert set(found[found["better"] == "context"]["mark"].dropna()) == set()
    rows = metric_rows("a", quality=0.8) + metric_rows("b", quality=0.7)
    write_headline(MetricTable(tuple(rows)), tmp_path)
    assert pd.read_csv(tmp_path / "headline.csv").columns.tolist() == found.columns.tolist()


def test_runs_on_the_same_images_are_marked_by_intervals_and_others_are_not(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for at, folder in enumerate(folders):
        write_analysis(folder, "net", seed=at)

    def rows(*digests: str | None) -> None:
        for folder, digest in zip(folders, digests, strict=True):
            record = {"schema_version": 1, "kind": "analyze", "rows": digest and {"val": digest}}
            write_json(folder / "run.json", record)

    rows("same", "same")
    text, notes = headline_text(folders, "markdown", untrained=False)
    assert cells_of(text.split("\n")[0]) == ["", "net (one)", "net (two)"]
    assert "**76.0 %**" in text
    assert notes == ("Intervals decide the marks; repdiag compare tests image by image.",)
    for digests, words in ((("a", "b"), "other images"), (("a", None), "does not say which images")):
        rows(*digests)
        text, notes = headline_text(folders, "markdown")
        assert "**" not in text
        assert notes[0].startswith("Nothing is marked")
        assert words in notes[0]
        assert words in text


def test_names_are_as_many_as_encoders_and_a_file_is_not_overwritten(run: Path, tmp_path: Path) -> None:
    text, _ = headline_text([run], "markdown", untrained=False, names=["small", "large"], intervals=False)
    assert text.startswith("| | small | large |") or cells_of(text.split("\n")[0]) == ["", "small", "large"]
    assert "[74.0" not in text
    with pytest.raises(UsageError, match="3 names for 2 encoders"):
        headline_text([run], "markdown", untrained=False, names=["a", "b", "c"])
    with pytest.raises(UsageError, match="knn_acuracy"):
        headline_text([run], metrics=["knn_acuracy"])
    place = write_table("mine", tmp_path / "t.md", overwrite=False)
    with pytest.raises(UsageError, match="already exists"):
        write_table("other", place, overwrite=False)
    assert write_table("other", place, overwrite=True).read_text("utf-8") == "other"


def test_the_command_prints_the_table_and_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.table([run], to="latex", untrained=False, names="a, b")
    assert capsys.readouterr().out.startswith("% needs \\usepackage{booktabs}\n\\begin{table}\n")
    command.table([run], as_json=True)
    assert json.loads(capsys.readouterr().out)["table"].startswith("|")


def test_repdiag_and_the_three_papers_are_cited_by_every_report() -> None:
    found = bibliography(())
    assert [entry.key for entry in found] == [OURS, *sorted(PAPERS)]
    assert all(entry.bibtex.count("{") == entry.bibtex.count("}") > 0 for entry in found)
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert (cited["version"], cited["date-released"][:4]) == (__version__, RELEASE_YEAR)
    assert cited["repository-code"] == HOME
    titles = {item["title"].lower() for item in cited["references"]}
    assert all(re.search(r"title = \{(.*)\}", cite(key).bibtex)[1].lower() in titles for key in PAPERS)  # type: ignore[index]


def test_the_page_on_citing_holds_the_entries_of_a_report() -> None:
    page = (ROOT / "docs" / "citing.md").read_text("utf-8")
    missing = [key for key in (OURS, *PAPERS) if cite(key).bibtex not in page]
    assert missing == []
