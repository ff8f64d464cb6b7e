"""The spectrum of the feature matrix."""
