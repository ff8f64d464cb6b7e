"""Hidden patches: question, command and finding are in README.md."""
