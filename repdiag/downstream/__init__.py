"""Frozen-feature evaluations that train something."""
