"""A training that is watched says after every look what was found."""

from __future__ import annotations

from dataclasses import replace

from repdiag.diagnosis.synthetic import SpaceRecipe, draw_space
from repdiag.workflows.monitor import measure, monitored_line, telling


def test_a_look_is_told_in_one_line_with_its_epoch_and_its_values() -> None:
    recipe = SpaceRecipe(classes=3, per_class=8, dims=8, view=0.2)
    val, train = (draw_space(recipe, seed=1, split=split) for split in ("val", "train"))
    val = replace(val, provenance=replace(val.provenance, epoch=4))
    told: list[str] = []
    table = telling(told.append)(val, train)
    assert [row.value for row in table] == [row.value for row in measure(val, train)]
    (line,) = told
    assert line.startswith("after epoch 4: kNN accuracy, k = 20: ")
    uniformity = table.value(metric="uniformity", space="features")
    assert f"Uniformity: {uniformity:.3f}" in line
    assert line.count(";") == 5
    assert monitored_line(table.where(metric="uniformity")) == f"Uniformity: {uniformity:.3f}"
