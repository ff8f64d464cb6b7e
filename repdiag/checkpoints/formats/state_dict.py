"""A state dict of any network under any wrapper: the last resort, for files that no family claims."""

from __future__ import annotations

from dataclasses import replace

from repdiag.checkpoints.architectures.named import HEADS
from repdiag.checkpoints.discover import discovered
from repdiag.checkpoints.facts import Origin
from repdiag.checkpoints.formats.format import Branch, Format, Preprocessing
from repdiag.checkpoints.formats.hugging_face_shapes import networks_of_shapes
from repdiag.checkpoints.formats.normalizations import HALVES, OPENAI
from repdiag.checkpoints.reading.contents import Contents, under

# Where networks of the user's own code are looked for, whose names nothing here knows.
_PLACES = ("state_dict", "model_state_dict", "model", "net", "network", "backbone", "encoder", "weights", "")
_AVERAGED = ("state_dict_ema", "model_ema", "ema", "ema_state_dict")
_WRAPPERS = ("", "model.", "backbone.", "encoder.", "net.", "network.", "model.backbone.", "model.encoder.")
_BESIDE = (
    *("projection_head.layers.", "projection_head.", "projector.", "projection.", "proj_head.", "contrastive_head."),
    *("contrast_head.", "mlp_head.", "head.mlp.", "head."),
)


def _branches(file: Contents) -> tuple[Branch, ...]:
    found = tuple(replace(branch, projector=_projectors(branch.prefix)) for branch in discovered(file))
    if averages := _averages(file, found):
        return averages
    if len(found) > 1:
        return tuple(sorted(found, key=lambda branch: branch.name == "ema"))
    name = found[0].name if found else "online"
    plain = tuple(
        Branch(name=name, place=place, prefix=prefix)
        for place in _PLACES
        if file.state(place)
        for prefix in _WRAPPERS
        if file.has(place, prefix)
    )
    averaged = () if found else tuple(Branch(name="ema", place=place) for place in _AVERAGED if file.state(place))
    return (*found, *plain, *averaged)


def _averages(file: Contents, found: tuple[Branch, ...]) -> tuple[Branch, ...]:
    """Return the branches of files that are made to hold an average, which is then the default; else none.

    ema_pytorch keeps `ema_model` beside `online_model`, Lightning's WeightAveraging the average in `state_dict` and
    the trained weights in `current_model_state`, Mean Teachers `student` and `teacher` of one shape.
    """
    places = {branch.place.partition("/")[0] for branch in found}
    names: dict[str, str] = {}
    if len(found) == 2 and {"state_dict", "current_model_state"} == places:
        names = {"state_dict": "ema", "current_model_state": "online"}
        roles = [(names[branch.place.partition("/")[0]], branch) for branch in found]
    elif len(found) == 2 and all(branch.prefix.startswith(("ema_model.", "online_model.")) for branch in found):
        roles = [(branch.prefix.partition("_")[0], branch) for branch in found]
    elif {branch.name for branch in found} == {"student", "teacher"} == places and _same_shapes(file, found):
        roles = [(branch.name, branch) for branch in found]
    else:
        return ()
    averages = ("ema", "teacher")
    return tuple(replace(branch, name=name) for name, branch in sorted(roles, key=lambda item: item[0] not in averages))


def _same_shapes(file: Contents, branches: tuple[Branch, ...]) -> bool:
    """Say whether the networks have the same tensors, heads aside: one can then be the other's average."""
    shapes = [
        {
            name: value.shape
            for name, value in under(file.state(branch.place) or {}, branch.prefix).items()
            if name.partition(".")[0] not in HEADS
        }
        for branch in branches
    ]
    return all(other == shapes[0] for other in shapes[1:])


def _projectors(prefix: str) -> tuple[str, ...]:
    """Return where a projection head may be: in the place of the classifier, or beside the encoder."""
    outer = prefix.rstrip(".").rpartition(".")[0]
    beside = tuple(f"{outer}.{name}" if outer else name for name in _BESIDE) if prefix else ()
    return ("./fc.", "./projection_head.", "./head.", *beside)


def _needs_a_word(file: Contents) -> bool:
    """Say whether there are several networks besides averages, so that only the user knows which one is meant."""
    return not _averages(file, discovered(file)) and sum(branch.name != "ema" for branch in discovered(file)) > 1


_BESIDE_AVERAGE = "an average of the weights is in the file too, and is not taken; --branch ema takes it"


def _notes(file: Contents) -> tuple[str, ...]:
    averages = _averages(file, discovered(file))
    if not averages:
        names = {branch.name for branch in _branches(file) if branch.present(file)}
        return (_BESIDE_AVERAGE,) if "ema" in names and len(names) > 1 else ()
    first, other = averages[0], averages[1]
    return (f"of two networks of one shape the average is taken, {first.name}; --branch {other.name} for the other",)


# Names that tell whose network it is, and how its authors prepare images.
_HABITS = (
    ("transformer.resblocks.0.", OPENAI, "OpenAI's way, as for CLIP"),
    ("embeddings.class_embedding", OPENAI, "OpenAI's way, as for CLIP"),
    ("attnpool.positional_embedding", OPENAI, "OpenAI's way, as for CLIP"),
    ("head.probe", replace(HALVES, squash=True), "as for SigLIP"),
    ("attn_pool.latent", replace(HALVES, squash=True), "as for SigLIP"),
    ("layernorm_before.", replace(HALVES, squash=True), "as Hugging Face's ViT"),
)


def _preprocessing(file: Contents) -> Preprocessing:
    """Return the habit of whoever made the network, assumed: the file does not say how images were prepared."""
    for branch in discovered(file):
        names = under(file.state(branch.place) or {}, branch.prefix)
        for sign, habit, whose in _HABITS:
            if any(sign in name for name in names):
                return replace(habit, origin=Origin("assumed", whose))
    return Preprocessing(origin=Origin("assumed", "ImageNet's way"))


FORMAT = Format(
    name="state_dict",
    title="plain state dict",
    tried="torch 2.15, torchvision 0.29, timm 1.0.31, lightning 2.6, peft 0.21, ema-pytorch 0.8, "
    "segmentation-models-pytorch 0.6, MONAI 1.6, vit-pytorch 1.26",
    recognise=lambda file: bool(_branches(file)),
    branches=_branches,
    asks=_needs_a_word,
    least_linear=2,
    of_libraries=True,
    notes_on=_notes,
    preprocessing=_preprocessing,
    last_networks=networks_of_shapes,
    arch=lambda file: file.setting("arch") or file.setting("args", "arch") or file.setting("args", "model"),
)
