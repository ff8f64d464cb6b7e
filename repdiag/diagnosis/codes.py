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
        means="Images of one class fall into several separate groups. The test holds rows out: a direction fitted "
        "on one half of the rows divides the other half into two modes (dip test).",
        matters="The nearest neighbours are right, but deeper ones are not. Retrieval lists, clusterings and "
        "few-shot prototypes break first, a linear probe last. Labels that join several kinds of object "
        "(vehicle, animal) look the same.",
        decides="At least 48 rows per class; small islands need more. `split_classes` names the classes and their "
        "numbers of groups.",
        tries="Look at the split classes first. Then try the temperature, harder views, another projector or "
        "distillation.",
    ),
    Code(
        code="RD102",
        title="under-clustered",
        question="over_clustering",
        means="Half as many clusters as classes agree better with the classes than one cluster per class does: "
        "classes share clusters.",
        matters="The encoder does not separate some classes, or separates them in directions of little variance. A "
        "probe uses such directions, a neighbour search does not.",
        decides="`granularity_slope` at factor .5, lower end of its interval above `coarser`.",
        tries="See in the per-class table which classes are confused. Then try finer labels or gentler views.",
    ),
    Code(
        code="RD103",
        title="over-clustering is open",
        question="over_clustering",
        means="The data do not show whether classes fall into groups: there are too few rows per class, or "
        "clusters and classes hardly agree at all.",
        matters="Over-clustering is neither found nor excluded.",
        decides="At least 48 labelled rows per class.",
        tries="Use more labelled images per class (`--per-class`).",
    ),
    Code(
        code="RD104",
        title="single classes in separate groups",
        question="over_clustering",
        means="A few classes fall into separate groups, and each other class forms one group. The space as a whole "
        "is not over-clustered.",
        matters="Healthy encoders show this when a label joins two kinds of image, such as flat and heeled sandals.",
        decides="`split_mild`: up to this share of split classes, the finding names them and the verdict does not "
        "change.",
        tries="Look at the class along the direction that divides it (figure `split_classes`). Does it hold two "
        "kinds of image or two sources, or did the encoder split it?",
    ),
    Code(
        code="RD201",
        title="overfits the pretext task",
        question="overfitting",
        means="The encoder matches two views of a train image more often than two views of a new one, in galleries of "
        "equal size and classes, by more than `overfitting_gap`.",
        matters="The encoder recognises its training images. More images or stronger views will help; longer "
        "training will not.",
        decides="The interval of `pretext_gap` against 2, 5 and 10 points: none, mild, marked, severe.",
        tries="Train on more images, with stronger augmentation or more weight decay, or stop earlier.",
    ),
    Code(
        code="RD202",
        title="overfits the labels",
        question="overfitting",
        means="A linear probe, or the checkpoint's own classifier, is right more often on train images than on new "
        "ones, by more than `probe_gap` or `label_gap`. Without either, the nearest image is of the same class more "
        "often.",
        matters="Accuracy on train overstates accuracy on new images.",
        decides="The interval of `probe_gap` against 5, 12 and 25 points, where healthy encoders have at most 5; of a "
        "classifier or of `label_gap` against 8, 15 and 25 points, where healthy encoders have 4 to 8.",
        tries="Try more labelled images, augmentation, weight decay or label smoothing, or stop earlier.",
    ),
    Code(
        code="RD203",
        title="overfitting is open",
        question="overfitting",
        means="The interval of the gap between train and new images contains both no overfitting and marked "
        "overfitting. Or train images or views are missing, so there is nothing to compare.",
        matters="The sentence says what is excluded.",
        decides="The number of images named in the sentence. Vectors need a train set (`--bank`) and views.",
        tries="Use more images per class (`--per-class`). For vectors, add `--bank` and `--views`.",
    ),
    Code(
        code="RD301",
        title="complete collapse",
        question="collapse",
        means="All images have nearly the same representation.",
        matters="No metric of such a space means anything.",
        decides="Variance of the unit rows below `complete_variance`.",
        tries="Check loading and preprocessing first, then the part of the method that prevents collapse.",
    ),
    Code(
        code="RD302",
        title="cone collapse",
        question="collapse",
        means="All rows point in nearly the same direction. Their differences are small compared with a common offset.",
        matters="A cosine near 1 means nothing here, and a cosine threshold from another encoder does not apply. "
        "The order of neighbours is often intact.",
        decides="Mean cosine of random pairs above `cone_cosine`.",
        tries="Centre the features before comparing them.",
    ),
    Code(
        code="RD303",
        title="dimensional collapse",
        question="collapse",
        means="Few of the available directions hold the variance.",
        matters="You pay for dimensions that are not used. An index of these vectors could be smaller.",
        decides="The share of dead directions, a cliff in the spectrum, or a smooth rank far below the width.",
        tries="Try weaker augmentation, a variance-covariance term or a projector. Or use fewer dimensions.",
    ),
    Code(
        code="RD304",
        title="collapse is open",
        question="collapse",
        means="The interval contains the threshold, or there are too few rows to estimate the spectrum.",
        matters="Two rows show complete collapse, but a spectrum needs more rows than dimensions.",
        decides="More rows than dimensions.",
        tries="Use more images per class (`--per-class`).",
    ),
    Code(
        code="RD401",
        title="images are preprocessed differently than in training",
        question="preprocessing",
        means="At the first batch norm, your images differ in contrast or brightness from the training images.",
        matters="The network computes wrong features, without any error message. Every number in the report is "
        "then useless.",
        decides="The median log variance ratio of the channels lies beyond 1, and three quarters of the channels "
        "lie on the same side.",
        tries="Set `--mean` and `--std`. The sentence names the common normalisation that fits best.",
    ),
    Code(
        code="RD402",
        title="the checkpoint's classifier does not fit these labels",
        question="preprocessing",
        means="The checkpoint's own classifier predicts the labels of these images no better than chance.",
        matters="Weights or preprocessing are wrong, or the class folders are not in the order of the classifier's "
        "outputs.",
        decides="Top-1 accuracy of the checkpoint's own classifier on the labelled images, compared with 1 / classes.",
        tries="Compare the order of the class folders with the order in the classifier's training. Then check "
        "`--mean`, `--std` and `--image-size`.",
    ),
    Code(
        code="RD501",
        title="near-copies",
        question="rows",
        means="Some rows are so much nearer to each other than ordinary neighbours that they must be copies.",
        matters="Copies make nearest-neighbour accuracy too high and intervals too narrow.",
        decides="The distance to the nearest row is below a sixth of the distance to the tenth.",
        tries="Look at them in rows_to_check.csv. Drop them, or name the rows that belong together with `--groups`.",
    ),
    Code(
        code="RD502",
        title="copies across train and val",
        question="rows",
        means="Rows of val have near-copies among the train rows.",
        matters="On these rows, accuracy measures memory.",
        decides="The same test as for near-copies, across the two sets.",
        tries="Remove them from val, or split the data by scene, patient or video.",
    ),
    Code(
        code="RD503",
        title="labels to check",
        question="rows",
        means="Hardly any neighbour has the label of the row, and most neighbours agree on another label.",
        matters="Wrong labels limit every accuracy. Errors of the encoder look the same.",
        decides="Of the 20 nearest rows, at least .8 have one other label and at most .1 the row's own.",
        tries="Look at the first rows of rows_to_check.csv, next to their neighbours.",
    ),
    Code(
        code="RD504",
        title="outliers",
        question="rows",
        means="Some rows are far from all others.",
        matters="They may be broken images, other content, or rows that a search will never find.",
        decides="The log distance to the ten nearest rows lies three robust standard deviations above the median.",
        tries="Look at them in rows_to_check.csv.",
    ),
    Code(
        code="RD505",
        title="hubs",
        question="rows",
        means="Some rows are among the nearest of very many others.",
        matters="A search returns them for almost any query.",
        decides="They are among the ten nearest six times as often as an average row.",
        tries="Centre or normalise the features. Fewer dimensions also reduce hubs.",
    ),
    Code(
        code="RD506",
        title="antihubs",
        question="rows",
        means="Many rows are not a neighbour of any other row.",
        matters="A search will never return them.",
        decides="More than .15 of the rows.",
        tries="Centre the features; reduce the dimensions.",
    ),
    Code(
        code="RD511",
        title="a dominating dimension",
        question="rows",
        means="One dimension holds much of the squared length of all rows.",
        matters="It dominates every cosine.",
        decides="More than .25 of the squared length in one of at least eight dimensions.",
        tries="Centre the features, or divide each dimension by its standard deviation.",
    ),
    Code(
        code="RD512",
        title="norms vary",
        question="rows",
        means="The lengths of the rows differ a lot.",
        matters="Inner products and cosines then give different neighbours.",
        decides="The standard deviation of the norms exceeds half their mean.",
        tries="Normalise the rows before you put them into an inner-product index.",
    ),
    Code(
        code="RD513",
        title="distances are concentrated",
        question="rows",
        means="The nearest row is hardly nearer than an average row.",
        matters="Which row is nearest is then mostly chance.",
        decides="The median nearest distance exceeds .8 of the median distance.",
        tries="Reduce the dimensions, or train for longer.",
    ),
    Code(
        code="RD601",
        title="worse grouped than the reference",
        question="reference",
        means="On the same rows, neighbours share the class less often than with the reference.",
        matters="The reference is the better encoder for search and kNN on these images.",
        decides="Paired tests over the rows, Holm-corrected over the questions.",
        tries="Compare the per-class tables of both encoders to see which classes got worse.",
    ),
    Code(
        code="RD602",
        title="more over-clustered than the reference",
        question="reference",
        means="The space forms finer groups than the reference's, and class neighbourhoods are worse.",
        matters="This is what the small-encoder papers describe: the same pretext task, more islands.",
        decides="The ratio of granularities on paired halves, together with locality or R-precision.",
        tries="Try the temperature, harder views, another projector, or distillation from the reference.",
    ),
    Code(
        code="RD603",
        title="more overfitted than the reference",
        question="reference",
        means="The gap between train and new images is larger than the reference's on the same images.",
        matters="Part of its gain on train will not carry over to new images.",
        decides="Paired tests on the rows of both galleries.",
        tries="Train on more images, with stronger augmentation or more weight decay.",
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
