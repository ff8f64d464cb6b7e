"""What a person does, as plain functions: train, embed, analyze, compare, report; commands and notebooks call these."""
