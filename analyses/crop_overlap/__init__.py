"""Crop overlap: question, command and finding are in README.md."""
