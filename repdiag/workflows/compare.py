"""Composition of a comparison: every checkpoint on the same rows and views, resumable, one failure stops no other."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from repdiag.core.errors import RepdiagError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from repdiag.core.metric_table import MetricTable
    from repdiag.workflows.analyze import Analysis, AnalysisOptions, Rows
    from repdiag.workflows.common_dimension import CommonReading
    from repdiag.workflows.pairs import PairTables
    from repdiag.workflows.targets import Target, Targets

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The joined table, one judgement a checkpoint, what could not be analyzed and why, and what is not here.

    `common` is the reading at a common number of dimensions, where the encoders differ in width; `pairs` holds the
    paired tests, where there are two.
    """

    table: MetricTable
    verdicts: dict[str, Any]
    folders: dict[str, Path]
    failures: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    common: CommonReading | None = None
    pairs: PairTables | None = None


def compare_checkpoints(
    targets: Targets,
    options: AnalysisOptions,
    out: Path,
    *,
    figures: bool,
    console: Any,
    reference: str | None = None,
) -> Comparison:
    """Analyze every checkpoint into out/checkpoints/NAME, skipping those already done, and join their tables.

    `reference` names the one of them that the judgements of all others are held against.
    """
    from repdiag.core.metric_table import MetricTable
    from repdiag.results.reading import read_table
    from repdiag.workflows.analyze import choose_rows
    from repdiag.workflows.common_dimension import read_at_common_dimension
    from repdiag.workflows.pairs import compare_pairs

    spec = options.data or _common_dataset(targets.here)
    options = replace(options, data=spec, per_row=True)  # the paired tests compare image by image
    rows = choose_rows(spec, options)
    tables, verdicts, folders = [], {}, {}
    failures = dict(targets.failures)
    for place, target in enumerate(targets.here, start=1):
        folder = out / "checkpoints" / target.name.replace("/", "-")
        chosen = replace(options, read_options=target.read_options)
        try:
            drawn = not figures or (folder / "figures").is_dir()
            if not drawn or not _is_done(folder, target, chosen, rows):
                console.say(f"{place} of {len(targets.here)}: {target.name}")
                analysis = _analyze(target, chosen, rows, console)
                _write(analysis, target, chosen, folder, figures=figures)
            tables.append(read_table(folder))
            verdicts[target.name] = json.loads((folder / "verdict.json").read_text("utf-8"))
            folders[target.name] = folder
        except Exception as error:  # whatever is wrong with one file, or with a user's own code, the rest goes on
            known = isinstance(error, RepdiagError)
            failures[target.name] = str(error) if known else f"{type(error).__name__}: {error}"
            console.say(f"left out {target.name}: {failures[target.name]}")
            _LOG.info("while analyzing %s", target.path, exc_info=not known)
    if not tables:
        raise RepdiagError("no checkpoint could be analyzed", found="; ".join(failures.values()))
    if reference is not None:
        verdicts = _held_against(reference, verdicts, folders, failures, seed=options.seed)
    return Comparison(
        table=MetricTable.concat(tables),
        verdicts=verdicts,
        folders=folders,
        failures=failures,
        missing=targets.missing,
        common=read_at_common_dimension(folders, seed=options.seed),
        pairs=compare_pairs(folders, seed=options.seed),
    )


def write_comparison(comparison: Comparison, options: AnalysisOptions, out: Path) -> None:
    """Write the joined tables, the judgements and, last, run.json."""
    from repdiag.core.files import write_json, write_text
    from repdiag.results.writing import write_run, write_tables
    from repdiag.workflows.pairs import write_pairs

    write_tables(comparison.table, out)
    common = out / "common_dimension.csv"
    if comparison.common is not None:
        write_text(common, comparison.common.table.to_frame().to_csv(index=False, lineterminator="\n"))
    else:
        common.unlink(missing_ok=True)
    write_pairs(comparison.pairs, out)
    write_json(out / "verdict.json", comparison.verdicts)
    write_run(
        out,
        kind="compare",
        options=options.to_dict(),
        checkpoints={name: str(folder) for name, folder in comparison.folders.items()},
        failures=comparison.failures,
        missing=comparison.missing,
    )


