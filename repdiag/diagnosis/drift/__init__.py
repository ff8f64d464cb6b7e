"""Is it still the same encoder? Two encoders of the same rows, measured, and a verdict whose thresholds are shown."""
