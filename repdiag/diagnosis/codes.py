"""The stable codes of findings: what each means, why it matters, and what would decide it. docs/findings.md shows them.

A code keeps its meaning for good: a finding that goes leaves its number unused.
"""

from __future__ import annotations

from dataclasses import dataclass

from repdiag.core.errors import UsageError, unknown_name


@dataclass(frozen=True, kw_only=True)
class Code:
    """One kind of finding. `means` and `matters` are for a reader who sees it for the first time."""

    code: str
    title: str
    question: str
    means: str
    matters: str
    decides: str
    tries: str


_CODES = (
    Code(
        code="RD101",
        title="over-clustered",
        question="over_clustering",
        means="Images of one class fall into several separate groups. Held-out dip bisection finds them: a direction "
        "learned on one half of the rows divides the other half into two modes.",
        matters="Nearest neighbours are right, deeper ones are not: retrieval lists, clusterings and few-shot "
        "prototypes break first, a linear probe last. Labels that join several kinds (vehicle, animal) show the same.",
        decides="48 rows a class; small islands want more. `split_classes` names the classes and the number of groups.",
        tries="Look at the split classes first. Then temperature, harder views, another projector, distillation.",
    ),
    Code(
        code="RD102",
        title="under-clustered",
        question="over_clustering",
        means="Half as many clusters as classes agree with the classes better than one a class: "
        "classes share clusters.",
        matters="The encoder does not tell some classes apart, or does so in directions with little variance, which a "
        "probe uses and a neighbour search does not.",
        decides="`granularity_slope` at factor .5, lower end of its interval above `coarser`.",
        tries="Read the per-class table: which classes are taken for one another? Finer labels, gentler views.",
    ),
    Code(
        code="RD103",
        title="over-clustering is open",
        question="over_clustering",
        means="The rows do not say whether classes fall into groups: too few of a class, or clusters that hardly know "
        "the classes at all.",
        matters="Nothing is excluded and nothing is found.",
        decides="48 labelled rows a class or more.",
        tries="Give more labelled images of each class (`--per-class`).",
    ),
    Code(
        code="RD104",
        title="single classes in separate groups",
        question="over_clustering",
        means="A class or two fall into separate groups, and the others are one group each: the space as a whole is "
        "not over-clustered.",
        matters="Healthy encoders show it of labels that join two kinds of image, such as flat and heeled sandals.",
        decides="`split_mild`: up to that share of the classes is named and no more.",
        tries="Look at the class along the direction that divides it (figure `split_classes`): two kinds, two sources, "
        "or the encoder's own doing?",
    ),
    Code(
        code="RD201",
        title="overfits the pretext task",
        question="overfitting",
        means="The encoder matches two views of a train image more often than two views of a new one, in galleries of "
        "equal size and classes, by more than `overfitting_gap`.",
        matters="It recognises its training images. More of them, or stronger views, will help; a longer run will not.",
        decides="The interval of `pretext_gap` against 2, 5 and 10 points: none, mild, marked, severe.",
        tries="More images, stronger augmentation, more weight decay, or an earlier stop.",
    ),
    Code(
        code="RD202",
        title="overfits the labels",
        question="overfitting",
        means="The nearest image is of the same class more often on train than on new images, "
        "by more than `label_gap`.",
        matters="Accuracy read on train promises what new images will not give.",
        decides="The interval of `label_gap` against 8, 15 and 25 points; healthy encoders have 4 to 8.",
        tries="More labelled images, augmentation, weight decay, label smoothing, or an earlier stop.",
    ),
    Code(
        code="RD203",
        title="overfitting is open",
        question="overfitting",
        means="The interval of the gap between train and new images holds both no overfitting and a marked one, or "
        "there is nothing to compare: no train images, no views.",
        matters="What is excluded stands in the sentence.",
        decides="As many images as the sentence says; of vectors, those of the train set (`--bank`) and views.",
        tries="Give more images of each class (`--per-class`); for vectors add `--bank` and `--views`.",
    ),
    Code(
        code="RD301",
        title="complete collapse",
        question="collapse",
        means="All images have nearly the same representation.",
        matters="No number about such a space means anything.",
        decides="Variance of the unit rows below `complete_variance`.",
        tries="Check loading and preprocessing first, then the mechanism against collapse of the method.",
    ),
    Code(
        code="RD302",
        title="cone collapse",
        question="collapse",
        means="All rows point nearly the same way; what differs is small beside a common offset.",
        matters="Cosines near 1 mean nothing, and a threshold on them does not transfer. Order is often intact.",
        decides="Mean cosine of random pairs above `cone_cosine`.",
        tries="Centre the features before comparing them.",
    ),
    Code(
        code="RD303",
        title="dimensional collapse",
        question="collapse",
        means="The variance lives in few of the directions that there are.",
        matters="The width is paid for and not used; an index of these vectors could be smaller.",
        decides="The share of dead directions, a cliff in the spectrum, or a smooth rank far below the width.",
        tries="Weaker augmentation, a variance-covariance term, a projector; or fewer dimensions.",
    ),
    Code(
        code="RD304",
        title="collapse is open",
        question="collapse",
        means="The interval holds the threshold, or too few rows are there to see the spectrum.",
        matters="Complete collapse is seen from two rows; a spectrum wants more rows than dimensions.",
        decides="More rows than dimensions.",
        tries="Give more images of each class (`--per-class`).",
    ),
    Code(
        code="RD401",
        title="images are not prepared as in training",
        question="preprocessing",
        means="At the first batch norm the images have another contrast or brightness than the training images had.",
        matters="The network computes other features, without any error. Every number of the page is then of no use.",
        decides="The median log variance ratio of the channels beyond 1, with three quarters of them on that side.",
        tries="Set `--mean` and `--std`; the sentence names the common normalisation that fits best.",
    ),
    Code(
        code="RD402",
        title="the file's classifier does not know these classes",
        question="preprocessing",
        means="The classifier inside the checkpoint is right about the labels of these images no more "
        "often than chance.",
        matters="Weights or preprocessing are wrong, or the folders are not in the order of the classifier's outputs.",
        decides="Top-1 of the file's own classifier on the labelled images against 1 / classes.",
        tries="Compare the order of the class folders with the one that the classifier was trained on; then `--mean`, "
        "`--std` and `--image-size`.",
    ),
    Code(
        code="RD501",
        title="near-copies",
        question="rows",
        means="Some rows are so much nearer to one another than other neighbours are that they are copies.",
        matters="Copies make nearest-neighbour accuracy too good and intervals too narrow.",
        decides="Distance to the nearest row below a sixth of that to the tenth.",
        tries="Look at them in rows_to_check.csv; drop them, or tell which rows belong together with `--groups`.",
    ),
    Code(
        code="RD502",
        title="copies across train and val",
        question="rows",
        means="Rows of val have near-copies among the train rows.",
        matters="What is measured on them is memory.",
        decides="As for near-copies, across the two sets.",
        tries="Take them out of val, or split by scene, patient or video.",
    ),
    Code(
        code="RD503",
        title="labels to check",
        question="rows",
        means="Hardly any neighbour has the row's label and most agree on another one.",
        matters="Wrong labels bound every accuracy; the encoder's own errors look the same.",
        decides="Of the 20 nearest rows at least .8 of one other label and at most .1 of the own.",
        tries="Look at the first rows of rows_to_check.csv, with the neighbour beside.",
    ),
    Code(
        code="RD504",
        title="outliers",
        question="rows",
        means="Some rows are far from all others.",
        matters="Broken images, other content, or the start of what a search will never find.",
        decides="Three robust standard deviations of the log distance to the ten nearest.",
        tries="Look at them in rows_to_check.csv.",
    ),
    Code(
        code="RD505",
        title="hubs",
        question="rows",
        means="Some rows are among the nearest of very many others.",
        matters="A search returns them whatever was asked.",
        decides="Six times as often among the ten nearest as a row is on average.",
        tries="Centre the features, or normalise them; fewer dimensions have fewer hubs.",
    ),
    Code(
        code="RD506",
        title="antihubs",
        question="rows",
        means="Many rows are nobody's neighbour.",
        matters="A search will never return them.",
        decides="More than .15 of the rows.",
        tries="Centre the features; reduce the dimensions.",
    ),
    Code(
        code="RD511",
        title="a dominating dimension",
        question="rows",
        means="One dimension holds much of the squared length of all rows.",
        matters="It rules every cosine.",
        decides="More than .25 of the squared length in one of at least eight dimensions.",
        tries="Centre the features, or divide each dimension by its standard deviation.",
    ),
    Code(
        code="RD512",
        title="norms vary",
        question="rows",
        means="Rows differ much in length.",
        matters="Inner products and cosines then rank neighbours differently.",
        decides="Standard deviation of the norms above half their mean.",
        tries="Normalise the rows before they go into an index of inner products.",
    ),
    Code(
        code="RD513",
        title="distances are concentrated",
        question="rows",
        means="The nearest row is hardly nearer than any row.",
        matters="What is nearest is then chance.",
        decides="Median nearest distance above .8 of the median distance.",
        tries="Reduce the dimensions, or train for longer.",
    ),
    Code(
        code="RD601",
        title="worse grouped than the reference",
        question="reference",
        means="On the same rows, neighbours are of the same class less often than in the reference's space.",
        matters="The other encoder is the better one for search and kNN on these images.",
        decides="Paired tests over the rows, Holm's correction over the questions.",
        tries="Compare the per-class table of both: which classes lost?",
    ),
    Code(
        code="RD602",
        title="more over-clustered than the reference",
        question="reference",
        means="The space is organised more finely than the reference's, and neighbourhoods of the classes are worse.",
        matters="What the small-encoder papers describe: the same pretext task, more islands.",
        decides="Paired halves: the ratio of granularities, with locality or R-precision.",
        tries="Temperature, harder views, another projector, distillation from the reference.",
    ),
    Code(
        code="RD603",
        title="more overfitted than the reference",
        question="reference",
        means="The gap between train and new images is larger than the reference's on the same images.",
        matters="Part of what it gained on train will not be there on new images.",
        decides="Paired rows of both galleries.",
        tries="More images, stronger augmentation, more weight decay.",
    ),
)
CODES: dict[str, Code] = {code.code: code for code in _CODES}


def parse_codes(text: str | None) -> tuple[str, ...]:
    """Return the codes of a comma-separated list, such as `--mute` takes; an unknown one gets the nearest.

    Example:
        >>> parse_codes("rd503, RD302")
        ('RD503', 'RD302')
    """
    named = [part.strip().upper() for part in (text or "").split(",") if part.strip()]
    for code in named:
        if code not in CODES:
            raise unknown_name("code of a finding", code, list(CODES))
    return tuple(dict.fromkeys(named))


def check_codes(codes: object) -> tuple[str, ...]:
    """Return muted codes given in Python: one text, or several."""
    if isinstance(codes, str):
        return parse_codes(codes)
    if isinstance(codes, list | tuple | set | frozenset) and all(isinstance(code, str) for code in codes):
        return parse_codes(",".join(sorted(codes) if isinstance(codes, set | frozenset) else codes))
    raise UsageError("codes are texts such as 'RD503'", found=type(codes).__name__)
