"""Makes checkpoints that are changed or made to harm, from a number: the same number gives the same file.

`fuzz` changes what a file says; here something is added that costs: values that double, containers that are copied over
and over, names and numbers that stand for more than the file holds, settings of a wrong type.
"""

from __future__ import annotations

import copy
import functools
import io
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from repdiag.checkpoints.load import convert_checkpoint
from repdiag.checkpoints.own.native import payload_digest
from repdiag.models.cifar_resnet import CifarResNet
from tests.unit.checkpoints import fuzz, hostile

State = dict[str, Tensor]
_ODD = ("", "\x1b]0;x\x07", "a\nsafe   yes", "\u202e", "9" * 4500, "../x", "nan", "blocks.77777777.", "é" * 300)
_BUILDERS = ("collections\nOrderedDict", "builtins\nset", "torch\nSize", "_codecs\nencode", "collections\ndefaultdict",
             "torch._utils\n_rebuild_parameter", "torch._tensor\n_rebuild_from_type_v2", "torch\ndevice", "foo\nBar",
             "torch._utils\n_rebuild_tensor_v2", "torch._utils\n_rebuild_tensor_v3")  # fmt: skip


def attack(number: int, folder: Path) -> Path:
    """Write the file (or folder) of this number below `folder` and return its path."""
    rng = random.Random(number)
    kind = rng.choice(list(KINDS))
    path = folder / f"{number:06}-{kind}{'.safetensors' if kind in ('own', 'names_st') else ''}"
    made = KINDS[kind](rng)
    if isinstance(made, bytes):
        path.write_bytes(made)
        return path
    path.mkdir()
    for name, content in made.items():
        (path / name).write_bytes(content)
    return path


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of a folder's files."""
    return sum(item.stat().st_size for item in path.iterdir()) if path.is_dir() else path.stat().st_size


@functools.cache
def _networks() -> tuple[State, State]:
    from timm.models import VisionTransformer

    torch.manual_seed(0)
    vit = VisionTransformer(img_size=32, patch_size=4, embed_dim=64, depth=2, num_heads=2, num_classes=10)
    return dict(CifarResNet(20).state_dict()), dict(vit.state_dict())


def _state(rng: random.Random) -> State:
    return dict(rng.choice(_networks()))


