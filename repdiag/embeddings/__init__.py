"""From an encoder and images to a stored EmbeddingSet."""
