"""The view arithmetic once more as GPU kernels; the constants are those of the plain version."""
