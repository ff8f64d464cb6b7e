"""The front door: every public name is there, loads on first use, and its docstring has an example that holds."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys

import pytest

import repdiag

PROMISED = {
    *(
        "train",
        "embed",
        "analyze",
        "compare",
        "probe",
        "extract",
        "evaluate",
        "diagnose",
        "load_encoder",
        "open_dataset",
    ),
    *("as_embedding_set", "EmbeddingSet", "MetricTable", "Analysis", "Comparison", "Diagnosis"),
    *("metrics", "plots", "report", "errors"),
}
NAMES = sorted(set(repdiag.__all__) - {"__version__"})


def test_what_was_promised_is_public() -> None:
    assert set(repdiag.__all__) >= PROMISED
    assert set(dir(repdiag)) == set(repdiag.__all__)


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, repdiag; print([m for m in ('torch', 'pandas', 'matplotlib', 'faiss') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", NAMES)
def test_the_example_in_its_docstring_holds(name: str) -> None:
    public = getattr(repdiag, name)
    text = inspect.getdoc(public) or ""
    assert "Example:" in text, f"{name} has no example"
    parsed = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert parsed.examples
    report: list[str] = []
    assert doctest.DocTestRunner().run(parsed, out=report.append).failed == 0, "".join(report)
