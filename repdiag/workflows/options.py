"""What an analysis may be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from repdiag.checkpoints.read_options import ReadOptions
from repdiag.core.errors import unknown_name

Classes = Literal["fixed", "drawn"]
CLASSES = ("fixed", "drawn")


@dataclass(frozen=True, kw_only=True)
class AnalysisOptions:
    """What an analysis may be told. Device, batch size, workers and processes change no value.

    `per_class` is the number of images of each class; None plans it: a pilot of some 500 images says how many decide
    the questions, up to `max_rows` of each part (or `limit`, which is obeyed either way), as long as they can be read
    in `max_minutes`. `quick` reads the pilot alone, in few views, and repeats less behind values and intervals: about a
    tenth of the cost. `precision` (.005) plans as many rows as bring the intervals of accuracies to this half-width.
    `mute` holds codes of findings that are left out ("RD503"). `classes` are "fixed" (intervals speak of other images
    of these) or "drawn" (of other classes of their kind).
    """

    data: str | None = None
    views: str | None = None
    read_options: ReadOptions = field(default_factory=ReadOptions)
    per_class: int | None = None
    max_rows: int = 10_000
    max_minutes: float = 10.0
    bank_per_class: int = 500
    seed: int = 0
    limit: int | None = None
    untrained: bool = True
    protocol: str | None = None
    per_row: bool = False
    device: str = "cpu"
    batch_size: int = 256
    workers: int = 0
    fast: bool = False
    cache: bool = True
    download: bool = False
    strict_data: bool = False
    check_content: bool = False
    distributed: bool = False
    classes: Classes = "fixed"
    probes: tuple[str, ...] = ()
    """Protocols that a comparison also tries its encoders out by; see `repdiag.probe`."""
    mute: tuple[str, ...] = ()
    quick: bool = False
    precision: float | None = None

    def __post_init__(self) -> None:
        if self.classes not in CLASSES:
            raise unknown_name("kind of classes", self.classes, CLASSES)
        from repdiag.diagnosis.codes import check_codes
        from repdiag.workflows.row_sample import Effort

        Effort(quick=self.quick, precision=self.precision)

        object.__setattr__(self, "mute", check_codes(self.mute))
        if self.protocol is not None:
            from repdiag.metrics.protocols import get_protocol

            get_protocol(self.protocol)  # a typo is said before anything is extracted
        if self.probes:
            from repdiag.downstream.presets import get_protocol as get_probe

            for name in self.probes:
                get_probe(name)

    @property
    def groups(self) -> str | None:
        """Return what intervals and paired tests keep together: whole classes, where these were drawn themselves."""
        return "classes" if self.classes == "drawn" else None

    def to_dict(self) -> dict[str, Any]:
        """Return the options that the values depend on."""
        names = (
            "data",
            "views",
            "per_class",
            "max_rows",
            "max_minutes",
            "bank_per_class",
            "seed",
            "limit",
            "untrained",
            "protocol",
            "fast",
            "classes",
            "mute",
            "quick",
            "precision",
        )
        return {"read_options": self.read_options.to_dict(), **{name: getattr(self, name) for name in names}}
