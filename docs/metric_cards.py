"""docs/metrics.md: one card a metric, by the question that it answers, out of the registry and the typical values."""

from __future__ import annotations

import inspect
import re

from repdiag.metrics.registry import Metric, load_all
from repdiag.report.typical import ENCODERS, TYPICAL, TYPICAL_MADE_BY

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
_PART = re.compile(r"^([A-Z][\w ]*):[ \t]+(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
_INTRODUCTION = """# Metrics

One card for each metric, grouped by the question it answers. `repdiag metrics show NAME` prints the same text.
`make docs` writes this page from the code.

**Better** says which direction is good. *Context* means neither: the value explains others, and no direction is better.
**Interval** says how the 95 % confidence interval is computed; [Uncertainty](uncertainty.md) defines each kind. A
changed default or convention gets a new **version**, and repdiag never compares values of different versions.

**Typical values** come from encoders whose quality is known, on images they were not trained on, ten classes each:

"""


def metric_cards() -> str:
    """Return the page: a table for each question, then the cards."""
    metrics = sorted((metric for metric in load_all().values() if metric.family in FAMILIES), key=lambda one: one.name)
    lines = _INTRODUCTION.splitlines()
    lines += ["| encoder | what it is |", "|---|---|", *(f"| {name} | {data} |" for name, data in ENCODERS)]
    lines += ["", f"Made by `{TYPICAL_MADE_BY.partition(',')[0]}` ({TYPICAL_MADE_BY.partition(', ')[2]})."]
    for family, title in FAMILIES.items():
        members = [metric for metric in metrics if metric.family == family]
        lines += ["", f"## {title}", "", "| metric | what it is | better | interval |", "|---|---|---|---|"]
        lines += [_overview(metric) for metric in members]
        for metric in members:
            lines += card(metric)
    return "\n".join(lines) + "\n"


def card(metric: Metric) -> list[str]:
    """Return one metric's card: what it is, formula, how to read it, typical values; the rest is folded."""
    text = inspect.getdoc(metric.function) or ""
    parts = {name: body.rstrip() for name, body in _PART.findall(text.partition("\n")[2])}
    lines = ["", f"### {metric.name}", "", _prose(text.partition("\n")[0])]
    if formula := parts.get("Formula"):
        lines += ["", "```text", inspect.cleandoc(formula), "```"]
    lines += [""]
    lines += [f"- **{name}**: {_prose(parts[name])}" for name in ("Range", "Read it as", "Limits") if name in parts]
    lines += typical(metric.name)
    low, high = metric.bounds
    settings = ", ".join(f"`{name}={value!r}`" for name, value in metric.settings.items()) or "none"
    return [
        *lines,
        "",
        '<details markdown="1">',
        f"<summary>Settings, conventions, cost, reference, example (version {metric.version})</summary>",
        "",
        f"Needs {', '.join(f'`{name}`' for name in metric.needs)}. Settings: {settings}. Bounds: [{low:g}, {high:g}]. "
        f"Invariant under: {', '.join(sorted(metric.invariances)) or 'nothing declared'}. Better: {metric.direction}."
        + (" Comparable within one training method only." if metric.comparable == "one method" else ""),
        "",
        "```text",
        text,
        "```",
        "",
        "</details>",
    ]


def typical(name: str) -> list[str]:
    """Return the table of typical values; nothing where the metric was not measured."""
    found = dict(TYPICAL.get(name, ()))
    if not found:
        return []
    names = [encoder for encoder, _ in ENCODERS]
    values = (found.get(name, "-") for name in names)
    return [
        "",
        "Typical values:",
        "",
        f"| {' | '.join(names)} |",
        "|---" * len(names) + "|",
        f"| {' | '.join(values)} |",
    ]


def _overview(metric: Metric) -> str:
    summary = (inspect.getdoc(metric.function) or "").partition("\n")[0].partition(": ")[2]
    cells = (f"[{metric.name}](#{metric.name})", _prose(summary), metric.direction, metric.interval.replace("_", " "))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _prose(text: str) -> str:
    """Return a docstring's text on one line; names of metrics link to their cards, Markdown's marks are escaped."""
    words = re.sub(r"([*_<\[\]])", r"\\\1", " ".join(text.split()))
    return re.sub(r"\b[a-z0-9]+(?:\\_[a-z0-9]+)+\b", _linked, words)


def _linked(found: re.Match[str]) -> str:
    name = found[0].replace("\\", "")
    return f"[{name}](#{name})" if name in load_all() else f"`{name}`"
