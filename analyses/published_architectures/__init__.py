"""Over published architectures: question, command and finding are in README.md."""
