"""What `--json` prints holds values, not their representations, and no NaN."""

from __future__ import annotations

import json
import math

import pandas as pd
import pytest

from repdiag.cli.metrics import list_metrics, show
from repdiag.core.plain_records import plain_records


def test_what_is_not_known_of_a_paired_test_is_null() -> None:
    tests = pd.DataFrame({"params": ['{"k": 20}', "{}"], "ci_low": [0.5, math.nan], "differs": [True, False]})
    found = json.loads(json.dumps(plain_records(tests.assign(params=tests["params"].map(json.loads))), allow_nan=False))
    assert found == [
        {"params": {"k": 20}, "ci_low": 0.5, "differs": True},
        {"params": {}, "ci_low": None, "differs": False},
    ]


def test_a_metrics_card_has_its_settings_and_bounds_as_values(capsys: pytest.CaptureFixture[str]) -> None:
    show("lidar", as_json=True)
    card = json.loads(capsys.readouterr().out)
    assert card["bounds"] == [1.0, None]
    assert card["settings"] == {"members": "views", "form": "paper", "delta": 1e-4, "eps": 1e-8}
    assert card["allowed"] == {
        "members": "one of views, original_and_views",
        "form": "one of paper, reptrix",
        "delta": "a number",
        "eps": "a number at least 0",
    }
    list_metrics(as_json=True)
    (listed,) = [item for item in json.loads(capsys.readouterr().out) if item["name"] == "lidar"]
    assert {name: card[name] for name in ("name", "family", "version", "better")} | {
        "summary": card["card"].splitlines()[0]
    } == listed
