"""Small encoders with faults of known kind and strength, and what repdiag says of them."""
