"""What follows `--data`: a dataset's name, or KIND:PATH with options, such as `csv:list.csv,label=species`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from repdiag.core.errors import unknown_name
from repdiag.data.reading import READING_OPTIONS

TABLE_OPTIONS = ("image", "label", "split", "group", "root")
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
"""Tables of file names and labels that Hugging Face's `imagefolder` reads beside images."""
_OPTION = re.compile(r"(.*),([a-z_]+)=([^,]*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The kind ("" for a dataset's name), the path or name, and the options behind it."""

    kind: str
    path: str
    options: dict[str, str] = field(default_factory=dict)


def parse_spec(text: str, kinds: tuple[str, ...]) -> Spec:
    """Return the parts of a data name; raise `UsageError` for an option that does not exist.

    Options come last, each as ,NAME=VALUE; a path that exists with the commas in it is a path.
    """
    kind = next((kind for kind in kinds if text.startswith(f"{kind}:")), "")
    path = text[len(kind) + 1 :] if kind else text
    options: dict[str, str] = {}
    while not Path(path).expanduser().exists() and (found := _OPTION.fullmatch(path)):
        path, name, value = found.groups()
        if name not in (*READING_OPTIONS, *TABLE_OPTIONS):
            raise unknown_name("option of the data", name, (*READING_OPTIONS, *TABLE_OPTIONS), hint=f"in {text!r}")
        options.setdefault(name, value)
    return Spec(kind=kind, path=path, options=options)
