"""From the content of a file to a filled network: format, branch, names, architecture, match."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from repdiag.checkpoints.architectures.candidate import Candidate
from repdiag.checkpoints.architectures.named import HEADS, candidate_by_name
from repdiag.checkpoints.architectures.pooling import gem_power
from repdiag.checkpoints.architectures.said import as_said
from repdiag.checkpoints.facts import Origin
from repdiag.checkpoints.fitting.as_told import NETWORK_OPTIONS, facts_as_told
from repdiag.checkpoints.fitting.ceilings import expect_bounded
from repdiag.checkpoints.fitting.explanations import explanations, unknown_architecture
from repdiag.checkpoints.fitting.infer_arch import Fitted, candidates, fit
from repdiag.checkpoints.fitting.match import refuse
from repdiag.checkpoints.fitting.reparametrized import multiplied_out
from repdiag.checkpoints.formats.format import Branch, Facts, Format
from repdiag.checkpoints.keymaps import KEYMAPS, Renamed, rename
from repdiag.checkpoints.read_options import ReadOptions, flag_of
from repdiag.checkpoints.reading.branches import choose
from repdiag.checkpoints.reading.contents import Contents, State, under
from repdiag.core.errors import CheckpointError
from repdiag.core.own_code import is_own_code

# What pretraining leaves inside of encoders: tokens in the place of hidden patches, poolers that nothing trained.
_NEVER_USED = (
    "mask_token",
    "masked_embed",
    "n_averaged",
    "pooler.",
    "pooling.p",
    "global_pool.p",
    "embeddings.mask_token",
)
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
    factors: tuple[str, ...] = ()


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
    for branch in branches[:1] if read_options.backbone is None else ():  # whole files, which other libraries read
        told = facts_as_told(form.facts_of(contents), read_options)
        for network in form.last_networks(contents, contents.state(branch.place) or {}, told):
            return replace(_as_read_by_library(contents, form, branch, network, read_options=read_options), facts=told)
    raise max(failures, key=lambda failure: failure[0])[1]


def _which(contents: Contents, branches: Sequence[Branch]) -> CheckpointError:
    places = [f"{item.name} ({item.place}{':' if item.place else ''}{item.prefix or '*'})" for item in branches]
    return CheckpointError(
        f"{contents.payload.path.name} holds {len(branches)} networks, and does not say which one to read",
        found=", ".join(places),
        hint=f"name one: {' or '.join(f'--branch {item.name}' for item in branches[:6])}",
    )


def _try_branch(
    contents: Contents, form: Format, branch: Branch, read_options: ReadOptions
) -> Resolved | tuple[float, CheckpointError]:
    state = under(contents.state(branch.place) or {}, branch.prefix)
    expect_bounded(state)
    state, factors = multiplied_out(state)
    renamed = rename(state, KEYMAPS)
    facts = _facts(contents, form, branch, renamed, read_options=read_options)
    if facts.pool_first:  # the normalisation after the pooling has a name of its own in timm
        moved = {re.sub(r"^norm\.", "fc_norm.", name): value for name, value in renamed.state.items()}
        renamed = replace(renamed, state=moved)
    attempts, renamed = _options(contents, form, renamed, state, facts=facts, read_options=read_options)
    where = f"{contents.payload.path.name} ({form.name}, {branch.name} branch)"
    heads = (*form.heads, *(part.removeprefix("./") for part in branch.projector if part.startswith("./")))
    heads = (*heads, *(renamed.keymap.beside if renamed.keymap else ()))
    failures: list[tuple[float, CheckpointError]] = []
    for options in filter(None, attempts):
        fitted = fit(renamed.state, options, file_name=contents.file_name)
        unknown = [name for name in fitted.match.extra if not _is_head(name, heads)]
        if fitted.match.complete and not unknown:
            _expect_used(read_options, fitted)
            roles = _roles(contents, form, branch, fitted=fitted, renamed=renamed)
            return Resolved(
                format=form, branch=branch, present=(), renamed=renamed, facts=facts, fitted=fitted, roles=roles,
                factors=factors,
            )  # fmt: skip
        extra = replace(fitted.match, extra=tuple(unknown))
        said = explanations(contents, form, branch, fitted=fitted)
        error = refuse(extra, what=where, backbone=fitted.candidate.name, explanations=said)
        failures.append((fitted.match.fraction, error))
    if failures:
        return failures[0]
    return 0.0, unknown_architecture(where, renamed.state, state, unsupported=facts.unsupported)


def _as_read_by_library(
    contents: Contents, form: Format, branch: Branch, network: Candidate, *, read_options: ReadOptions
) -> Resolved:  # fmt: skip
    """Return the network that another library built for the whole file, and what it left of the file's tensors."""
    state = contents.state(branch.place) or {}
    fitted = fit(state, [network], file_name=contents.file_name)
    _expect_used(read_options, fitted)
    unused = set(network.unused)
    heads = {*HEADS, *(start.rstrip(".") for start in form.heads)}
    roles = {
        name: "backbone" if name not in unused else "head" if heads & set(name.split(".")) else "unknown"
        for name in state
    }
    return Resolved(
        format=form, branch=branch, present=(branch.name,), renamed=Renamed(state, None),
        facts=form.facts_of(contents), fitted=fitted, roles=roles,
    )  # fmt: skip


