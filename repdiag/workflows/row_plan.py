"""The plan of an analysis: how many images are read, how often, and why no more; arithmetic alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from repdiag.workflows.row_needs import HALF_WIDTHS, shown_needs
from repdiag.workflows.speaking import show_seconds

PILOT_ROWS = 500
QUICK_BANK = 50
"""Train images of each class that kNN votes with in a quick analysis."""
FEW_ROWS = 2000
"""Below this many images of a part more views of each say more: all hits then are means over `MANY_VIEWS`."""
VIEWS, MANY_VIEWS = 2, 8
BANK_FACTOR = 4
"""So many times the gallery of val, train images narrow a gap by a fifth; more of them hardly narrow it further."""

LimitedBy = Literal["needs", "available", "max_rows", "max_minutes", "quick"]


@dataclass(frozen=True, kw_only=True)
class Supply:
    """What there is to read: classes (1 where there are no labels), images a class of the galleries and of the bank."""

    classes: int
    per_class: int
    bank_per_class: int = 0
    has_train: bool = True
    max_rows: int = 10_000
    bank_default: int = 500
    quick: bool = False

    @property
    def most(self) -> int:
        """Images a class that may be read: what there is, up to `max_rows` of all."""
        return max(2, min(self.per_class, self.max_rows // self.classes))


@dataclass(frozen=True, kw_only=True)
class RowPlan:
    """What is read of each part, and what was known when that was decided."""

    per_class: int
    classes: int
    bank_per_class: int
    views: int
    bank_views: bool
    available: int
    limited_by: LimitedBy
    pilot_per_class: int = 0
    needs: Mapping[str, int] = field(default_factory=dict)
    images_a_second: float | None = None
    seconds: float | None = None
    seconds_for_all: float | None = None

    @property
    def rows(self) -> int:
        """Images of each part."""
        return self.per_class * self.classes

    def sentence(self) -> str:
        """Return the plan in one line."""
        if self.limited_by == "max_minutes" and self.seconds is not None and self.seconds_for_all is not None:
            return (
                f"{self._wanted():,} images would take {show_seconds(self.seconds_for_all)} here; reading "
                f"{self.rows:,} in {show_seconds(self.seconds)}; the rest would {self._narrower()} (--max-minutes)"
            )
        if self.limited_by == "needs":
            said = f"{self.rows:,} of {self.available:,} images of each split are read"
            return f"{said}; the questions need: {shown_needs(self.needs)}"
        which = f"all {self.rows:,}" if self.limited_by == "available" else f"{self.rows:,} of {self.available:,}"
        said = f"{which} images of each split are read"
        if self.views > VIEWS:
            said += f", {self.views} views of each"
        if self.bank_views:
            said += f", and {self.bank_per_class * self.classes:,} train images beside them"
        lacking = {name: rows for name, rows in self.needs.items() if rows > self.rows}
        if lacking:
            more = {"max_rows": " (--max-rows)", "quick": " (--quick)"}.get(self.limited_by, "")
            what = "" if any(name.startswith(HALF_WIDTHS) for name in lacking) else "a power of 80 % "
            said += f"; {what or 'it '}would take: {shown_needs(lacking)}{more}"
        return said

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, for run.json."""
        return {**asdict(self), "needs": dict(self.needs), "rows": self.rows, "sentence": self.sentence()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RowPlan:
        """Rebuild from `to_dict`."""
        return cls(**{name: value for name, value in values.items() if name not in {"rows", "sentence"}})

    def _wanted(self) -> int:
        needed = max(self.needs.values(), default=self.available)
        return min(self.available, needed) if self.needs else self.available

    def _narrower(self) -> str:
        factor = (self._wanted() / max(self.rows, 1)) ** 0.5
        return "halve the interval" if 1.75 <= factor <= 2.3 else f"make intervals {factor:.1f} times narrower"


def first_plan(
    supply: Supply, *, images_a_second: float = math.inf, seconds: float = math.inf, untrained: bool = True
) -> RowPlan:
    """Return the plan of the pilot: `PILOT_ROWS` of each part, or all there are; less where time is short.

    Where there are few images in all, each is looked at in more views if the seconds suffice for that.
    """
    budget = images_a_second * seconds
    most = supply.most
    whole = _plain(supply, most, views=VIEWS)
    views = VIEWS
    if most * supply.classes < FEW_ROWS and not supply.quick:
        fits = (
            number
            for number in (MANY_VIEWS, MANY_VIEWS // 2)
            if encodes(replace(whole, views=number), supply, untrained=untrained) <= budget
        )
        views = next(fits, VIEWS)
    pilot = _plain(supply, min(max(2, PILOT_ROWS // supply.classes), most), views=views)
    pilot = replace(pilot, bank_per_class=0)
    if encodes(pilot, supply, untrained=False) > budget / 2:
        pilot = replace(_within(pilot, supply, encodings=budget / 2, untrained=False), bank_per_class=0)
    return pilot


def fitted(
    supply: Supply,
    needs: Mapping[str, int],
    *,
    pilot: RowPlan,
    images_a_second: float,
    seconds: float,
    untrained: bool = True,
) -> RowPlan:
    """Return the plan that meets the needs as far as images, `max_rows` and the seconds for extraction allow.

    The views are those of the pilot, whose rows are not read again. Where the seconds do not suffice, first the train
    images beyond the gallery are read without views, and then images are left out.
    """
    most = supply.most
    needed = max(needs.values(), default=most * supply.classes)
    wanted = max(2, min(most, -(-needed // supply.classes)))
    plain = replace(_plain(supply, wanted, views=pilot.views), needs=needs, pilot_per_class=pilot.per_class)
    rungs = [plain]
    wide = min(supply.bank_per_class, BANK_FACTOR * wanted)
    if pilot.views > VIEWS and wide > wanted:
        rungs.insert(0, replace(plain, bank_per_class=wide, bank_views=True))
    budget = images_a_second * seconds
    fits = (rung for rung in rungs if encodes(rung, supply, untrained=untrained) <= budget)
    chosen = next(fits, None) or _within(plain, supply, encodings=budget, untrained=untrained)
    reason: LimitedBy = "needs"
    if chosen.per_class < wanted:
        reason = "max_minutes"
    elif most * supply.classes < needed or not needs:
        reason = "available" if most == supply.per_class else "quick" if supply.quick else "max_rows"
    return replace(
        chosen,
        limited_by=reason,
        images_a_second=images_a_second,
        seconds=encodes(chosen, supply, untrained=untrained) / images_a_second,
        seconds_for_all=encodes(plain, supply, untrained=untrained) / images_a_second,
    )


def encodes(plan: RowPlan, supply: Supply, *, untrained: bool) -> int:
    """Return how many images and views go through the encoder, and through its untrained copy where that is read."""
    parts = 2 if supply.has_train else 1
    rows = plan.rows
    beyond = max(0, min(plan.bank_per_class, supply.bank_per_class) - plan.per_class) * plan.classes
    queries = max(0, min(plan.bank_per_class, supply.per_class) - plan.per_class) * plan.classes
    found = parts * rows * (1 + plan.views) + beyond * (1 + plan.views if plan.bank_views else 1) + queries
    if untrained:
        found += parts * rows * (1 + min(plan.views, VIEWS)) + beyond + queries
    return found


def _plain(supply: Supply, per_class: int, *, views: int) -> RowPlan:
    """Return the plan of so many images a class, with train images for kNN beside them."""
    return RowPlan(
        per_class=per_class,
        classes=supply.classes,
        bank_per_class=max(supply.bank_default, per_class) if supply.has_train else 0,
        views=views,
        bank_views=False,
        available=supply.per_class * supply.classes,
        limited_by="needs",
    )


def _within(plan: RowPlan, supply: Supply, *, encodings: float, untrained: bool) -> RowPlan:
    """Return the plan with as many images a class as the encodings allow, two at least; a round number."""
    each = encodes(replace(plan, per_class=1, bank_per_class=1), supply, untrained=untrained)
    number = int(encodings // max(1, each))
    step = 10 ** max(0, len(str(number)) - 2)  # two digits: about the same speed reads the same images again
    number = max(2, min(plan.per_class, number // step * step))
    return replace(plan, per_class=number, bank_per_class=number if supply.has_train else 0)
