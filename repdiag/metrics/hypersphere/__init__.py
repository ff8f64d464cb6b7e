"""Metrics of unit rows on the hypersphere."""
