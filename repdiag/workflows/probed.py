"""`Probed`: what one protocol found of one encoder, and paired tests of several on the same test images."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.numbers import show_interval, show_value

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from repdiag.checkpoints.encoder import EncoderInfo
    from repdiag.core.embedding_set import EmbeddingSet
    from repdiag.core.metric_table import MetricRow, MetricTable
    from repdiag.downstream.protocol import Protocol

KIND = "probe"
# What the first score of a protocol is called in a sentence.
_MEASURES = {
    "top1": "of test images right",
    "mean_per_class": "right, mean over classes",
    "map_11_point": "11-point mean average precision",
    "map": "mean average precision",
    "episode_accuracy": "of queries right, mean over episodes",
    "box_ap": "box AP",
    "mask_ap": "mask AP",
}
PAIR_COLUMNS = (
    *("first", "second", "protocol", "measure", "difference", "ci_low", "ci_high", "p_value", "p_holm", "differs"),
    *("n", "method"),
)


@dataclass(frozen=True, kw_only=True, repr=False)
class Probed:
    """One encoder under one protocol.

    `table` has one row per measure, the main one first. `rows` are the test images. `per_image` holds the main value of
    each image if the value is a mean over images; otherwise `replicates` holds its bootstrap values. `notes` say what
    to know about the numbers.
    """

    protocol: Protocol
    table: MetricTable
    rows: EmbeddingSet
    per_image: Tensor | None = None
    replicates: Tensor | None = None
    notes: tuple[str, ...] = ()
    train_images: int = 0
    info: EncoderInfo | None = None
    excluded: list[dict[str, str]] = field(default_factory=list)

    @property
    def row(self) -> MetricRow:
        """The row of the main measure."""
        return self.table.rows[0]

    @property
    def value(self) -> float | None:
        """The value of the main measure."""
        return self.row.value

    @property
    def name(self) -> str:
        """The name of the encoder."""
        return self.row.checkpoint

    @property
    def summary(self) -> str:
        """The answer in one sentence."""
        row = self.row
        measure = _MEASURES.get(str(row.params["measure"]), str(row.params["measure"]))
        changed = f" with {', '.join(self.protocol.changes)} changed" if self._changed() else ""
        by = f"{self.protocol.name} (version {row.version}){changed}"
        if row.value is None:
            return f"{self.name}: no value by {by}: {row.reason}"
        interval = show_interval(row.ci_low, row.ci_high, percent=True)
        return f"{self.name}: {show_value(row.value, percent=True)} {interval} {measure}, by {by}"

    def save(self, folder: str | Path, *, overwrite: bool = False) -> Path:
        """Write metrics.csv, metrics.parquet, per_row.parquet and run.json to a folder."""
        save_probes([self], Path(folder), options={}, overwrite=overwrite)
        return Path(folder)

    def _changed(self) -> bool:
        return bool(set(self.protocol.changes) - {"seed"})

    def __repr__(self) -> str:
        return "\n".join([self.summary, repr(self.table)])

    def _repr_html_(self) -> str:
        import html

        return f"<div>{html.escape(self.summary)}</div>{self.table._repr_html_()}"


def image_frame(probes: Sequence[Probed]) -> pd.DataFrame:
    """Return one row an image for every probe that has parts by image: the columns of per_row.parquet."""
    import json

    import pandas as pd

    from repdiag.metrics.breakdown import ROW_COLUMNS, class_names_of

    frames = []
    for one in probes:
        if one.per_image is None or len(one.per_image) != len(one.rows):
            continue
        row = one.row
        place = {name: getattr(row, name) for name in ("checkpoint", "dataset", "split", "space", "metric", "version")}
        values = {"row_id": one.rows.row_ids, "value": one.per_image.double().numpy()}
        classes = {"params": json.dumps(dict(row.params), sort_keys=True), "class_name": class_names_of(one.rows)}
        frame = pd.DataFrame({**place, **classes, **values})
        frames.append(frame[frame["value"].notna()])
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(ROW_COLUMNS))


def paired_frame(probes: Sequence[Probed]) -> pd.DataFrame:
    """Return a paired test of every two encoders under the same protocol on the same test images, Holm's correction
    over all of them.
    """
    import numpy as np
    import pandas as pd

    from repdiag.metrics.inference.paired import holm, paired_test

    records: list[dict[str, Any]] = []
    for one, two in itertools.combinations(probes, 2):
        if one.protocol.to_dict() != two.protocol.to_dict():
            continue
        facts = {"first": one.name, "second": two.name, "protocol": one.protocol.name}
        if one.replicates is not None and two.replicates is not None and len(one.rows) == len(two.rows):
            records.append({**facts, "measure": one.row.params["measure"], **_of_replicates(one, two)})
            continue
        if one.per_image is None or two.per_image is None:
            continue
        if not np.array_equal(np.asarray(one.rows.row_ids), np.asarray(two.rows.row_ids)):
            continue
        known = ~(one.per_image.isnan() | two.per_image.isnan())
        if int(known.sum()) < 2 or one.row.params["measure"] == "mean_per_class":
            continue
        labels = None if one.rows.labels is None else one.rows.labels.cpu()[known]
        test = paired_test(one.per_image[known], two.per_image[known], labels=labels)
        found = {name: getattr(test, name) for name in ("difference", "ci_low", "ci_high", "p_value", "n", "method")}
        records.append({**facts, "measure": one.row.params["measure"], **found})
    for record, corrected in zip(records, holm([record["p_value"] for record in records]), strict=True):
        record |= {"p_holm": corrected, "differs": corrected < 0.05}
    return pd.DataFrame.from_records(records, columns=list(PAIR_COLUMNS))


def _of_replicates(one: Probed, two: Probed) -> dict[str, Any]:
    """Return the difference of two values over the same drawn images: the bootstrap's quantiles and its two tails."""
    import torch

    assert one.replicates is not None
    assert two.replicates is not None
    differences = one.replicates - two.replicates
    low, high = torch.quantile(differences, torch.tensor([0.025, 0.975], dtype=differences.dtype)).tolist()
    tails = [int((differences <= 0).sum()) + 1, int((differences >= 0).sum()) + 1]
    return {
        "difference": float(one.value or 0.0) - float(two.value or 0.0),
        "ci_low": low,
        "ci_high": high,
        "p_value": min(1.0, 2.0 * min(tails) / (len(differences) + 1)),
        "n": len(one.rows),
        "method": f"paired bootstrap over test images, {len(differences)} draws",
    }


