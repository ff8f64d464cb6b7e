"""Two encoders compared on the same rows."""
