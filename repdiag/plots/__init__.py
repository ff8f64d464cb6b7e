"""One figure per file: numbers in, Figure out; computes nothing."""
