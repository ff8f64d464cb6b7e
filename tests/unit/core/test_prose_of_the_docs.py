"""The lint of words sees what it is for and leaves numbers, code and tables alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.prose import findings

GOOD = """The gap is -0.6 points, from 5 6 6 rows.

```text
in order to utilize
```

| in order to | e.g. |
|---|---|
"""


def test_a_plain_page_passes(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(GOOD, "utf-8")
    assert list(findings(page)) == []


@pytest.mark.parametrize(
    "bad",
    [
        "We utilize views in order to see it.",
        "More rows would decide.",
        "It is said said twice here.",
        "A gap of -0.6 % was found.",
        " ".join(f"w{n}" for n in range(50)) + ".",
    ],
)
def test_what_reads_badly_is_named_with_its_line(tmp_path: Path, bad: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n{bad}\n", "utf-8")
    found = list(findings(page))
    assert found
    assert all(line.startswith(f"{page}:3: ") for line in found)
