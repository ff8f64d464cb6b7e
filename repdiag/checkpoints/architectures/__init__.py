"""Networks by the shapes of their tensors: each module turns a state dict of known naming into candidates."""