def pair_sentences(pairs: pd.DataFrame) -> list[str]:
    """Return one sentence a pair of encoders."""
    from repdiag.core.numbers import say_p

    said = []
    for record in pairs.to_dict(orient="records"):
        points = 100.0 * abs(record["difference"])
        better, worse = (record["first"], record["second"])
        if record["difference"] < 0:
            better, worse = worse, better
        low, high = (100.0 * record[end] for end in ("ci_low", "ci_high"))
        if record["difference"] < 0:
            low, high = -high, -low
        test = f"[{low:.1f}, {high:.1f}] points, {say_p(record['p_holm'])} after Holm"
        if record["differs"]:
            said.append(f"{better} is better than {worse} by {record['protocol']}: {points:.1f} {test}")
        else:
            said.append(f"{better} and {worse} are statistically tied by {record['protocol']}: {points:.1f} {test}")
    return said


def probe_lines(probes: Sequence[Probed]) -> list[str]:
    """Return what a comparison prints of its probes: a sentence an encoder and a sentence a pair."""
    if not probes:
        return []
    pairs = pair_sentences(paired_frame(probes))
    return ["", "downstream:", *(f"  {one.summary}" for one in probes), *(f"  {sentence}" for sentence in pairs)]


def write_probe_pairs(probes: Sequence[Probed], out: Path) -> None:
    """Write per_row_probes.parquet and paired_probes.csv of a comparison; nothing without probes."""
    from repdiag.core.csv_text import csv_text
    from repdiag.core.files import write_atomic, write_text

    if probes:
        images = image_frame(probes)
        write_atomic(out / "per_row_probes.parquet", lambda stream: images.to_parquet(stream, index=False))
        write_text(out / "paired_probes.csv", csv_text(paired_frame(probes)))


def save_probes(
    probes: Sequence[Probed], out: Path, *, options: Mapping[str, Any], overwrite: bool, **content: Any
) -> None:
    """Write the tables, the parts by image, the paired tests and run.json, whole or not at all."""
    from repdiag.core.csv_text import csv_text
    from repdiag.core.files import write_atomic, write_text
    from repdiag.core.metric_table import MetricTable
    from repdiag.results.transaction import replaced
    from repdiag.results.writing import write_run, write_tables

    with replaced(out, overwrite=overwrite) as fresh:
        write_tables(MetricTable.concat(one.table for one in probes), fresh)
        images = image_frame(probes)
        write_atomic(fresh / "per_row.parquet", lambda stream: images.to_parquet(stream, index=False))
        if len(probes) > 1:
            write_text(fresh / "paired_probes.csv", csv_text(paired_frame(probes)))
        protocols = {one.protocol.name: one.protocol.to_dict() for one in probes}
        encoders = {one.name: one.info.to_dict() for one in probes if one.info is not None}
        notes = list(dict.fromkeys(note for one in probes for note in one.notes))
        excluded = [item for one in probes[:1] for item in one.excluded]
        write_run(
            fresh,
            kind=KIND,
            options=dict(options),
            protocols=protocols,
            encoders=encoders,
            notes=notes,
            excluded=excluded,
            **content,
        )
