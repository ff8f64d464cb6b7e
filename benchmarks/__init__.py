"""One script per claim about speed or memory, each printing a ratio measured in one run."""
