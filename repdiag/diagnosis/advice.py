"""What to try: findings of the literature, each with its limits. A suggestion, never part of the verdict."""

from __future__ import annotations

from repdiag.diagnosis.verdict import Advice

_TEMPERATURE = Advice(
    what="Sweep the temperature of the contrastive loss (.05, .1, .2, .5) and read the over-cluster curve at each.",
    because="The temperature sets how hard the nearest negatives, often of the same class, are pushed away: a low "
    "one spreads the space more evenly and costs tolerance to images that mean the same.",
    reference="wang2021",
    limits="The best value depends on the data and the architecture; shi2022's improved recipe for small encoders "
    "keeps a low one (.1) and changes the rest.",
)
_VIEWS = Advice(
    what="Make the views harder (stronger jitter and grayscale, smaller crops), in small steps.",
    because="Views that share only the content force islands of near-identical images to merge.",
    reference="shi2022",
    limits="Measured for small encoders on ImageNet with 200 to 800 epochs. Past some strength accuracy falls again, "
    "and a colour-defined task loses what it needs.",
)
_PROJECTOR = Advice(
    what="Try a wider or deeper projector, and read the features before it.",
    because="The projector absorbs the invariance that the loss asks for, so that the features keep more.",
    reference="shi2022",
    limits="The better shape differs between architectures. Compare both spaces: metrics.csv has them in its column "
    'space, and repdiag.diagnose(embeddings, space="projections") judges the other one.',
)
_INITIALISATION = Advice(
    what="Start from weights that already group classes: a few epochs of distillation or another trained encoder.",
    because="Small encoders over-cluster from the first epochs; an initialisation beyond that phase carries over.",
    reference="shi2022",
    limits="Needs such weights; the gain shrinks with long training.",
)
_DISTILLATION = Advice(
    what="Distil from a large self-supervised encoder.",
    because="The teacher's similarity distribution says which images belong together, which instance labels cannot.",
    reference="fang2021",
    limits="Needs a teacher on the same kind of images, and the student inherits its errors.",
)
_INTRA_LIMIT = Advice(
    what="Do not tune for a small intra-class distance alone.",
    because="Across architectures it follows linear accuracy (Spearman -.94 over six encoders), but within one "
    "architecture shi2022's better recipe raised accuracy (32.2 to 47.9) while it grew (1.225 to 1.29).",
    reference="shi2022",
    limits="Six ImageNet encoders.",
)
_FINER_LABELS = Advice(
    what="Look which classes share islands (per-class table): labels finer than the images show, or views that erase "
    "what tells the classes apart.",
    because="Augmentations make the encoder blind to what they change: colour for jitter, size for crops.",
    reference="xiao2021",
    limits="A supervised or finely tuned probe may still separate classes that clustering merges.",
)
_MORE_DATA = Advice(
    what="Train on more images, with stronger augmentation or more weight decay, or stop earlier.",
    because="The encoder recognises train images rather than what makes two views one image.",
    reference="shi2022",
    limits="shi2022 found no overfitting even in small encoders on ImageNet: first check that train and val come from "
    "the same source and preprocessing, which produces the same gap.",
)
_COMPLETE = Advice(
    what="Check the mechanism against collapse: stop-gradient and momentum, centring, negatives, or a variance term.",
    because="Every method without negatives has one part whose absence makes a constant the optimum.",
    reference="bardes2022",
    limits="Constant outputs also come from broken loading or preprocessing: compare with an untrained copy.",
)
_CONE = Advice(
    what="Centre the features before cosine comparisons, and read alignment only beside alignment_margin.",
    because="A common offset makes all cosines large without making images alike.",
    reference="wang2020",
    limits="ReLU features after pooling are non-negative and so lie in a cone; distances after centring may be fine.",
)
_DIMENSIONAL = Advice(
    what="Weaken the augmentation or decorrelate: a variance-covariance term, or a projector where there is none.",
    because="Augmentation variance larger than the data's own, and depth itself, drive singular values to zero.",
    reference="jing2022",
    limits="Supervised encoders end with about as many directions as classes by design; RankMe predicts accuracy only "
    "among encoders trained alike (garrido2023).",
)

_ADVICE: dict[str, tuple[Advice, ...]] = {
    "over-clustered": (_TEMPERATURE, _VIEWS, _PROJECTOR, _INITIALISATION, _DISTILLATION, _INTRA_LIMIT),
    "under-clustered": (_FINER_LABELS, _TEMPERATURE),
    "overfitting": (_MORE_DATA,),
    "complete": (_COMPLETE,),
    "cone": (_CONE,),
    "dimensional": (_DIMENSIONAL,),
}


def advice_for(fault: str) -> tuple[Advice, ...]:
    """Return what to try against a fault (a verdict, or a kind of collapse); empty where there is none."""
    return _ADVICE.get(fault, ())
