"""Small image folders, and a cache folder of each test's own."""

from pathlib import Path

import pytest
from image_files import write_image


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPDIAG_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("REPDIAG_DATA", str(tmp_path / "data"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """train/ and val/ with three classes of 6 and 3 images of different sizes."""
    root = tmp_path / "images"
    seed = 0
    for part, count in (("train", 6), ("val", 3)):
        for name in ("ant", "bee", "cow"):
            for number in range(count):
                seed += 1
                write_image(root / part / name / f"{number}.png", seed=seed, height=18 + seed, width=25 + seed % 7)
    return root
