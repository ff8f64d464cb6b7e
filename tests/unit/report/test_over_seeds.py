"""Several seeds of the same encoders: means with their spread, answers turned to one side and counted."""

import json

import pandas as pd
import pytest

from analyses.over_seeds import answer_lines, read_seeds, value_lines, verdict_lines


@pytest.fixture
def folders(tmp_path):
    for seed, (accuracy, answer, split) in enumerate([(0.5, "better", {}), (0.7, "not told apart", {"cat": 2})]):
        folder = tmp_path / str(seed)
        folder.mkdir()
        row = {"metric": "knn_accuracy", "label": "kNN", "percent": True}
        rows = [
            {"checkpoint": "small", "role": "trained", "value": accuracy, **row},
            {"checkpoint": "large", "role": "trained", "value": 0.9, **row},
            {"checkpoint": "large (untrained)", "role": "untrained", "value": 0.1, **row},
        ]
        pd.DataFrame(rows).to_csv(folder / "headline.csv")
        pair = {"first": "large", "second": "small", "question": "accuracy", "answer": answer}
        pd.DataFrame([pair, {**pair, "question": "over_clustering", "answer": "less over-clustered"}]).to_csv(
            folder / "pairs.csv"
        )
        verdict = {
            "over_clustering": {"verdict": "over-clustered" if split else "not over-clustered", "split_classes": split},
            "overfitting": {"verdict": "no overfitting"},
            "collapse": {"verdict": "no collapse"},
        }
        names = ("small", "large (untrained)")
        (folder / "verdict.json").write_text(json.dumps({name: {"checkpoint": name, **verdict} for name in names}))
    return read_seeds([tmp_path / "0", tmp_path / "1"])


def test_a_value_is_the_mean_with_the_lowest_and_the_highest(folders):
    lines = list(value_lines(folders))
    assert lines[2:] == ["| `small` | 2 | 60.0 % (50.0 to 70.0) |", "| `large` | 2 | 90.0 % (90.0 to 90.0) |"]


def test_answers_are_of_the_other_encoder_against_the_reference(folders):
    (line,) = list(answer_lines(folders, "large"))[2:]
    assert line == "| `small` | more over-clustered | - | - | worse (1), not told apart (1) |"
    (line,) = list(answer_lines(folders, "small"))[2:]
    assert line == "| `large` | less over-clustered | - | - | better (1), not told apart (1) |"


def test_verdicts_are_counted_and_untrained_copies_left_out(folders):
    (line,) = list(verdict_lines(folders))[2:]
    assert line == "| `small` | not over-clustered (1), over-clustered (1) | 0, 1 | no overfitting | no collapse |"
