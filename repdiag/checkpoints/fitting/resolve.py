"""From the content of a file to a filled network: format, branch, names, architecture, match."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.named import HEADS, candidate_by_name
from repdiag.checkpoints.fitting.ceilings import expect_bounded
from repdiag.checkpoints.fitting.infer_arch import Fitted, candidates, fit
from repdiag.checkpoints.fitting.match import match, refuse
from repdiag.checkpoints.formats.format import Branch, Facts, Format
from repdiag.checkpoints.keymaps import KEYMAPS, Renamed, rename
from repdiag.checkpoints.read_options import ReadOptions
from repdiag.checkpoints.reading.branches import choose
from repdiag.checkpoints.reading.contents import Contents, State, under
from repdiag.core.errors import CheckpointError
from repdiag.core.own_code import is_own_code

_NEARLY = 0.9  # a file that fills so much is more likely incomplete than of another architecture
_LIBRARIES = ("timm:", "torchvision:")


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A filled network and where everything in the file went: tensor name -> role."""

    format: Format
    branch: Branch
    present: tuple[str, ...]
    renamed: Renamed
    facts: Facts
    fitted: Fitted
    roles: dict[str, str]


def resolve(contents: Contents, form: Format, read_options: ReadOptions) -> Resolved:
    """Return the filled network of the branch asked for; raises `CheckpointError` with the nearest explanations."""
    branches = form.present_branches(contents)
    if read_options.prefix is not None:
        branches = tuple(replace(branch, prefix=read_options.prefix) for branch in branches if branch.present(contents))
        branches = tuple(branch for branch in branches if branch.present(contents))
    if not branches:
        raise _nothing_under(contents, form, read_options.prefix)
    present = tuple(dict.fromkeys(branch.name for branch in branches))
    if read_options.branch is None and read_options.prefix is None and len(present) > 1 and form.asks(contents):
        raise _which(contents, branches)
    chosen = choose(read_options.branch, present, path=contents.payload.path)
    failures: list[tuple[float, CheckpointError]] = []
    for branch in branches:
        if branch.name == chosen:
            outcome = _try_branch(contents, form, branch, read_options)
            if isinstance(outcome, Resolved):
                return replace(outcome, present=present)
            failures.append(outcome)
    raise max(failures, key=lambda failure: failure[0])[1]


def _which(contents: Contents, branches: Sequence[Branch]) -> CheckpointError:
    places = [f"{item.name} ({item.place}{':' if item.place else ''}{item.prefix or '*'})" for item in branches]
    return CheckpointError(
        f"{contents.payload.path.name} holds {len(branches)} networks, and nothing says which one is meant",
        found=", ".join(places),
        hint=f"name one with --branch {branches[0].name}",
    )


def _try_branch(
    contents: Contents, form: Format, branch: Branch, read_options: ReadOptions
) -> Resolved | tuple[float, CheckpointError]:
    state = under(contents.state(branch.place) or {}, branch.prefix)
    expect_bounded(state)
    renamed = rename(state, KEYMAPS)
    facts = form.facts_of(contents)
    if renamed.keymap:
        open_facts = {name: value for name, value in renamed.keymap.defaults.items() if getattr(facts, name) is None}
        facts = replace(facts, **open_facts, **renamed.keymap.facts)
    facts = _as_asked(facts, read_options)
    attempts, renamed = _options(contents, form, renamed, state, facts=facts, read_options=read_options)
    where = f"{contents.payload.path.name} ({form.name}, {branch.name} branch)"
    heads = (*form.heads, *(part.removeprefix("./") for part in branch.projector if part.startswith("./")))
    failures: list[tuple[float, CheckpointError]] = []
    for options in filter(None, attempts):
        fitted = fit(renamed.state, options, file_name=contents.file_name)
        unknown = [name for name in fitted.match.extra if not _is_head(name, heads)]
        if fitted.match.complete and not unknown:
            roles = _roles(contents, form, branch, fitted=fitted, renamed=renamed)
            return Resolved(
                format=form, branch=branch, present=(), renamed=renamed, facts=facts, fitted=fitted, roles=roles
            )
        explanations = _explanations(contents, form, branch, fitted)
        extra = replace(fitted.match, extra=tuple(unknown))
        error = refuse(extra, what=where, backbone=fitted.candidate.name, explanations=explanations)
        failures.append((fitted.match.fraction, error))
    return failures[0] if failures else (0.0, _unknown_architecture(where, renamed.state))


def _as_asked(facts: Facts, read_options: ReadOptions) -> Facts:
    """Return the facts with the user's word in place of the family's."""
    if read_options.heads is not None:
        facts = replace(facts, heads={0: read_options.heads})
    return facts if read_options.stem_padding is None else replace(facts, stem_padding=read_options.stem_padding)


