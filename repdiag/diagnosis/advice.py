"""What to try: findings of the literature, each with its limits. A suggestion, never part of the verdict."""

from __future__ import annotations

from repdiag.diagnosis.verdict import Advice

_TEMPERATURE = Advice(
    what="Sweep the temperature of the contrastive loss (.05, .1, .2, .5) and read the over-cluster curve at each.",
    because="The temperature sets how hard the loss pushes away the nearest negatives, which often share the "
    "class. A low temperature spreads the space more evenly but separates images that mean the same.",
    reference="wang2021",
    limits="The best value depends on data and architecture. The improved recipe of shi2022 for small encoders "
    "keeps it low (.1) and changes other settings.",
)
_VIEWS = Advice(
    what="Make the views harder (stronger jitter and grayscale, smaller crops), in small steps.",
    because="Views that share only the content force islands of near-identical images to merge.",
    reference="shi2022",
    limits="Measured for small encoders on ImageNet with 200 to 800 epochs. Beyond some strength accuracy falls "
    "again, and a task that depends on colour loses what it needs.",
)
_PROJECTOR = Advice(
    what="Try a wider or deeper projector, and use the features before it.",
    because="The projector absorbs the invariance that the loss demands, so the features keep more information.",
    reference="shi2022",
    limits="The best shape differs between architectures. Compare both spaces: see the column space of "
    'metrics.csv, or call repdiag.diagnose(embeddings, space="projections").',
)
_INITIALISATION = Advice(
    what="Start from weights that already group classes: a few epochs of distillation, or another trained encoder.",
    because="Small encoders over-cluster from the first epochs on. A better start skips that phase.",
    reference="shi2022",
    limits="You need such weights, and the gain shrinks with long training.",
)
_DISTILLATION = Advice(
    what="Distil from a large self-supervised encoder.",
    because="The teacher's similarities tell the student which images belong together. Instance labels cannot.",
    reference="fang2021",
    limits="You need a teacher for the same kind of images, and the student inherits its errors.",
)
_INTRA_LIMIT = Advice(
    what="Do not tune for a small intra-class distance alone.",
    because="Across architectures it follows linear accuracy (Spearman -.94 over six encoders). Within one "
    "architecture, the better recipe of shi2022 raised accuracy (32.2 to 47.9) while the distance grew "
    "(1.225 to 1.29).",
    reference="shi2022",
    limits="Six ImageNet encoders.",
)
_FINER_LABELS = Advice(
    what="See in the per-class table which classes share islands. Either the labels are finer than the images "
    "show, or the views erase what separates the classes.",
    because="Augmentations make the encoder blind to what they change: jitter to colour, crops to size.",
    reference="xiao2021",
    limits="A supervised or fine-tuned probe may still separate classes that clustering merges.",
)
_MORE_DATA = Advice(
    what="Train on more images, with stronger augmentation or more weight decay, or stop earlier.",
    because="The encoder recognises its training images instead of what two views of one image share.",
    reference="shi2022",
    limits="shi2022 found no overfitting even in small encoders on ImageNet. First check that train and val share "
    "source and preprocessing: a difference there causes the same gap.",
)
_COMPLETE = Advice(
    what="Check the part of the method that prevents collapse: stop-gradient and momentum, centring, negatives, or "
    "a variance term.",
    because="Every method without negatives relies on one such part. Without it, a constant output is optimal.",
    reference="bardes2022",
    limits="Broken loading or preprocessing also gives constant outputs. Compare with an untrained copy.",
)
_CONE = Advice(
    what="Centre the features before you compare cosines, and read alignment only together with alignment_margin.",
    because="A common offset makes all cosines large, although the images differ.",
    reference="wang2020",
    limits="Pooled ReLU features are non-negative, so they always lie in a cone. Distances after centring may be fine.",
)
_DIMENSIONAL = Advice(
    what="Weaken the augmentation, or decorrelate the features: add a variance-covariance term, or a projector if "
    "there is none.",
    because="Augmentation variance above the variance of the data drives singular values to zero, and so does depth.",
    reference="jing2022",
    limits="Supervised encoders end with about as many directions as classes, by design. RankMe predicts accuracy "
    "only among encoders trained alike (garrido2023).",
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
