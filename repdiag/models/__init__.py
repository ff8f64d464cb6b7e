"""Backbones, projectors and their momentum copies; no data, no losses."""
