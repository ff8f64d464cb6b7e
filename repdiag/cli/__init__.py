"""One command per file; parses and wires, holds no logic, imports torch late."""
