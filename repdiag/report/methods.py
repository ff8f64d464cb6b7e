"""What each metric of a report means: its registered docstring, version and paper, never a second text."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass

from repdiag.core.metric_table import MetricTable
from repdiag.report.citations import OURS, PAPERS, Citation, cite
from repdiag.report.typical import TYPICAL

# Parts of a metric's docstring that a reader of numbers needs; examples and costs stay in the code.
_PARTS = ("Formula", "Range", "Conventions", "Read it as", "Limits", "Reference")


@dataclass(frozen=True, kw_only=True)
class Method:
    """One metric as the report explains it."""

    name: str
    versions: str
    direction: str
    summary: str
    parts: tuple[tuple[str, str], ...]
    citation: Citation
    typical: tuple[tuple[str, str], ...] = ()


def methods_of(table: MetricTable) -> tuple[Method, ...]:
    """Return the metrics of a table in alphabetical order; one that is no longer registered has only its name."""
    from repdiag.metrics.registry import load_all

    known = load_all()
    found = []
    for name in sorted(map(str, table.names())):
        versions = ", ".join(str(v) for v in sorted({row.version for row in table.where(metric=name)}))
        metric = known.get(name)
        text = inspect.getdoc(metric.function) or "" if metric else ""
        found.append(
            Method(
                name=name,
                versions=versions,
                direction=metric.direction if metric else "context",
                summary=text.partition("\n")[0],
                parts=tuple(_parts(text)),
                citation=cite(metric.reference) if metric else cite(""),
                typical=TYPICAL.get(name, ()),
            )
        )
    return tuple(found)


def bibliography(methods: Iterable[Method], extra: Iterable[str] = ()) -> tuple[Citation, ...]:
    """Return repdiag, the papers behind its question, and every cited paper once, in order of its key."""
    cited = {method.citation.key: method.citation for method in methods}
    cited |= {key: cite(key) for key in (*extra, *PAPERS)}
    cited.pop(OURS, None)
    return (cite(OURS), *(citation for key, citation in sorted(cited.items()) if citation.bibtex))


def _parts(text: str) -> Iterable[tuple[str, str]]:
    for name in _PARTS:
        found = re.search(rf"^{name}:\s*(.*?)(?=^\S[^\n]*:|\Z)", text, flags=re.MULTILINE | re.DOTALL)
        if found:
            yield name, " ".join(found[1].split())
