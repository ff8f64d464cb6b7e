"""The one place that holds the package version, and what a citation says of it."""

__version__ = "0.1.0"
RELEASE_YEAR = "2026"
HOME = "https://github.com/repdiag/repdiag"
