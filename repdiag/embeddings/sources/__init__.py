"""From whatever holds vectors to an `EmbeddingSet`: one file a kind of container; what was done is said."""
