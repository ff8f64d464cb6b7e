"""Regenerates the generated pages of docs/ from the code: `python -m docs.generate` (`--check` only compares)."""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path

from docs.checkpoint_formats import formats_page
from docs.findings_page import findings_page
from docs.metric_stub import stub
from repdiag.metrics.registry import Metric, load_all
from repdiag.report.typical import TYPICAL, TYPICAL_SOURCE

HERE = Path(__file__).parent
# Families by the question that they answer, in the order in which one asks them.
FAMILIES = {
    "neighbors": "Are neighbours of the same class?",
    "probes": "What does a probe on the frozen features reach?",
    "transfer": "Which encoder will do best on my labels, without training?",
    "classes": "How far do classes lie apart, and how tight are they?",
    "clusters": "Do classes fall into the right number of groups?",
    "pretext": "Does it know its training images better than new ones?",
    "hypersphere": "Do views stay together while the rest spreads out?",
    "spectrum": "How many directions does the space use; has it collapsed?",
    "similarity": "Do two encoders see the same rows alike?",
}


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


def metric_cards() -> str:
    """Return one card a metric, by family, after a table of all."""
    lines = [
        "# Metrics",
        "",
        "Generated from the registry by `make docs`; `repdiag metrics show NAME` prints the same card. A changed",
        "default or convention is a new version; values of unlike versions are never compared.",
        "",
        "| metric | family | better | version | interval | reference |",
        "|---|---|---|---|---|---|",
    ]
    metrics = [metric for metric in load_all().values() if metric.family in FAMILIES]
    metrics.sort(key=lambda metric: (list(FAMILIES).index(metric.family), metric.name))
    for metric in metrics:
        cells = (
            f"[{metric.name}](#{metric.name})",
            metric.family,
            metric.direction,
            str(metric.version),
            metric.interval.replace("_", " "),
            metric.reference,
        )
        lines.append(f"| {' | '.join(cells)} |")
    for family, title in FAMILIES.items():
        lines += ["", f"## {title}"]
        for metric in metrics:
            if metric.family == family:
                lines += card(metric)
    return "\n".join(lines) + "\n"


def card(metric: Metric) -> list[str]:
    """Return one metric's card."""
    low, high = metric.bounds
    settings = ", ".join(f"`{name}={value!r}`" for name, value in metric.settings.items()) or "none"
    return [
        "",
        f"### {metric.name}",
        "",
        "```text",
        inspect.getdoc(metric.function) or "",
        "```",
        "",
        f"Needs {', '.join(f'`{name}`' for name in metric.needs)}; settings: {settings}; bounds [{low:g}, {high:g}]; "
        f"invariant under {', '.join(sorted(metric.invariances)) or 'nothing declared'}; better: {metric.direction}"
        + ("; comparable inside one training method only." if metric.comparable == "one method" else "."),
        *typical(metric.name),
    ]


def typical(name: str) -> list[str]:
    """Return what the metric was for encoders whose quality is known; nothing where it was not measured."""
    found = TYPICAL.get(name, ())
    said = "; ".join(f"{what} {value}" for what, value in found)
    return ["", f"Typical values: {said} ({TYPICAL_SOURCE})."] if found else []


if __name__ == "__main__":
    main()