def _held_against(
    reference: str, verdicts: dict[str, Any], folders: dict[str, Path], failures: dict[str, str], *, seed: int
) -> dict[str, Any]:
    """Return the judgements with every checkpoint held against the reference, by paired tests on the same images."""
    from repdiag.diagnosis.comparisons import hold_against
    from repdiag.diagnosis.verdict import Diagnosis
    from repdiag.embeddings.store import load_embedding_set
    from repdiag.workflows.analyze import reference_name

    if reference not in folders:
        raise RepdiagError("the reference could not be analyzed", found=failures.get(reference, reference))
    sets = {name: load_embedding_set(folder / "embeddings" / "val") for name, folder in folders.items()}
    other = {reference_name(reference): sets[reference]}
    held = {}
    for name, verdict in verdicts.items():
        found = Diagnosis.from_dict(verdict)
        beside = found if name == reference else hold_against(found, sets[name], other, null=False, seed=seed)
        held[name] = beside.to_dict()
    return held


def _analyze(target: Target, options: AnalysisOptions, rows: Rows, console: Any) -> Analysis:
    from repdiag.checkpoints.load import load_with_options
    from repdiag.workflows.analyze import analyze_encoder

    encoder = load_with_options(target.path, options.read_options, name=target.name)
    return analyze_encoder(encoder, rows, options, counting=console.counting)


def _write(analysis: Analysis, target: Target, options: AnalysisOptions, folder: Path, *, figures: bool) -> None:
    """Write one checkpoint's results; what was there before is not complete from the first change on."""
    from repdiag.results.writing import prepare, write_analysis
    from repdiag.workflows.figures import draw_analysis

    (folder / "run.json").unlink(missing_ok=True)
    prepare(folder, overwrite=True)
    if figures:
        draw_analysis(analysis, folder, training=target.path.parent.parent)
    write_analysis(analysis, options, folder)


def _is_done(folder: Path, target: Target, options: AnalysisOptions, rows: Rows) -> bool:
    """Say whether the folder holds this very file's analysis on these very rows with these very options."""
    from repdiag.checkpoints.reading.safe_load import weight_file
    from repdiag.checkpoints.reading.shards import sha256_of_weights
    from repdiag.core.version import __version__

    record = folder / "run.json"
    if not record.is_file() or not (folder / "per_row.parquet").is_file():
        return False
    try:
        run = json.loads(record.read_text("utf-8"))
        wanted = json.loads(json.dumps(options.to_dict()))  # tuples come back from the file as lists
        same = run["options"] == wanted and run["environment"]["repdiag"] == __version__
        same = same and run["rows"] == rows.fingerprints()
        return bool(same and run["encoder"]["sha256"] == sha256_of_weights(weight_file(target.path)))
    except (KeyError, ValueError, TypeError):
        return False


def _common_dataset(targets: Sequence[Target]) -> str:
    """Return the dataset that the checkpoints name, when they all name one and the same."""
    from repdiag.checkpoints.load import load_with_options

    named: dict[str, str] = {}
    for target in targets:
        try:
            spec = load_with_options(target.path, target.read_options).info.training.get("data")
        except RepdiagError:
            continue  # reported when its turn comes
        if spec is not None:
            named[target.name] = str(spec)
    if len(set(named.values())) > 1:
        found = ", ".join(f"{name}: {spec}" for name, spec in named.items())
        raise UsageError("the checkpoints were trained on different datasets", found=found, hint="choose with --data")
    if not named:
        hint = "name some with --data, for example --data imagefolder:PATH; `repdiag datasets` lists the rest"
        raise UsageError("the checkpoints do not say which images they were trained on", hint=hint)
    return next(iter(named.values()))
