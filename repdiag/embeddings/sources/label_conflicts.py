"""Labels that come beside vectors which have their own: refused where they contradict, and always said."""

from __future__ import annotations

import numpy as np

from repdiag.embeddings.sources.labels import Labels, contradictions, expect_agreement
from repdiag.embeddings.sources.vector_options import VectorOptions

_HINT = (
    "--relabel (relabel=True) takes those beside the vectors, leaving them out takes the vectors' own; "
    "where only the order differs, give both files a column of names (id, path)"
)


def over_own(
    own: Labels, beside: Labels, options: VectorOptions, *, names: tuple[str, str], is_file: bool
) -> tuple[str, ...]:
    """Return what is to be said where labels beside the vectors take the place of their own.

    Raises `DataError` where they contradict: those of a file always, those that a program gives where they are the
    same classes. Other names, other numbers, and a finer or coarser set of classes do not contradict.
    """
    taken = f"the labels are those of {names[1]}, not of {names[0]}"
    if own.numbers is None or beside.numbers is None:
        return (f"{taken}.",)
    wrong = len(contradictions(own, beside))
    if not wrong:
        return (f"{taken}.",)
    if not options.relabel and (is_file or _same_classes(own, beside)):
        expect_agreement(own, beside, what=f"{names[0]} and {names[1]}", hint=_HINT)
    return (f"{taken}, which contradict them in {wrong} of {len(own.numbers)} rows.",)


def _same_classes(first: Labels, second: Labels) -> bool:
    one, other = _classes(first), _classes(second)
    return one <= other or other <= one


def _classes(labels: Labels) -> set[str]:
    assert labels.numbers is not None
    given = np.unique(labels.numbers[labels.numbers >= 0]).tolist()
    return {labels.class_names[number] if labels.class_names else str(number) for number in given}
