"""`python -m repdiag` and the console script."""

from repdiag.cli.app import main

if __name__ == "__main__":
    main()
