"""From bytes of a stranger to plain containers and tensors; nothing in a file is ever executed."""
