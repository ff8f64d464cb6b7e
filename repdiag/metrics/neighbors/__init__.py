"""Nearest neighbours: classification, retrieval, hubness, local dimension."""
