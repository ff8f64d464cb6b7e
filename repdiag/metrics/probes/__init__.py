"""Trained probes on frozen features."""
