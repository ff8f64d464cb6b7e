"""Which modules are changed and which quick tests must notice; and changes that once went unnoticed."""

from __future__ import annotations

# Module below repdiag/ -> tests below tests/.
TARGETS: dict[str, tuple[str, ...]] = {
    "checkpoints/formats/normalizations.py": ("unit/checkpoints/test_normalizations.py",),
    "config/overrides.py": ("unit/config/test_values_and_text.py", "unit/config/test_training_settings.py"),
    "config/short_runs.py": ("unit/config/test_values_and_text.py",),
    "data/image_split.py": ("unit/data/test_open_dataset.py",),
    "diagnosis/cluster_evidence.py": ("unit/diagnosis/test_grades.py", "unit/diagnosis/test_judge.py"),
    "diagnosis/collapse.py": ("unit/diagnosis/test_grades.py", "unit/diagnosis/test_judge.py"),
    "diagnosis/over_clustering.py": ("unit/diagnosis/test_grades.py", "unit/diagnosis/test_judge.py"),
    "diagnosis/overfitting.py": ("unit/diagnosis/test_grades.py", "unit/diagnosis/test_judge.py"),
    "losses/info_nce.py": ("unit/losses/test_info_nce.py",),
    "losses/sinkhorn.py": ("unit/losses/test_other_losses.py",),
    "methods/key_queue.py": ("unit/methods/test_key_queue.py",),
    "metrics/inference/resampling.py": ("unit/metrics/test_cluster_intervals.py", "unit/metrics/test_units.py"),
    "metrics/inference/with_interval.py": ("unit/metrics/test_cluster_intervals.py", "unit/metrics/test_inference.py"),
    "metrics/hypersphere/uniformity.py": ("closed_form/test_hypersphere.py",),
    "report/comparison.py": ("unit/report/test_report_parts.py",),
    "results/frames/judged_split.py": ("unit/cli/test_results_of_vectors.py",),
    "training/schedules.py": ("unit/training/test_schedules.py",),
    "training/step.py": ("unit/training/test_schedules.py",),
}

# (module, text that stands there once, what it is changed to, the tests that must notice): each of these was once
# found to go unnoticed by every test.
FOUND: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    (
        "metrics/inference/with_interval.py",
        "max(halves.error**2 - spread**2 * (1.0 - 1.0 / runs), spread**2 / runs, 0.25 * halves.error**2)",
        "halves.error**2",
        ("unit/metrics/test_cluster_intervals.py",),
    ),
    (
        "diagnosis/cluster_evidence.py",
        'if reading == "for" and gap < thresholds.island_gap:',
        "if False:",
        ("unit/diagnosis/test_grades.py",),
    ),
    (
        "diagnosis/collapse.py",
        "(1.0 - limit) / 10 else",
        "(1.0 - limit) / 100 else",
        ("unit/diagnosis/test_grades.py",),
    ),
    (
        "checkpoints/formats/normalizations.py",
        "std=(0.228, 0.224, 0.225)",
        "std=(0.229, 0.224, 0.225)",
        ("unit/checkpoints/test_normalizations.py",),
    ),
    (
        "methods/key_queue.py",
        'self.position = int(state["queue_ptr"])',
        "self.position = 0",
        ("unit/methods/test_key_queue.py",),
    ),
    (
        "embeddings/extract.py",
        '"normalization": (normal.mean, normal.std),',
        "",
        ("unit/embeddings/test_extract.py",),
    ),
    ("report/comparison.py", "return -abs(value)\n", "return value\n", ("unit/report/test_report_parts.py",)),
    (
        "training/step.py",
        "settings.loop.batch_size / optimizer.lr_batch if optimizer.lr_batch else 1.0",
        "1.0",
        ("unit/training/test_schedules.py",),
    ),
)
