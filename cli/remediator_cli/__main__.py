"""``python -m remediator_cli``: the command line from a checkout, without installing it."""

from __future__ import annotations

from remediator_cli.app import main

if __name__ == "__main__":
    main()
