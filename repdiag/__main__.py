"""`python -m repdiag` and the console script."""

import sys

from repdiag.core.signals import STOPPED, forget_interrupts, interrupt_on_signals, stop_sentence


def main() -> None:
    """Run the command line; a stop that comes while its modules are still read ends it like any other."""
    interrupt_on_signals()
    try:
        from repdiag.cli.app import main as run
    except KeyboardInterrupt:
        forget_interrupts()
        sys.stderr.write(f"{stop_sentence()}\n")
        sys.exit(STOPPED)
    run()


if __name__ == "__main__":
    main()
