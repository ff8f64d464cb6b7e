"""Every figure by name, for the tests that hold for all of them."""

from __future__ import annotations

import pytest
from figure_tables import BUILDERS


@pytest.fixture(params=sorted(BUILDERS))
def figure_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)
