"""Pure loss functions, one file per paper."""
