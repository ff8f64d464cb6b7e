"""GPU kernels of the passes over pairs; the results are those of the plain version."""
