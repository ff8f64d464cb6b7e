"""Plans the rows of an analysis: a pilot, what it says is needed, and as many images as the time allows."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from repdiag.workflows.measure import ExtractionClock, extract_sets
from repdiag.workflows.row_needs import pilot_needs
from repdiag.workflows.row_plan import PILOT_ROWS, QUICK_BANK, RowPlan, Supply, first_plan, fitted
from repdiag.workflows.rows import AnalyzedImages, Parts, choose_rows, chosen_images, open_parts

if TYPE_CHECKING:
    from pathlib import Path

    from repdiag.checkpoints.encoder import Encoder
    from repdiag.core.distributed.world import World
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.workflows.options import AnalysisOptions
    from repdiag.workflows.speaking import Speaker

_LOG = logging.getLogger(__name__)
_TRIAL_ROWS = (8, 32)  # images that the speed is measured with before the pilot; the second where the first was quick
_QUICK = 1.0  # seconds
_WORTH_SAYING = 20.0  # seconds of extraction from which on the plan is said before it begins

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The rows, and for each encoder what was extracted of them on the way."""

    rows: AnalyzedImages
    known: tuple[Mapping[str, EmbeddingSet], ...] = field(default=())

    def known_of(self, place: int) -> Mapping[str, EmbeddingSet]:
        """Return the pilot's sets of one encoder."""
        return self.known[place] if place < len(self.known) else {}


def plan_rows(
    spec: str,
    encoders: Sequence[Callable[[], Encoder]],
    options: AnalysisOptions,
    *,
    world: World | None = None,
    say: Say | None = None,
    earlier: RowPlan | None = None,
) -> Planned:
    """Return the rows that decide the questions about all encoders, chosen after a pilot of each.

    An encoder that cannot be loaded is passed over: whoever analyzes it says why. `earlier` is a plan that these
    results were begun with, which is kept.
    """
    parts = open_parts(spec, options)
    supply = supply_of(parts, options)
    told = say or (lambda _: None)
    if earlier is not None:
        return Planned(rows=images_of(parts, earlier, options=options))
    found = [each for each in (_piloted(make, parts, supply, options, world=world) for make in encoders) if each]
    if not found:
        return Planned(rows=images_of(parts, first_plan(supply), options=options))  # all of them say why, in their turn
    needs: dict[str, int] = {}
    for each in found:
        needs |= {name: max(rows, needs.get(name, 0)) for name, rows in each.needs.items()}
    plan = fitted(
        supply,
        needs,
        pilot=min((each.plan for each in found), key=lambda plan: (plan.views, plan.per_class)),
        images_a_second=min(each.images_a_second for each in found),
        seconds=60.0 * options.max_minutes,
        untrained=options.untrained,
    )
    if plan.limited_by == "max_minutes" or (plan.seconds or 0.0) > _WORTH_SAYING:
        told(f"plan: {plan.sentence()}")
    rows = images_of(parts, plan, options=options)
    return Planned(rows=rows, known=tuple(each.sets for each in found))


def rows_of_all(
    targets: Sequence[Any],
    spec: str,
    options: AnalysisOptions,
    *,
    folder: Path,
    told: Speaker,
    world: World | None = None,
) -> AnalyzedImages:
    """Return the rows that all targets are read on: as many as are asked for, or as pilots of all of them need.

    `folder` holds the analyses that are finished already, whose plan is kept.
    """
    from repdiag.checkpoints.load import load_with_options
    from repdiag.core.distributed.machine import told_by_first_of_all
    from repdiag.core.progress import listening

    if options.per_class is not None:
        return choose_rows(spec, options)

    def encoder_of(target: Any) -> Encoder:
        found: Encoder | None = getattr(target, "encoder", None)
        return found if found is not None else load_with_options(target.path, target.read_options, name=target.name)

    encoders = [partial(encoder_of, target) for target in targets]
    with listening(told.counting):
        earlier = told_by_first_of_all(earlier_plan(folder, options))
        return plan_rows(spec, encoders, options, world=world, say=told.say, earlier=earlier).rows


def earlier_plan(folder: Path, options: AnalysisOptions) -> RowPlan | None:
    """Return the plan of analyses that a comparison with these options has finished already, None without any."""
    from repdiag.core.errors import RepdiagError
    from repdiag.core.folder_record import find_record

    wanted = json.loads(json.dumps({**options.to_dict(), "read_options": None}))
    for part in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            record = find_record(part)
            if record is None or not record.is_finished:
                continue
            plan = record.content.get("plan")
            if plan and {**record.content["options"], "read_options": None} == wanted:
                return RowPlan.from_dict(plan)
        except (RepdiagError, OSError, ValueError, KeyError, TypeError) as error:
            _LOG.info("no earlier plan in %s: %s", part, error)
    return None


