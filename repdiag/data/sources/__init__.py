"""One file a kind of container: each lists its images with labels and parts, and hands out their bytes."""
