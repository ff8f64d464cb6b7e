"""One small file per family of repositories; see docs/checkpoint-formats.md for how to add one."""
