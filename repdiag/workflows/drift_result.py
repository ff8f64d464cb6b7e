"""`Drift`: what became of the space between two encoders, ready to be read, gated and kept."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.plain_records import plain_records

if TYPE_CHECKING:
    import pandas as pd

    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricTable
    from repdiag.diagnosis.drift.measure import DriftNumbers
    from repdiag.diagnosis.drift.verdict import DriftFinding

KIND = "drift"
_WORST = 20


@dataclass(frozen=True, kw_only=True, repr=False)
class Drift:
    """The result of `drift`: the verdict on an old and a new encoder, and the numbers behind it.

    `finding` holds verdict, reasons and advice. `numbers` holds the metrics, every row and every class. `notes` say
    what was assumed, joined or left out. `layers` has the signal-to-noise ratio of each layer, if the new encoder is a
    graph that finds other neighbours.

    Example:
        >>> import numpy as np
        >>> import repdiag
        >>> rows = np.random.default_rng(0).normal(size=(80, 6))
        >>> repdiag.drift(rows, rows[:, ::-1].copy()).verdict
        'same neighbourhoods, re-index'
    """

    old: str
    new: str
    finding: DriftFinding
    numbers: DriftNumbers
    notes: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    layers: pd.DataFrame | None = None

    @property
    def verdict(self) -> str:
        """The answer in a few words."""
        return self.finding.verdict

    @property
    def table(self) -> MetricTable:
        """The metrics of the pair, with intervals."""
        return self.numbers.table

    @property
    def rows(self) -> pd.DataFrame:
        """One line per row, the largest change first."""
        return self.numbers.rows

    @property
    def per_class(self) -> pd.DataFrame | None:
        """One line per class, the worst first; None without labels."""
        return self.numbers.per_class

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON values, but only the worst rows."""
        numbers = self.numbers
        return {
            "old": self.old,
            "new": self.new,
            **self.finding.to_dict(),
            "widths": list(numbers.widths),
            "length_ratio": numbers.length_ratio,
            "metrics": self.table.to_records(),
            "classes": None if numbers.classes is None else asdict(numbers.classes),
            "threshold": None if numbers.threshold is None else asdict(numbers.threshold),
            "per_class": None if numbers.per_class is None else plain_records(numbers.per_class),
            "worst_rows": plain_records(numbers.rows.head(_WORST)),
            "layers": None if self.layers is None else plain_records(self.layers),
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """Return the headline, line by line."""
        finding = self.finding
        doubt = "" if finding.conclusive else " (these rows do not decide it with certainty)"
        said = [f"{self.old} -> {self.new}, {len(self.rows)} rows: {finding.verdict}{doubt}"]
        said += [f"  {reason}" for reason in finding.reasons]
        said += [f"  {line}" for line in (*_about_the_rest(self), *_about_layers(self.layers))]
        return [*said, f"  {finding.advice}", *(f"note: {note}" for note in self.notes)]

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write drift.json, metrics.csv, rows.csv, per_class.csv and layers.csv to a folder, whole or not at all.

        It also draws the layers.
        """
        from repdiag.core.csv_text import csv_text
        from repdiag.core.files import write_json, write_text
        from repdiag.results.transaction import replaced
        from repdiag.results.writing import write_run, write_tables
        from repdiag.workflows.figures import FOLDER, draw_frames

        with replaced(Path(folder), overwrite=overwrite, again=KIND) as fresh:
            write_tables(self.table, fresh)
            write_json(fresh / "drift.json", self.to_dict())
            write_text(fresh / "rows.csv", csv_text(self.rows))
            if self.per_class is not None:
                write_text(fresh / "per_class.csv", csv_text(self.per_class))
            if self.layers is not None:
                write_text(fresh / "layers.csv", csv_text(self.layers))
                draw_frames({"layer_noise": self.layers}, fresh / FOLDER, untrained=())
            write_run(fresh, kind=KIND, options=self.options, notes=list(self.notes))
        return Path(folder)

    def __repr__(self) -> str:
        return "\n".join(self.lines())


def save_canary(embeddings: EmbeddingSet, path: Path) -> None:
    """Write the vectors of an encoder with the names and classes of their rows, to hold a later encoder against.

    A plain .npz of arrays features, row_ids and, where there are some, labels: any tool reads it.
    """
    import numpy as np

    from repdiag.core.errors import UsageError
    from repdiag.core.files import write_atomic
    from repdiag.metrics.breakdown import class_names_of

    if path.suffix != ".npz":
        raise UsageError(f"{path} must end in .npz")
    arrays: dict[str, Any] = {
        "features": embeddings.features.cpu().numpy(),
        "row_ids": np.asarray(embeddings.row_ids),
    }
    names = class_names_of(embeddings)
    if names is not None:
        arrays["labels"] = np.asarray(names)
    write_atomic(path, lambda stream: np.savez(stream, **arrays))


def _about_layers(layers: pd.DataFrame | None) -> list[str]:
    """Return where the signal falls first."""
    if layers is None:
        return []
    falls = layers[layers["falls"]].head(3).to_dict(orient="records")
    named = [f"{row['tensor']} ({row['operator']}, to {row['signal_to_noise']:.0f} dB)" for row in falls]
    last = layers.iloc[-1]
    end = f"{last.signal_to_noise:.0f} dB remain at the end"
    where = (
        f"the signal-to-noise ratio first drops at {', '.join(named)}; "
        if named
        else "the signal-to-noise ratio drops at no single layer; "
    )
    return [where + end]


def _about_the_rest(drift: Drift) -> list[str]:
    """Return sentences on rows, lengths, the threshold and the worst classes."""
    from repdiag.core.numbers import show_value

    numbers, said = drift.numbers, []
    cosine = numbers.table.one(metric="row_cosine")
    if cosine.value is not None:
        worst = numbers.rows.sort_values("cosine", kind="stable").iloc[0]
        said.append(f"cosine of a row's two vectors: {cosine.value:.4f}, lowest {worst.cosine:.4f} ({worst.row_id})")
    for name in ("linear_cka", "procrustes_distance"):
        row = numbers.table.one(metric=name)
        if row.value is not None:
            said.append(f"{name} {row.value:.4f}")
    gone = numbers.rows[~numbers.rows["nearest_kept"]]
    if len(gone):
        near = show_value(float((gone["rank"] <= 3).mean()), percent=True)
        said.append(
            f"of {len(gone)} rows with another nearest row, {near} still have the old one among the three nearest"
        )
    if abs(numbers.length_ratio - 1.0) > 0.02:
        said.append(f"vectors are {numbers.length_ratio:.3f} times as long: distances change, cosines do not")
    shift = numbers.threshold
    if shift is not None:
        old, new = (show_value(side.false_accepts, percent=True) for side in (shift.old, shift.new))
        said.append(
            f"at cosine {shift.threshold:.3f} pairs of two classes pass in {old} before and {new} after; pairs of one "
            f"class in {show_value(shift.old.true_accepts, percent=True)} and "
            f"{show_value(shift.new.true_accepts, percent=True)}"
        )
    if numbers.per_class is not None and len(numbers.per_class) > 1:
        worst = numbers.per_class.iloc[0]
        kept = show_value(float(worst.nearest_kept), percent=True)
        said.append(f"fewest nearest rows are kept in the class {worst.class_name}: {kept}")
    return said
