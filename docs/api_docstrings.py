"""An extension of griffe for the API pages: fits our docstrings to griffe's Google style.

Our headings are `Example:`, and `Columns:` before an aligned table. Griffe knows `Examples:`, and would join the lines
of the table into one paragraph.
"""

from __future__ import annotations

import re
import textwrap
from typing import Any

from griffe import Extension, Object

_TABLE = re.compile(r"^Columns:\n((?:[ \t]+\S.*(?:\n|$))+)", re.MULTILINE)


class OurDocstrings(Extension):
    """Gives every example its own section, and keeps tables of columns as they are aligned."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of one object."""
        if obj.docstring:
            obj.docstring.value = fitted(obj.docstring.value)


def fitted(docstring: str) -> str:
    """Return a docstring as griffe's Google style reads it."""
    text = re.sub(r"^Example:$", "Examples:", docstring, flags=re.MULTILINE)
    return _TABLE.sub(lambda found: f"**Columns**\n\n```text\n{textwrap.dedent(found[1]).rstrip()}\n```\n", text)
