"""k-means clusters held against the classes."""
