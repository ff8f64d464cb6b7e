"""One file per training method: wiring only."""
