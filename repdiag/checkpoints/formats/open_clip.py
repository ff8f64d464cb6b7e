"""OpenCLIP (mlfoundations/open_clip): the image tower; what `encode_image` returns, before normalisation."""

from repdiag.checkpoints.formats.format import Branch, Facts, Format
from repdiag.checkpoints.formats.normalizations import OPENAI

_PLACES = ("state_dict", "")

FORMAT = Format(
    name="open_clip",
    title="OpenCLIP",
    recognise=lambda file: any(file.has(place, "visual.", "logit_scale") for place in _PLACES),
    branches=tuple(Branch(name="online", place=place, prefix="visual.") for place in _PLACES),
    known=("transformer.", "token_embedding.", "positional_embedding", "ln_final.", "text_projection", "logit_"),
    preprocessing=OPENAI,
    facts=Facts(heads={1280: 16, 1408: 16, 1664: 16}, pool="projection", norm_eps=1e-5, resample="antialiased"),
    arch=lambda file: None,  # noqa: ARG005 - `name` is the run's
    notes=("activations are taken to be GELU; OpenAI's own weights use QuickGELU",),
)
