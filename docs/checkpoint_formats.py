"""The page of checkpoint formats, from the declarations: who is read, in which branches, and what can be assumed."""

from __future__ import annotations

from pathlib import Path

from repdiag.checkpoints.fitting.as_told import NETWORK_OPTIONS
from repdiag.checkpoints.formats.format import Facts, Format, Preprocessing
from repdiag.checkpoints.formats.registry import OURS
from repdiag.checkpoints.keymaps import KEYMAPS
from repdiag.checkpoints.read_options import flag_of

_PROSE = Path(__file__).parent / "checkpoint_formats.txt"
_PLACES = {"formats": "<!-- formats -->", "names": "<!-- names -->", "facts": "<!-- facts -->"}
_FACTS = {
    "heads": "attention heads",
    "pool": "pooling",
    "activation": "activation",
    "norm_eps": "epsilon of layer norms",
    "grid": "rows and columns of patches",
    "resample": "how position embeddings are resized",
    "stem_padding": "padding of a 3x3 stem",
    "stem": "stride and max-pool of a ResNet's stem",
    "output_stride": "strides of a ResNet's last stages",
    "dilated": "what takes the place of strides left out",
    "stride_in": "the convolution in which bottlenecks stride",
}


def formats_page() -> str:
    """Return the page: the hand-written text with the tables put in their places."""
    text = _PROSE.read_text("utf-8")
    for name, table in (("formats", _formats()), ("names", _names()), ("facts", _facts())):
        assert _PLACES[name] in text, f"{_PROSE.name} lacks {_PLACES[name]}"
        text = text.replace(_PLACES[name], table)
    return text


def _formats() -> str:
    rows = ["| format | what it is | tried with | branches, the default first | its own code fixes | read in the file "
            "| may be assumed |"]  # fmt: skip
    rows.append("|---|---|---|---|---|---|---|")
    for form in OURS:
        read = "<br>".join(f"`{place}`" for place in form.reads)
        cells = [f"`{form.name}`", form.title, form.tried, _branches(form), _fixed(form), read, _assumed(form)]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _branches(form: Format) -> str:
    if callable(form.branches):
        return "as the file has them"
    return ", ".join(dict.fromkeys(branch.name for branch in form.branches))


def _fixed(form: Format) -> str:
    """Return the facts that a format states for every file; those that it reads in a file depend on it."""
    known = "" if callable(form.facts) else _stated(form.facts)
    pixels = "" if callable(form.preprocessing) else _input(form.preprocessing)
    return "; ".join(filter(None, (known, pixels)))


def _assumed(form: Format) -> str:
    """Return which facts of a file may have to be assumed: those that its code does not fix."""
    if callable(form.facts):
        return "what its files do not record"
    left = [_FACTS[name] for name in _FACTS if name != "stem" and getattr(form.facts, name) in (None, {}, False)]
    return "all of the network's" if len(left) == len(_FACTS) - 1 else ", ".join(left)


def _stated(facts: Facts) -> str:
    names = [name for name in _FACTS if name != "stem" and getattr(facts, name) not in (None, {}, False)]
    return ", ".join(f"{_FACTS[name]} {_value(getattr(facts, name))}".strip() for name in names)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{heads} at width {width}" if width else str(heads) for width, heads in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)


def _input(pixels: Preprocessing) -> str:
    usual = Preprocessing()
    parts = [f"{pixels.usual_size} px"] if pixels.usual_size else []
    parts += [pixels.interpolation] if pixels.interpolation != usual.interpolation else []
    if (pixels.mean, pixels.std) != (usual.mean, usual.std):
        parts.append(f"mean {_numbers(pixels.mean)}, std {_numbers(pixels.std)}")
    return ", ".join(parts)


def _numbers(values: tuple[float, ...]) -> str:
    return "/".join(f"{value:.4g}" for value in values)


def _names() -> str:
    rows = ["| names of | facts that they bring |", "|---|---|"]
    for keymap in KEYMAPS:
        facts = {**keymap.defaults, **keymap.facts}
        said = ", ".join(f"{name} {_value(value)}" for name, value in facts.items())
        rows.append(f"| {keymap.name} | {said} |")
    return "\n".join(rows)


def _facts() -> str:
    rows = ["| fact | flag |", "|---|---|"]
    rows += [f"| {_FACTS[name]} | `{flag_of(name)}` |" for name in NETWORK_OPTIONS]
    inputs = {
        "image_size": "side of the images",
        "resize": "crop of the centre, or both sides squashed",
        "interpolation": "interpolation",
        "channel_order": "order of the channels, RGB or BGR",
        "mean": "mean of the normalisation",
        "std": "standard deviation of the normalisation",
    }
    rows += [f"| {said} | `{flag_of(name)}` |" for name, said in inputs.items()]
    return "\n".join(rows)