def _saved(tree: Any, *, zipped: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(tree, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


def _int(value: int) -> bytes:
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def _text(value: str) -> bytes:
    content = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(content)) + content


def _dear(rng: random.Random) -> bytes:
    """Return operations that push one value which is cheap to state and dear to look at."""
    count = 10 ** rng.randint(2, 5)
    return rng.choice(
        [
            lambda: b")" + b"2\x86" * rng.choice((20, 60, 500)),
            lambda: b"]" + b"2\x86\x85" * rng.choice((20, 60, 500)),
            lambda: b"]" * count + b"a" * (count - 1),
            lambda: b")" + b"\x85" * count,
            lambda: b"](" + b"N" * count + b"e",
            lambda: b"}(" + b"".join(b"J" + struct.pack("<i", at) + b"N" for at in range(count)) + b"u",
            lambda: _text("a" * count * 10),
            lambda: _text("\U0001f600" + "a" * count * 10),
            lambda: b"\x8b" + struct.pack("<i", count) + b"\x7f" * count,
            lambda: b"L" + b"9" * rng.choice((100, 4000, 5000)) + b"L\n",
            lambda: b"]q\xc8h\xc8a",
            lambda: _text(rng.choice(_ODD)),
            lambda: _int(rng.choice((2**62, -1, 2**31, 10**12))),
            lambda: b"ctorch\n" + rng.choice((b"FloatStorage", b"qint8", b"device", b"nope")) + b"\n",
            lambda: b"\x8d" + struct.pack("<Q", rng.choice((2**62, 2**40, count))) + b"a",
        ]
    )()


def _grafted(rng: random.Random) -> bytes:
    """A genuine program in which a value was replaced by, or followed by, a dear one."""
    name = rng.choice(("zip", "legacy"))
    data = fuzz.seeds()[name]

    def graft(program: bytes, rng: random.Random) -> bytes:
        parts = fuzz.opcodes(program)
        at = rng.randrange(1, len(parts))
        parts[at : at + rng.choice((0, 1, 1))] = [_dear(rng)]
        return b"".join(parts)

    before = fuzz.changed_program
    fuzz.changed_program = graft
    try:
        return fuzz.CHANGES[name](data, rng)
    finally:
        fuzz.changed_program = before


def _repeated(rng: random.Random) -> bytes:
    """One dear value, handed to a builder or put into a container many times."""
    times = 10 ** rng.randint(3, 5)
    function = b"c" + rng.choice(_BUILDERS).encode() + b"\n"
    step = rng.choice((b"h\x01h\x00\x85R", b"h\x01h\x00\x81", b"h\x00b", b"h\x00Q", b"h\x01h\x00h\x00\x86R",
                       b"h\x00h\x00\x93",
                       b"h\x01)h\x00\x92", b"h\x00h\x00s", b"h\x00a"))  # fmt: skip
    target = rng.choice((b"](", b"}", b"cfoo\nBar\n)R", b")", b"ccollections\nOrderedDict\n)R"))
    program = b"\x80\x02" + _dear(rng) + b"q\x000" + function + b"q\x010" + target + step * times
    return hostile.archive(program + (b"e." if target == b"](" else b"."), extra={"data/0": bytes(4)})


def _renamed(state: State, rng: random.Random) -> dict[Any, Tensor]:
    names = list(state)
    chosen = set(rng.sample(names, rng.randint(1, len(names))))
    number, odd = rng.choice((300, 99_999_999, 10**30)), rng.choice(_ODD)
    change = rng.choice(
        [
            lambda name: name.replace(".0.", f".{number}.").replace(".1.", f".{number + 1}."),
            lambda name: rng.choice(("module.", "_orig_mod.", "backbone.")) * rng.choice((2, 100, 20_000)) + name,
            lambda name: odd + name,
            lambda name: name.replace(".", odd or ".."),
            lambda name: name + "." + "x" * rng.choice((10, 2000, 100_000)),
        ]
    )
    return {change(name) if name in chosen else name: value for name, value in state.items()}


def _names(rng: random.Random) -> bytes:
    if rng.random() < 0.2:
        count, value = 10 ** rng.randint(3, 5) // 2, torch.zeros(1)
        pattern = rng.choice(("blocks.{}.attn.qkv.weight", "layer1.{}.conv1.weight", "module.{}.w", "w{}"))
        return save_any({pattern.format(at): value for at in range(count)} | _state(rng), rng)
    return save_any(_renamed(_state(rng), rng), rng)


def save_any(state: dict[Any, Tensor], rng: random.Random) -> bytes:
    """Return the state dict in one of the layouts of torch, bare or in a training's file."""
    tree = rng.choice([lambda: state, lambda: {"state_dict": state, "arch": rng.choice(_ODD), "epoch": 10**18}])()
    return _saved(tree, zipped=rng.random() < 0.7)


def _names_st(rng: random.Random) -> bytes:
    state = {name: value.clone() for name, value in _renamed(_state(rng), rng).items()}
    return save(state, metadata={rng.choice(_ODD): rng.choice(_ODD)})


def _changed_shapes(state: State, rng: random.Random) -> State:
    for name in rng.sample(list(state), rng.randint(1, 5)):
        value = state[name]
        state[name] = rng.choice(
            [
                lambda value=value: value[..., None],
                lambda value=value: value[:0] if value.ndim else value,
                lambda value=value: torch.zeros(()),
                lambda value=value: torch.zeros(1, 1, 1, 1, 1, 1),
                lambda value=value: torch.zeros(rng.choice((1, 7, 100_000)), *value.shape[2:]),
                lambda value=value: value.long(),
                lambda value=value: value.to(rng.choice((torch.bool, torch.complex64, torch.bfloat16))),
                lambda value=value: torch.full_like(value.float(), float("nan")),
                lambda value=value: value.reshape(-1),
                lambda value=value: torch.zeros(()).expand(value.shape),
            ]
        )()
    for name in rng.sample(list(state), rng.choice((0, 0, 1, 10))):
        del state[name]
    return state


def _shapes(rng: random.Random) -> bytes:
    return save_any(_changed_shapes(_state(rng), rng), rng)


def _json(rng: random.Random, *, depths: tuple[int, ...] = (2, 500)) -> Any:
    plain = [0, -1, 3, 20_000, 10**9, 10**400, 0.5, 1e300, True, None, "", "a" * 100_000, *_ODD, [], [1], {}, {"a": 1}]
    deep: Any = 1
    for _ in range(rng.choice(depths)):
        deep = rng.choice(([deep], {"height": deep}))
    return rng.choice([*plain, deep, [rng.choice(plain) for _ in range(3)], {"shortest_edge": rng.choice(plain)}])


_CONFIG: dict[str, Any] = {"model_type": "vit", "image_size": 32, "num_attention_heads": 2, "layer_norm_eps": 1e-6,
                           "hidden_act": "gelu", "architecture": "resnet20", "pretrained_cfg": {"mean": [0.5] * 3},
                           "architectures": ["x"], "global_pool": "token", "model_args": {"img_size": 32}}  # fmt: skip
_PIXELS = {"size": {"height": 32}, "crop_size": 32, "do_center_crop": True, "image_mean": [0.5] * 3,
           "image_std": [0.5] * 3, "resample": 3}  # fmt: skip


def _sidecars(rng: random.Random) -> dict[str, bytes]:
    config, pixels = copy.deepcopy(_CONFIG), copy.deepcopy(_PIXELS)
    for _ in range(rng.randint(1, 3)):
        table: dict[str, Any] = rng.choice((config, pixels, pixels))
        table[rng.choice(list(table))] = _json(rng)
    files = {"config.json": config, "preprocessor_config.json": pixels, "args.json": _json(rng)}
    kept = rng.sample(list(files), rng.randint(1, 3))
    return {"model.safetensors": save(_state(rng))} | {name: json.dumps(files[name]).encode() for name in kept}


def _index(rng: random.Random) -> dict[str, bytes]:
    state = _state(rng)
    half = dict(list(state.items())[: len(state) // 2])
    rest = {name: value for name, value in state.items() if name not in half}
    files = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    placed: dict[str, Any] = dict.fromkeys(half, files[0]) | dict.fromkeys(rest, files[1])
    for _ in range(rng.randint(0, 2)):
        placed[rng.choice([*placed, *_ODD])] = rng.choice([*files, "../x", "/dev/zero", 1, None, "x" * 5000, *_ODD])
    if rng.random() < 0.2:
        placed |= {f"w{at}": f"model-{at % 1000:05}-of-01000.safetensors" for at in range(60_000)}
    about = rng.choice(({}, {"total_size": _json(rng)}, _json(rng)))
    index = json.dumps({"metadata": about, "weight_map": rng.choice((placed, placed, placed, _json(rng)))}).encode()
    written = {files[0]: save(half), files[1]: save(rest), "model.safetensors.index.json": index}
    return {name: content for name, content in written.items() if rng.random() < 0.95}


@functools.cache
def _converted() -> tuple[dict[str, Any], State]:
    """Return the header and the tensors of a file of our own safe form."""
    import tempfile

    from safetensors import safe_open

    with tempfile.TemporaryDirectory() as folder:
        torch.save(_networks()[0], Path(folder) / "x.pt")
        convert_checkpoint(Path(folder) / "x.pt", Path(folder) / "x.safetensors")
        with safe_open(Path(folder) / "x.safetensors", framework="pt") as file:
            header = json.loads(file.metadata()["header"])
            return header, {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118


def _own(rng: random.Random) -> bytes:
    """Our own safe form with a wrong header and the digest that belongs to it, as a stranger can write it."""
    header, state = _converted()
    header = copy.deepcopy(header)
    for _ in range(rng.randint(1, 3)):
        table: Any = header
        while isinstance(table, dict) and table:
            key = rng.choice(list(table))
            if not isinstance(table[key], dict) or rng.random() < 0.4:
                table[key] = _json(rng)
                break
            table = table[key]
        if rng.random() < 0.3:
            header.pop(rng.choice(list(header)), None)
            header["own"] = _json(rng) if rng.random() < 0.3 else {"config": _json(rng), "image_size": _json(rng)}
    texts = [json.dumps(header), json.dumps(header), json.dumps(_json(rng)), "[" * 100_000, "not json", ""]
    text = rng.choice(texts)
    digest = payload_digest({"header": text, **state})
    return save(state, metadata={"format": "repdiag.encoder.v1", "header": text, "digest": digest})


def _native(rng: random.Random) -> bytes:
    """Our own checkpoint with wrong settings and the digest that belongs to them."""
    tree: dict[str, Any] = {"format": "repdiag", "format_version": 1, "config": "{}", "progress": '{"epoch": 1}',
                            "normalization": '{"mean": [0.5, 0.5, 0.5], "std": [1, 1, 1]}', "image_size": 32,
                            "backbone": _state(rng), "projector": {}}  # fmt: skip
    for name in rng.sample(list(tree)[2:], rng.randint(1, 3)):
        value = _json(rng, depths=(2, 100))
        tree[name] = json.dumps(value) if rng.random() < 0.5 else value
    if rng.random() < 0.3:
        tree.pop(rng.choice(list(tree)[2:]))
    return _saved({**tree, "digest": payload_digest(tree)})


KINDS: dict[str, Callable[[random.Random], bytes | dict[str, bytes]]] = {
    **{
        f"changed_{name}": functools.partial(lambda rng, name: fuzz.CHANGES[name](fuzz.seeds()[name], rng), name=name)
        for name in fuzz.CHANGES
    },
    "grafted": _grafted,
    "repeated": _repeated,
    "names": _names,
    "names_st": _names_st,
    "shapes": _shapes,
    "sidecars": _sidecars,
    "index": _index,
    "own": _own,
    "native": _native,
}