def _options(
    contents: Contents, form: Format, renamed: Renamed, state: State, *, facts: Facts, read_options: ReadOptions
) -> tuple[Iterable[list[Candidate]], Renamed]:
    """Return the candidate architectures in the order to try them, and their naming: own code has its own names."""
    if (
        read_options.backbone is not None
        and is_own_code(read_options.backbone)
        and not read_options.backbone.startswith(_LIBRARIES)
    ):
        from repdiag.models.backbones import build_backbone

        name = read_options.backbone
        return [[Candidate(name=name, build=lambda: build_backbone(name), layer="output")]], Renamed(state, None)
    if renamed.keymap and renamed.keymap.candidates:
        shaped: Iterable[list[Candidate]] = [renamed.keymap.candidates(renamed.state, facts)]
    else:
        recorded = form.arch(contents) if read_options.backbone is None else None
        shaped = candidates(
            renamed.state,
            facts,
            recorded=recorded if isinstance(recorded, str) else None,
            library=contents.file_name if form.of_libraries else None,
        )
    if read_options.backbone is None:
        return shaped, renamed
    first = next(filter(None, shaped), [])
    same = [option for option in first if _short(option.name) == _short(read_options.backbone)]
    return [same or [candidate_by_name(read_options.backbone)]], renamed


def _short(name: str) -> str:
    """Return an architecture's name without the library before it and the explanation after it."""
    return name.rpartition(":")[2].partition(" (")[0]


def _is_head(name: str, heads: Sequence[str]) -> bool:
    return name.startswith(tuple(heads)) or name.partition(".")[0] in HEADS


def _roles(contents: Contents, form: Format, branch: Branch, *, fitted: Fitted, renamed: Renamed) -> dict[str, str]:
    """Return what became of each tensor of the branch's state dict."""
    projector = _outer(branch)
    others = tuple(
        prefix
        for other in form.present_branches(contents)
        if other.name != branch.name and other.place == branch.place
        for prefix in (other.prefix, *_outer(other))
        if prefix
    )
    roles: dict[str, str] = {}
    for name in contents.state(branch.place) or {}:
        if name.startswith(branch.prefix):
            roles[name] = "backbone"
        elif projector and name.startswith(projector):
            roles[name] = "head"
        elif others and name.startswith(others):
            roles[name] = "other branch"
        elif form.known and name.startswith(form.known):
            roles[name] = "known, not used"
        else:
            roles[name] = "unknown"
    extra = set(fitted.match.extra)
    for name, new in _renamed_names(contents, branch, renamed):
        roles[name] = "head" if new in extra else roles[name]
    return roles


def _outer(branch: Branch) -> tuple[str, ...]:
    """Return where a branch's projection head may be outside of its encoder."""
    return tuple(part for part in branch.projector if not part.startswith("./"))


def _renamed_names(contents: Contents, branch: Branch, renamed: Renamed) -> list[tuple[str, str]]:
    """Pair each name in the file with its new name, by the identity of the tensors."""
    new_names: dict[int, str] = {id(value): name for name, value in renamed.state.items()}
    state: dict[str, Tensor] = contents.state(branch.place) or {}
    return [(name, new_names[id(value)]) for name, value in state.items() if id(value) in new_names]


def _unknown_architecture(where: str, state: State) -> CheckpointError:
    shown = "\n    ".join(f"{name} {tuple(value.shape)}" for name, value in list(state.items())[:8])
    return CheckpointError(
        f"the architecture of {where} is not recognised",
        found=f"{len(state)} tensors:\n    {shown}",
        hint="--backbone NAME (torchvision or timm), --backbone your_file.py:function, or --prefix NAME. "
        "where the encoder's names start otherwise",
    )


def _explanations(contents: Contents, form: Format, branch: Branch, fitted: Fitted) -> list[str]:
    """Return what may be wrong, the nearest first, with the flag that would change it."""
    return [_other_network(fitted), _other_prefix(contents, branch), _other_branch(contents, form, branch, fitted)]


def _other_network(fitted: Fitted) -> str:
    for name in fitted.match.mismatched:
        given, wanted = fitted.given[name], fitted.network.state_dict()[name]
        if given.ndim == wanted.ndim == 4 and given.shape[1] != wanted.shape[1] == 3:
            return (
                f"the network takes images of {given.shape[1]} channels and not of 3, which are all that is read here"
            )
    if fitted.match.complete:
        return "the file has layers that this architecture lacks: name the right one with --backbone"
    another = "another architecture: --backbone NAME or --backbone your_file.py:function"
    return another if fitted.match.fraction < _NEARLY else f"the file is incomplete, or {another}"


def _other_prefix(contents: Contents, branch: Branch) -> str:
    state = contents.state(branch.place) or {}
    starts = sorted({name.partition(".")[0] for name in state if "." in name})[:6]
    return f"another prefix: --prefix, one of {', '.join(start + '.' for start in starts)}"


def _other_branch(contents: Contents, form: Format, branch: Branch, fitted: Fitted) -> str:
    """Say which other branches there are, and how much of the same network each would fill."""
    filled: dict[str, float] = {}
    for other in form.present_branches(contents):
        if other.name != branch.name:
            state = rename(under(contents.state(other.place) or {}, other.prefix), KEYMAPS).state
            filled[other.name] = max(filled.get(other.name, 0.0), match(fitted.network, state).fraction)
    if not filled:
        return "the file has no other branch"
    return "another branch: " + " or ".join(f"--branch {name} (fills {part:.0%})" for name, part in filled.items())


def _nothing_under(contents: Contents, form: Format, prefix: str | None) -> CheckpointError:
    starts = {
        name.partition(".")[0] + "."
        for branch in form.present_branches(contents)
        for name in contents.state(branch.place) or {}
        if "." in name
    }
    return CheckpointError(
        f"{contents.payload.path} has no tensors under {prefix!r}",
        found=f"names start with {', '.join(sorted(starts)[:8]) or 'nothing'}",
        hint="leave --prefix out, or take one of these",
    )
