"""``python -m remediator_cli``, and what the installed command ``remediator`` starts."""

from __future__ import annotations

import sys

from remediator_cli.terminal.exits import ExitCode


def main() -> None:
    """Import and run the program; an interrupt while it is imported ends it as quietly as any later one."""
    try:
        from remediator_cli.app import main as run  # noqa: PLC0415  # importing takes time, in which Ctrl-C may come

        run()
    except KeyboardInterrupt:  # while a command runs, Typer ends it with the same code
        sys.exit(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    main()
