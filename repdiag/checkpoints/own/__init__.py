"""Checkpoints that repdiag writes itself."""
