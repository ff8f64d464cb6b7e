"""Distances inside and between classes."""