def _facts(
    contents: Contents, form: Format, branch: Branch, renamed: Renamed, *, read_options: ReadOptions
) -> Facts:  # fmt: skip
    """Return what is known besides the tensors: the family's and the file's, the naming's, the user's."""
    facts = form.facts_of(contents)
    if renamed.keymap:
        named = Origin("names", renamed.keymap.name)
        open_facts = {name: value for name, value in renamed.keymap.defaults.items() if getattr(facts, name) is None}
        usual = Origin("assumed", f"as usual for {renamed.keymap.name}")
        facts = facts.with_origin(usual, **open_facts).with_origin(named, **renamed.keymap.facts)
    gem = gem_power(contents.state(branch.place) or {})
    if gem is not None and facts.pool is None:
        facts = facts.with_origin(Origin("tensors", gem[0][-60:]), pool="gem", gem_power=gem[1])
    return facts_as_told(facts, read_options)


def _expect_used(read_options: ReadOptions, fitted: Fitted) -> None:
    """Raise `CheckpointError` for a flag that this network has no use for: it would be ignored in silence."""
    used = {fact.flag for fact in fitted.candidate.facts if fact.source == "told"}
    idle = [flag_of(name) for name in NETWORK_OPTIONS if getattr(read_options, name) is not None]
    idle = [flag for flag in idle if flag not in used]
    if idle:
        raise CheckpointError(
            f"{idle[0]} has no effect on {fitted.candidate.name}",
            found=f"flags for it: {', '.join(fact.flag for fact in fitted.candidate.facts if fact.flag) or 'none'}",
            hint=f"leave {' and '.join(idle)} out",
        )


def _options(
    contents: Contents, form: Format, renamed: Renamed, state: State, *, facts: Facts, read_options: ReadOptions
) -> tuple[Iterable[list[Candidate]], Renamed]:
    """Return the candidate architectures in the order to try them, and their naming: own code has its own names."""
    name = read_options.backbone
    if name is not None and is_own_code(name) and not name.startswith(_LIBRARIES):
        from repdiag.models.backbones import build_backbone

        return [[Candidate(name=name, build=lambda: build_backbone(name), layer="output")]], Renamed(state, None)
    recorded = form.arch(contents) if name is None else None
    if facts.unsupported and facts.origin_of("activation").source != "told":
        shaped: Iterable[list[Candidate]] = []
    elif renamed.keymap and renamed.keymap.candidates:
        shaped = [renamed.keymap.candidates(renamed.state, facts)]
    else:
        shaped = candidates(
            renamed.state,
            facts,
            recorded=recorded if isinstance(recorded, str) else None,
            library=contents.file_name if form.of_libraries else None,
        )
    if name is None:
        return itertools.chain([form.networks(contents, renamed.state, facts)], shaped), renamed
    first = next(filter(None, shaped), [])
    same = [option for option in first if _short(option.name) == _short(name)]
    if first and not same and facts.activation == "quick_gelu" and "quickgelu" in name:
        same = first[:1]  # what tells this one from the plain network is its activation
    return [same or [as_said(candidate_by_name(name), facts, state=renamed.state)]], renamed


def _short(name: str) -> str:
    """Return an architecture's name without the library before it and the explanation after it."""
    return name.rpartition(":")[2].partition(" (")[0]


def _is_head(name: str, heads: Sequence[str]) -> bool:
    return name.startswith((*heads, *_NEVER_USED)) or name.partition(".")[0] in HEADS


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
