"""Renders the page: everything escaped, scripts named by their hash, nothing loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from repdiag.core.errors import DependencyError

TEMPLATES = Path(__file__).with_name("templates")
LONGEST = 26  # characters of a name that the page shows whole
SAID_BETTER = {
    **{"higher": "higher is better", "lower": "lower is better"},
    **{"zero": "best near 0", "one": "best near 1", "context": "context"},
}


def render_page(content: Mapping[str, Any], *, with_map: bool) -> str:
    """Return the whole page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,  # every name of a class, file or checkpoint is somebody else's text
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["brief"] = brief_names(content["names"])
    script = _template("report.js")
    held = [plotting_library(), _template("point_map.js")] if with_map else []
    page = environment.get_template("report.html.j2")
    return page.render(
        **content,
        style=Markup(series_colours() + _template("report.css")),
        said_better=SAID_BETTER,
        script=Markup(script),
        held=[Markup(text) for text in held],
        policy=content_policy([script, *held]),
    )


def brief_names(names: Sequence[str]) -> Callable[[str], str]:
    """Return what writes the checkpoints of a text by what tells them apart; the full name stands in titles."""
    from repdiag.plots.text import short_names

    shown = short_names(names, limit=LONGEST)
    # The longest first: one name may be a part of another.
    order = sorted((name for name in shown if len(name) > LONGEST), key=len, reverse=True)

    def brief(text: str) -> str:
        for name in order:
            text = text.replace(name, shown[name])
        return text

    return brief


def series_colours() -> str:
    """Return the style rules that give each checkpoint the colour that it has in the figures."""
    from repdiag.plots.palette import CHECKPOINT_COLORS

    rules = [f".series-{at} {{ --series: {colour}; }}" for at, colour in enumerate(CHECKPOINT_COLORS)]
    return "\n".join(rules) + "\n"


def content_policy(scripts: list[str]) -> str:
    """Return the policy that lets exactly these scripts run and nothing be fetched.

    The plotting library sets styles from its script, hence 'unsafe-inline' for styles alone.
    """
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def plotting_library() -> str:
    """Return the script of BokehJS with its plotting interface, from the installed bokeh package."""
    try:
        from bokeh.util.paths import bokehjs_path
    except ImportError as error:
        raise DependencyError("the interactive map needs bokeh", hint="pip install bokeh") from error
    folder = Path(bokehjs_path()) / "js"
    return "\n".join((folder / f"{name}.min.js").read_text("utf-8") for name in ("bokeh", "bokeh-api"))


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text("utf-8")


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