def supply_of(parts: Parts, options: AnalysisOptions) -> Supply:
    """Return what there is to read of the parts, and how much of it may be."""
    import numpy as np

    most = options.max_rows if options.limit is None else min(options.max_rows, options.limit)
    most = min(most, PILOT_ROWS) if options.quick else most
    splits = [split for split in (parts.val, parts.train) if split is not None]
    bank = options.bank_per_class if options.limit is None else min(options.bank_per_class, options.limit)
    bank = min(bank, QUICK_BANK) if options.quick else bank
    if not parts.labelled:
        rows = min(map(len, splits))
        there = {"has_train": parts.train is not None, "quick": options.quick}
        return Supply(classes=1, per_class=rows, max_rows=most, bank_default=0, **there)
    counts = np.array([split.class_counts() for split in splits])
    common = np.all(counts > 0, axis=0)
    kept = common if common.any() else counts.sum(axis=0) > 0
    rarest = int(counts[:, kept].min()) if common.any() else int(counts[counts > 0].min())
    train = counts[-1][counts[-1] > 0]
    return Supply(
        classes=max(1, int(kept.sum())),
        per_class=max(1, rarest),
        bank_per_class=int(train.min()) if parts.train is not None and len(train) else 0,
        has_train=parts.train is not None,
        max_rows=most,
        quick=options.quick,
        bank_default=max(2, min(bank, most // max(1, int(kept.sum()))) if options.limit is not None else bank),
    )


def images_of(parts: Parts, plan: RowPlan, *, options: AnalysisOptions) -> AnalyzedImages:
    """Return the images of a plan, and which of them its pilot read."""
    bank = max(1, plan.bank_per_class)
    found = chosen_images(parts, per_class=plan.per_class, bank_per_class=bank, seed=options.seed)
    pilot = {}
    if plan.pilot_per_class > 0:
        early = chosen_images(parts, per_class=plan.pilot_per_class, bank_per_class=1, seed=options.seed)
        pilot = {role: split for role, split in early.parts().items() if role in ("train", "val")}
    return replace(found, plan=plan, pilot=pilot, said=(*found.said, f"rows: {plan.sentence()}"))


@dataclass(frozen=True, kw_only=True)
class _Pilot:
    plan: RowPlan
    needs: Mapping[str, int]
    images_a_second: float
    sets: Mapping[str, EmbeddingSet]


def _piloted(
    make: Callable[[], Encoder], parts: Parts, supply: Supply, options: AnalysisOptions, *, world: World | None
) -> _Pilot | None:
    from repdiag.core.errors import RepdiagError

    try:
        encoder = make()
    except RepdiagError as error:
        _LOG.info("no pilot: %s", error)
        return None
    kept = _kept_speed(encoder, parts, options)
    before = kept.read()
    speed = before or _agreed(_trial_speed(encoder, parts, options), world)
    seconds = 60.0 * options.max_minutes
    plan = first_plan(supply, images_a_second=speed, seconds=seconds, untrained=options.untrained)
    rows = images_of(parts, plan, options=options)
    clock = ExtractionClock()
    sets = extract_sets(encoder, rows, options, only=("train", "val"), clock=clock)
    if before is None:
        if clock.images:
            speed = _agreed(clock.images / max(clock.seconds, 1e-6), world)
        kept.write(speed)
    needs = pilot_needs(sets["val"], sets.get("train"), options.precision)
    return _Pilot(plan=plan, needs=needs, images_a_second=speed, sets=sets)


def _trial_speed(encoder: Encoder, parts: Parts, options: AnalysisOptions) -> float:
    """Return how many images and views a second this machine reads and encodes, from a few of them."""
    alone = replace(options, cache=False, distributed=False)
    speed = math.inf
    for number in _TRIAL_ROWS:
        clock = ExtractionClock()
        few = AnalyzedImages(val=parts.val.limited(number, seed=options.seed))
        extract_sets(encoder, few, alone, only=("val",), clock=clock)
        speed = clock.images / max(clock.seconds, 1e-6)
        if clock.seconds > _QUICK:
            break
    return speed


def _agreed(speed: float, world: World | None) -> float:
    """Return the speed of all processes together, by the slowest of them, so that all plan the same."""
    if world is None or world.size == 1:
        return speed
    slowest = world.agree(math.ceil(1e6 / speed)) / 1e6
    return world.size / slowest


@dataclass(frozen=True)
class _KeptSpeed:
    """The speed that an encoder had here before: the same plan comes out, and the cache has its embeddings."""

    path: Path | None

    def read(self) -> float | None:
        if self.path is None:
            return None
        try:
            speed: Any = json.loads(self.path.read_text("utf-8"))["images_a_second"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return float(speed) if isinstance(speed, int | float) and 0.0 < speed < math.inf else None

    def write(self, speed: float) -> None:
        from repdiag.core.files import write_json

        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                write_json(self.path, {"images_a_second": speed})
            except OSError as error:
                _LOG.info("the speed of extraction could not be kept: %s", error)


def _kept_speed(encoder: Encoder, parts: Parts, options: AnalysisOptions) -> _KeptSpeed:
    from repdiag.embeddings.cache import EmbeddingCache, cache_root
    from repdiag.embeddings.extract import weights_digest

    if not options.cache:
        return _KeptSpeed(None)
    key = EmbeddingCache.key(
        {
            "weights": weights_digest(encoder),
            "size": encoder.info.image_size,
            "rows": parts.val.fingerprint,
            "device": options.device,
            "fast": options.fast,
        }
    )
    return _KeptSpeed(cache_root() / "speeds" / f"{key}.json")
