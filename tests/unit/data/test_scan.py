"""The scan decodes each file once, notices changes, and survives a damaged or unwritable cache."""

from pathlib import Path

import pytest
from image_files import write_image

from repdiag.data import scan as scan_module
from repdiag.data.folders import cache_folder
from repdiag.data.scan import Checked, check, scan
from repdiag.data.walk import FoundFile, Walk


@pytest.fixture
def checked_paths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []

    def counting(path: Path, found: FoundFile, **options: object) -> Checked:
        seen.append(found.path)
        return check(path, found, **options)

    monkeypatch.setattr(scan_module, "check", counting)
    return seen


def files(root: Path) -> list[FoundFile]:
    walk = Walk(root)
    return [found for one in walk.files(walk.folders("")) for found in one]


def test_only_new_and_changed_files_are_decoded_again(folder: Path, checked_paths: list[str]) -> None:
    first = scan(folder, files(folder))
    assert len(checked_paths) == 27
    assert scan(folder, files(folder)) == first
    assert len(checked_paths) == 27
    write_image(folder / "train/ant/0.png", seed=500)
    write_image(folder / "train/bee/new.png", seed=501)
    again = scan(folder, files(folder))
    assert checked_paths[27:] == ["train/ant/0.png", "train/bee/new.png"]
    assert again[0].digest != first[0].digest


def test_a_damaged_memory_is_made_again(folder: Path, checked_paths: list[str]) -> None:
    first = scan(folder, files(folder))
    (place,) = cache_folder("scans").iterdir()
    body = place.read_bytes()
    for damaged in (b"", body[:-9], body.replace(b"null", b'"no"', 1)):
        checked_paths.clear()
        place.write_bytes(damaged)
        assert scan(folder, files(folder)) == first
        assert len(checked_paths) == 27


def test_without_a_place_to_remember_the_scan_still_works(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("REPDIAG_CACHE", str(tmp_path / "file"))
    assert all(one.reason is None for one in scan(folder, files(folder)))
    assert "not remembered" in caplog.text
