"""A hook of MkDocs: words behind a fence's language, such as no-run, are for the tests and not for the site."""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return the page with the language alone behind each fence; with more MkDocs takes it for no fence."""
    return re.sub(r"^(```\w+) [\w -]+$", r"\1", markdown, flags=re.MULTILINE)
