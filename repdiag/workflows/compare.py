"""`compare`: encoders, or sets of vectors, side by side on the same rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repdiag.core.distributed.first_process import is_first_process
from repdiag.core.errors import RepdiagError
from repdiag.results.places import default_place
from repdiag.workflows.common_dataset import common_dataset
from repdiag.workflows.compare_probes import probe_compared
from repdiag.workflows.compare_sides import Side, analyze_sides, of_the_first
from repdiag.workflows.comparison import Comparison, KeptFolder
from repdiag.workflows.options import AnalysisOptions
from repdiag.workflows.row_sample import Effort, RowSample, quick_note, sample_of
from repdiag.workflows.saving import save_analysis

if TYPE_CHECKING:
    from repdiag.checkpoints.encoder import Encoder
    from repdiag.embeddings.sources.vector_options import VectorOptions
    from repdiag.workflows.analysis import Analysis
    from repdiag.workflows.probed import Probed
    from repdiag.workflows.rows import AnalyzedImages
    from repdiag.workflows.speaking import Speaker
    from repdiag.workflows.targets import Target, Targets

KIND = "compare"


def compare(
    sources: Mapping[str, Any] | Sequence[Any],
    *,
    data: str | None = None,
    labels: Any = None,
    reference: str | None = None,
    out: str | Path | None = None,
    figures: bool = False,
    seed: int = 0,
    progress: bool = False,
    **options: Any,
) -> Comparison:
    """Compare encoders on the same rows and views, with paired tests of every two.

    `sources` maps names to sources of `repdiag.analyze`: checkpoints on the images of `data`, or vectors of the same
    rows with their `labels`. A sequence takes its names from the files. `reference` names the source that all others
    are compared with. `out` keeps the results, and a stopped comparison continues there; without it, results live as
    long as the returned object. `failures` names the sources that could not be read.

    Raises `RepdiagError` if nothing could be compared.

    Example:
        >>> import numpy as np, repdiag
        >>> rng, labels = np.random.default_rng(0), np.arange(80) % 4
        >>> near, far = (np.eye(4)[labels] + scale * rng.normal(size=(80, 4)) for scale in (0.1, 1.0))
        >>> found = repdiag.compare({"near": near, "far": far}, labels=labels, metrics=["r_precision"])
        >>> found.pairs.set_index("question").loc["grouping", "answer"]
        'better'
    """
    from repdiag.workflows.speaking import speaker
    from repdiag.workflows.targets import named_sources
    from repdiag.workflows.vectors import all_vectors

    kept = None if out is not None else KeptFolder()
    folder = kept.path if kept is not None else Path(str(out))
    named = named_sources(sources)
    told = speaker(progress=progress)
    if all_vectors(named.values()):
        found = compare_vectors(named, folder, labels=labels, reference=reference, seed=seed, told=told, **options)
    else:
        chosen = AnalysisOptions(data=data, seed=seed, **options)
        found = compare_sources(named, chosen, folder, told=told, reference=reference, figures=figures)
    return replace(found, kept=kept)


def compare_vectors(
    sources: Mapping[str, Any],
    out: Path,
    *,
    told: Speaker,
    labels: Any = None,
    groups: Any = None,
    bank: Sequence[Any] = (),
    views: Sequence[Any] = (),
    reading: VectorOptions | None = None,
    reference: str | None = None,
    figures: bool = False,
    seed: int = 0,
    overwrite: bool = False,
    quick: bool = False,
    precision: float | None = None,
    **options: Any,
) -> Comparison:
    """Compare sets of vectors of the same rows, joined by their names where they have some; see `compare`.

    `bank` and `views` are one for each set, in their order. `reading` says how the sources are to be read. `quick` and
    `precision` are those of `analyze`, of the same rows of all sets.
    """
    from repdiag.core.distributed.machine import told_by_first
    from repdiag.core.distributed.world import join_world
    from repdiag.embeddings.vector_inputs import beside_each, read_together
    from repdiag.workflows.vectors import analyze_vectors

    drawn = isinstance(groups, str) and groups == "classes"
    how_much: dict[str, Any] = {"quick": quick, "precision": precision}
    effort = Effort(**how_much)
    with join_world(on_gpu=False):
        beside_rows = {"labels": labels, "groups": None if drawn else groups, "options": reading}
        sets, notes = told_by_first(lambda: read_together(sources, **beside_rows))
        beside = beside_each(list(sets), bank=bank, views=views)
        sample = sample_of([*sets.values()], effort, metrics=options.get("metrics"), seed=seed)
        asked: dict[str, Any] = {"seed": seed, "per_row": True, "counting": told.counting}
        asked |= {"groups": groups if drawn else None}
        asked |= {**options, **how_much, "sample": RowSample(rows=sample.rows)}
        said = {
            "seed": seed,
            "classes": "drawn" if drawn else "fixed",
            **how_much,
            "sources": {name: str(source)[:500] for name, source in sources.items() if isinstance(source, str | Path)},
        }
        return _compare(
            [
                Side(name=name, analyze=partial(analyze_vectors, found, name=name, **beside[name], **asked))
                for name, found in sets.items()
            ],
            out,
            options=said,
            seed=seed,
            reading=(*notes, *sample.notes),
            told=told,
            figures=figures,
            reference=reference,
            overwrite=overwrite,
        )


def compare_sources(
    sources: Mapping[str, Any],
    options: AnalysisOptions,
    out: Path,
    *,
    told: Speaker,
    reference: str | None = None,
    figures: bool = False,
) -> Comparison:
    """Compare checkpoints or encoders by name; see `compare`."""
    from repdiag.workflows.targets import Targets, find_checkpoint

    here: list[Any] = []
    for name, source in sources.items():
        found = find_checkpoint(str(source)) if isinstance(source, str | Path) else source
        here.append(replace(found, name=name) if hasattr(found, "read_options") else _Loaded(name, found))
    return compare_checkpoints(Targets(here=tuple(here)), options, out, figures=figures, told=told, reference=reference)


def compare_manifest(manifest: Path, *, told: Speaker, **options: Any) -> Comparison:
    """Compare what a manifest lists, into runs/NAME, with figures; what is done already is not done again."""
    from repdiag.workflows.targets import find_checkpoints

    targets = find_checkpoints([str(manifest)], only=None, download=False, told=told)
    folder = default_place(manifest.stem)
    return compare_checkpoints(targets, AnalysisOptions(**options), folder, figures=True, told=told)


@dataclass(frozen=True)
class _Loaded:
    """An encoder that is in memory already, under a name."""

    name: str
    encoder: Any


def compare_checkpoints(
    targets: Targets,
    options: AnalysisOptions,
    out: Path,
    *,
    figures: bool,
    told: Speaker,
    reference: str | None = None,
    overwrite: bool = False,
) -> Comparison:
    """Analyze every checkpoint into out/checkpoints/NAME, skipping those already done, and join their tables.

    `reference` names the one of them that the judgements of all others are held against. `overwrite` does again what is
    done already, and replaces a result of another kind.
    """
    from repdiag.core.distributed.world import join_world
    from repdiag.workflows.planning import rows_of_all

    spec = options.data or common_dataset(targets.here)
    alone = replace(options, data=spec, per_row=True)  # the paired tests compare image by image
    with join_world(on_gpu=options.device.startswith("cuda")) as world:
        options = replace(alone, distributed=world.size > 1)
        rows = rows_of_all(targets.here, spec, options, folder=out / "checkpoints", told=told, world=world)
        return _compare(
            [_side(target, options, rows, told=told) for target in targets.here],
            out,
            options=options.to_dict(),
            told=told,
            figures=figures,
            reference=reference,
            seed=options.seed,
            failures=targets.failures,
            missing=targets.missing,
            reading=(*rows.notes(), *quick_note(quick=options.quick)),
            overwrite=overwrite,
            probing=partial(probe_compared, targets.here, alone, out, told=told) if options.probes else None,
        )


def _side(target: Any, options: AnalysisOptions, rows: AnalyzedImages, *, told: Speaker) -> Side:
    from repdiag.checkpoints.load import load_with_options
    from repdiag.embeddings.cost import measure_cost
    from repdiag.workflows.analyze import analyze_encoder
    from repdiag.workflows.targets import run_of

    def measured(encoder: Encoder, chosen: AnalysisOptions) -> Analysis:
        cost = measure_cost(encoder, device=chosen.device)
        return replace(analyze_encoder(encoder, rows, chosen, name=target.name, counting=told.counting), cost=cost)

    if isinstance(target, _Loaded):
        return Side(name=target.name, analyze=lambda: measured(target.encoder, options))
    chosen = replace(options, read_options=target.read_options)

    def analyzed() -> Analysis:
        encoder = load_with_options(target.path, chosen.read_options, name=target.name)
        return replace(measured(encoder, chosen), training=run_of(target.path))

    return Side(name=target.name, analyze=analyzed, is_done=lambda folder: _is_done(folder, target, chosen, rows))


def _compare(
    sides: Sequence[Side],
    out: Path,
    *,
    options: dict[str, Any],
    told: Speaker,
    figures: bool,
    reference: str | None,
    seed: int,
    failures: Mapping[str, str] | None = None,
    missing: Mapping[str, str] | None = None,
    reading: tuple[str, ...] = (),
    overwrite: bool = False,
    probing: Callable[..., tuple[Probed, ...]] | None = None,
) -> Comparison:
    """Analyze what is not done yet, join the tables, test every two, and write it all to `out`."""
    from repdiag.results.transaction import begun, replaced
    from repdiag.workflows.figures import draw_comparison

    finishing: dict[str, Any] = {"figures": figures, "again": overwrite, "told": told}
    if not is_first_process():
        analyze_sides(sides, out, save=None, **finishing)
        return of_the_first(None)
    with begun(out, kind=KIND, overwrite=overwrite) as retire:
        save = partial(save_analysis, figures=figures, overwrite=True, before=retire)
        folders, failed = analyze_sides(sides, out, save=save, **finishing)
        failed |= failures or {}
        found = _joined(out, folders, failed, reference=reference, drawn=options.get("classes") == "drawn", seed=seed)
        probed = () if probing is None else probing(names=folders)
        table = found.table.concat([found.table, *(one.table for one in probed)])
        found = replace(found, missing=dict(missing or {}), reading=reading, probed=probed, table=table)
        with replaced(out, overwrite=overwrite, again=KIND) as fresh:
            if figures:
                draw_comparison(found.table, folders, fresh, deployment=found.deployment)
            _write_comparison(found, options, fresh)
    if overwrite:
        _forget_others(out, folders)
    return of_the_first(found)


def _joined(
    out: Path, folders: dict[str, Path], failed: dict[str, str], *, reference: str | None, drawn: bool, seed: int
) -> Comparison:
    """Return the tables of all analyses together, with the tests of every two."""
    from repdiag.core.metric_table import MetricTable
    from repdiag.results.frames.deployment import deployment_frame
    from repdiag.results.reading import read_table, stored_sets
    from repdiag.workflows.common_dimension import read_at_common_dimension
    from repdiag.workflows.drift_beside import drift_beside
    from repdiag.workflows.pairs import compare_pairs, held_against_one
    from repdiag.workflows.ranked import rank_stored, stored_costs

    tables = [read_table(folder) for folder in folders.values()]
    verdicts = {name: json.loads((folder / "verdict.json").read_text("utf-8")) for name, folder in folders.items()}
    if not tables:
        raise RepdiagError("no checkpoint could be analyzed", found="; ".join(failed.values()))
    sets = {name: stored_sets(folder) for name, folder in folders.items()}
    vals = {name: found["val"] for name, found in sets.items()}
    if reference is not None:
        groups = "classes" if drawn else None
        verdicts = held_against_one(reference, verdicts, vals, failures=failed, groups=groups, seed=seed)
    costs, table = stored_costs(folders), MetricTable.concat(tables)
    drift = drift_beside(reference or next(iter(vals)), vals, seed=seed) if len(vals) > 1 else None
    return Comparison(
        table=table,
        verdicts=verdicts,
        folder=out,
        folders=folders,
        failures=failed,
        common=read_at_common_dimension(sets, seed=seed),
        ranked=rank_stored(vals, costs, seed=seed),
        paired=compare_pairs(sets, folders, seed=seed, classes_drawn=drawn),
        reference=reference,
        drift=drift,
        deployment=deployment_frame(table, costs, drift) if costs else None,
    )


def _forget_others(out: Path, folders: Mapping[str, Path]) -> None:
    """Take away the analyses of an earlier comparison that are no part of this one."""
    from repdiag.core.folder_record import forget

    for part in (out / "checkpoints").iterdir():
        if part not in folders.values():
            forget(part)


def _write_comparison(comparison: Comparison, options: dict[str, Any], out: Path) -> None:
    """Write the joined tables, the judgements and run.json into the private folder of a transaction."""
    from repdiag.core.csv_text import csv_text
    from repdiag.core.files import write_json, write_text
    from repdiag.report.headline_csv import write_headline
    from repdiag.results.pairs import read_pairs
    from repdiag.results.verifying import part_identities
    from repdiag.results.writing import write_run, write_tables
    from repdiag.workflows.pairs import write_pairs
    from repdiag.workflows.probed import write_probe_pairs

    write_tables(comparison.table, out)
    if comparison.common is not None:
        write_text(out / "common_dimension.csv", csv_text(comparison.common.table.to_frame()))
    write_pairs(comparison.paired, out)
    write_headline(comparison.table, out, read_pairs(out))
    write_probe_pairs(comparison.probed, out)
    for name, frame in (("drift", comparison.drift), ("deployment", comparison.deployment)):
        if frame is not None and len(frame):
            write_text(out / f"{name}.csv", csv_text(frame))
    write_json(out / "verdict.json", comparison.verdicts)
    write_run(
        out,
        kind=KIND,
        options=options,
        checkpoints={
            name: folder.relative_to(comparison.folder).as_posix() for name, folder in comparison.folders.items()
        },
        parts=part_identities(comparison.folders),
        reference=comparison.reference,
        common_dims=None if comparison.common is None else comparison.common.dims,
        ranking=None if comparison.ranked is None else comparison.ranked.to_dict(),
        notes=list(comparison.notes),
        failures=comparison.failures,
        missing=comparison.missing,
    )


def _is_done(folder: Path, target: Target, options: AnalysisOptions, rows: AnalyzedImages) -> bool:
    """Say whether the folder holds this very file's analysis on these very rows with these very options."""
    from repdiag.checkpoints.reading.safe_load import weight_file
    from repdiag.checkpoints.reading.shards import sha256_of_weights
    from repdiag.core.folder_record import find_record
    from repdiag.core.version import __version__
    from repdiag.results.verifying import check_files

    try:
        record = find_record(folder)
        if record is None or not record.is_finished or not (folder / "per_row.parquet").is_file():
            return False
        check_files(folder)
        run = record.content
        wanted = json.loads(json.dumps(options.to_dict()))  # tuples come back from the file as lists
        same = run["options"] == wanted and run["environment"]["repdiag"] == __version__ and "id" in run
        same = same and run["rows"] == rows.fingerprints()
        return bool(same and run["encoder"]["sha256"] == sha256_of_weights(weight_file(target.path)))
    except (RepdiagError, KeyError, ValueError, TypeError):
        return False
