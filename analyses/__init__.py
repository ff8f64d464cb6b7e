"""One folder per question: README (question, command, finding), config.yaml, run.py."""
