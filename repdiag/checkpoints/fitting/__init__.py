"""From tensors to a network: which architecture it is, and whether every parameter is filled."""
