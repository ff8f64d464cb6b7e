"""Doors for training loops that are not ours."""
