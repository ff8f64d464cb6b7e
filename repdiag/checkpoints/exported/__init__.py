"""Encoders that were exported for a runtime: read as data, run by the runtime, no library of theirs is ever loaded."""
