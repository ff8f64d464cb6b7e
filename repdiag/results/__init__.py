"""What an analysis leaves on disk: one schema, one writer, one reader; a file is read nowhere else."""
