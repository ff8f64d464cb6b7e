"""Where checkpoints come from: manifests and downloads."""
