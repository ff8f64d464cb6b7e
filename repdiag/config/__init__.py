"""Typed settings and recipes: what a run is, before anything runs."""
