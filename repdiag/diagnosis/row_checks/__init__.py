"""Rows that a person should look at, and properties of a space that surprise who searches in it: named, never removed.

Every limit is one that ordinary encoders keep (docs/calibration.md): a note that always fires tells nobody anything.
"""

from repdiag.diagnosis.row_checks.check_rows import check_rows
from repdiag.diagnosis.row_checks.records import RowChecks, RowLimits, RowToCheck, SpaceNote

__all__ = ["RowChecks", "RowLimits", "RowToCheck", "SpaceNote", "check_rows"]
