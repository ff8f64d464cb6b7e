"""Options that mean the same in every command, defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write. Default: see the command.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON only on stdout; everything else goes to stderr.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random numbers.")]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="Use at most this many images of each split, evenly over the classes."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is already at --out.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print more details.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Show no progress.")]
Data = Annotated[
    str | None, typer.Option("--data", help="A dataset's name or imagefolder:PATH; see `repdiag datasets`.")
]
Download = Annotated[bool, typer.Option("--download", help="Download missing datasets and checkpoints of a manifest.")]
StrictData = Annotated[bool, typer.Option("--strict-data", help="Fail on the first corrupt image.")]
CheckContent = Annotated[
    bool, typer.Option("--check-content", help="Read every image file again, even if its size and times are unchanged.")
]
PerClass = Annotated[int, typer.Option("--per-class", min=2, help="Images per class in the evaluation set.")]
PlannedPerClass = Annotated[
    int | None,
    typer.Option("--per-class", min=2, help="Images per class. Default: planned from a pilot."),
]
MaxRows = Annotated[int, typer.Option("--max-rows", min=2, help="At most this many images of train and of val.")]
MaxMinutes = Annotated[float, typer.Option("--max-minutes", min=0.01, help="Time limit for encoding images.")]
Quick = Annotated[bool, typer.Option("--quick", help="A tenth of the time, with wider intervals.")]
Precision = Annotated[
    float | None,
    typer.Option("--precision", help="Take enough rows for accuracy intervals of +- this: .005."),
]
BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Images in one forward pass; changes no value.")]
Workers = Annotated[int, typer.Option("--workers", min=0, help="Processes that decode images; changes no value.")]
Fast = Annotated[
    bool,
    typer.Option("--fast", help="Extract in bfloat16 where the hardware has it: faster, less exact; not for reports."),
]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Extract again, even if the embeddings are cached.")]
Branch = Annotated[str | None, typer.Option("--branch", help="student, teacher, query, key, online, target or ema.")]
Backbone = Annotated[
    str | None, typer.Option("--backbone", help="The architecture: torchvision, timm, or your file.py:function.")
]
Protocol = Annotated[
    str | None,
    typer.Option("--protocol", help="Use the estimators of a publication instead of the defaults: shi2022."),
]
Classes = Annotated[
    Literal["fixed", "drawn"],
    typer.Option(
        "--classes",
        help="Intervals describe other images of these classes (fixed), or other classes of their kind (drawn).",
    ),
]
Mute = Annotated[
    str | None,
    typer.Option("--mute", help="Comma-separated codes of findings to leave out: RD503,RD302."),
]
FailOn = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        help="Exit 3 if one of these is found: over-clustering, overfitting, collapse, inconclusive, "
        "worse-than-reference, a code (RD501), or a number such as knn_accuracy<0.80 (knn_accuracy.low<0.80: "
        "the lower end of its interval).",
    ),
]
Prefix = Annotated[str | None, typer.Option("--prefix", help="Prefix of the names of the encoder's tensors.")]
Heads = Annotated[int | None, typer.Option("--heads", min=1, help="Attention heads (files do not record them).")]
StemPadding = Annotated[
    int | None, typer.Option("--stem-padding", min=0, help="Padding of a 3x3 stem (files do not record it).")
]
ImageSize = Annotated[
    int | None, typer.Option("--image-size", min=1, help="Side of the input in pixels, instead of the family's.")
]
Mean = Annotated[str | None, typer.Option("--mean", help="Mean of the normalisation, such as .5,.5,.5.")]
Std = Annotated[str | None, typer.Option("--std", help="Standard deviation of the normalisation, such as .5,.5,.5.")]
Column = Annotated[
    str | None,
    typer.Option("--column", help="Which column or array holds the vectors: a name, a pattern ('dim_*'), or a,b,c."),
]
LabelColumn = Annotated[str | None, typer.Option("--label-column", help="Which column holds the class labels.")]
GroupColumn = Annotated[
    str | None, typer.Option("--group-column", help="Which column holds the groups of rows drawn together.")
]
Tokens = Annotated[
    str | None, typer.Option("--tokens", help="Of vectors [rows, tokens, dimensions]: class (the first), mean or all.")
]
Quantised = Annotated[
    str | None,
    typer.Option("--quantised", help="Meaning of bytes: bits (packed), SCALE,ZERO of a code, or plain numbers."),
]
Unlabelled = Annotated[
    str | None,
    typer.Option("--unlabelled", help="Labels that mean unlabelled, or none (default: -1, -100, nan, NA, empty)."),
]
Relabel = Annotated[
    bool, typer.Option("--relabel", help="Use --labels even if the labels stored with the vectors contradict it.")
]
Bank = Annotated[Path | None, typer.Option("--bank", help="The train set's vectors, for kNN and probes.")]
BankLabels = Annotated[Path | None, typer.Option("--bank-labels", help="Class labels of the bank's rows.")]
ViewFiles = Annotated[
    list[str] | None,
    typer.Option("--views", help="Another view of the same rows; may be repeated. Or one array [V, N, D]."),
]
MetricNames = Annotated[
    str | None, typer.Option("--metrics", help="Comma-separated names of metrics; default: all that apply.")
]
Names = Annotated[
    str | None, typer.Option("--names", help="Names of the encoders, comma-separated, in order: small,large.")
]


def listed(text: str | None) -> list[str]:
    """Return the words of an option that takes several by commas."""
    return [word.strip() for word in (text or "").split(",") if word.strip()]
