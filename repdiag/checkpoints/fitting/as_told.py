"""The user's word in the place of what is recognised: which options concern the network, and which facts they are."""

from __future__ import annotations

from repdiag.checkpoints.facts import told
from repdiag.checkpoints.formats.format import Facts
from repdiag.checkpoints.read_options import ReadOptions, flag_of

# Options that change what a network computes; one that the network at hand has no use for is refused.
NETWORK_OPTIONS = (
    *("heads", "pool", "activation", "norm_eps", "grid", "resample"),
    *("stem_padding", "stem", "output_stride", "dilated", "stride_in"),
)
_PLAIN = ("pool", "activation", "norm_eps", "grid", "resample", "stem_padding", "output_stride", "dilated", "stride_in")


def facts_as_told(facts: Facts, read_options: ReadOptions) -> Facts:
    """Return the facts with what the user says of them."""
    for name in _PLAIN:
        value = getattr(read_options, name)
        if value is not None:
            facts = facts.with_origin(told(flag_of(name)), **{name: value})
    if read_options.heads is not None:
        facts = facts.with_origin(told("--heads"), heads={0: read_options.heads})
    if read_options.stem is not None:
        stride, pool = read_options.stem
        facts = facts.with_origin(told("--stem"), stem_stride=stride, stem_pool=pool)
    if read_options.backbone is not None and "quickgelu" in read_options.backbone and facts.activation is None:
        facts = facts.with_origin(told("--backbone"), activation="quick_gelu")
    return facts
