"""Local views: question, command and finding are in README.md."""
