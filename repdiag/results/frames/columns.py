"""The columns of each figure's table: what a figure of that name draws, and what the CSV beside it holds."""

ALIGNMENT_UNIFORMITY_PLANE = ("checkpoint", "dataset", "split", "space", "alignment", "uniformity", "n")
CHECKPOINT_COMPARISON = (
    "checkpoint",
    "dataset",
    "split",
    "space",
    "metric",
    "label",
    "direction",
    "value",
    "ci_low",
    "ci_high",
    "n",
)
CLASS_DISTANCE_DISTRIBUTIONS = ("checkpoint", "dataset", "split", "space", "kind", "left", "right", "density", "n")
CLUSTER_CLASS_CONFUSION = ("checkpoint", "dataset", "split", "space", "cluster", "class_name", "count", "share", "n")
DEPLOYMENT_TRADEOFF = (
    *("checkpoint", "dataset", "split", "metric", "label", "value", "ci_low", "ci_high"),
    *("cost", "cost_label", "amount", "n", "on_front"),
)
EMBEDDING_MAP = ("checkpoint", "dataset", "split", "row_id", "view", "class_name", "x", "y", "n")
INSTANCE_DISCRIMINATION_BARS = ("checkpoint", "dataset", "split", "k", "value", "ci_low", "ci_high", "n")
LAYER_NOISE = (
    *("checkpoint", "dataset", "split", "place", "tensor", "operator"),
    *("signal_to_noise", "fall", "falls", "n"),
)
OVER_CLUSTER_CURVE = (
    "checkpoint",
    "dataset",
    "split",
    "space",
    "metric",
    "clusters",
    "ratio",
    "value",
    "low",
    "high",
    "n",
)
SCATTER_AGAINST_ACCURACY = ("checkpoint", "dataset", "metric", "label", "value", "accuracy", "n")
SETTING_CURVES = (
    *("checkpoint", "varied", "setting", "dataset", "split", "space"),
    *("metric", "label", "percent", "value", "ci_low", "ci_high", "n"),
)
SINGULAR_SPECTRUM = ("checkpoint", "dataset", "split", "space", "index", "singular_value", "rankme", "dims", "n")
SPLIT_CLASSES = (
    *("checkpoint", "dataset", "split", "space"),
    *("class_name", "pieces", "left", "right", "density", "n"),
)
TRAINING_HISTORY = ("checkpoint", "epoch", "loss", "contrast_accuracy", "lr")
TRAINING_TRAJECTORY = (
    *("checkpoint", "epoch", "dataset", "split", "space"),
    *("metric", "label", "percent", "value", "ci_low", "ci_high", "n"),
)
