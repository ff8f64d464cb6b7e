"""Regenerates the generated pages of docs/ from the code: `python -m docs.generate` (`--check` only compares)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from docs.checkpoint_formats import formats_page
from docs.findings_page import findings_page
from docs.metric_cards import metric_cards
from docs.metric_stub import stub

HERE = Path(__file__).parent


def main() -> None:
    """Write the pages, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 when a page is out of date")
    check = parser.parse_args().check
    stale = [path.name for path, text in pages().items() if not path.is_file() or path.read_text("utf-8") != text]
    if check and stale:
        sys.exit(f"out of date: {', '.join(stale)}; run make docs")
    if not check:
        for path, text in pages().items():
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path}")


def pages() -> dict[Path, str]:
    """Return every generated page: path -> text."""
    return {
        HERE / "checkpoint-formats.md": formats_page(),
        HERE / "findings.md": findings_page(),
        HERE / "metrics.md": metric_cards(),
        HERE.parent / "repdiag" / "metrics" / "__init__.pyi": stub(),
    }


if __name__ == "__main__":
    main()
