"""Every notebook runs from top to bottom, and the quick start finds the fault that it plants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.slow


def executed(path: Path, folder: Path) -> Any:
    """Return the notebook with its outputs, run in a folder of its own."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def text_of(notebook: Any) -> str:
    """Return everything that its cells printed or showed as text."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    return "\n".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in outputs)


@pytest.mark.filterwarnings("default")  # of the machinery that starts the kernel
def test_the_quick_start_finds_what_it_planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert [path.name for path in NOTEBOOKS] == ["quickstart.ipynb"]
    shown = text_of(executed(NOTEBOOKS[0], tmp_path))
    assert "Over-clustered: bicycle, cat" in shown
    assert "'bicycle': 3" in shown
    assert "'cat': 2" in shown
    assert (tmp_path / "quickstart.html").stat().st_size > 100_000
