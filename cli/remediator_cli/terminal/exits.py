"""The exit codes of all commands."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of ``remediator``."""

    OK = 0
    """Success."""
    ERROR = 1
    """An error; the message on standard error explains it."""
    BAD_INPUT = 2
    """The call or a part of the input is invalid; the rest of the input was processed."""
    FOUND = 3
    """A check found something wrong."""
    INTERRUPTED = 130
    """Ctrl-C; the code that a shell reports for every interrupted program."""
    BROKEN_PIPE = 141
    """The reader of the output is gone; the code that a shell reports for a broken pipe."""


class PlanExitCode(IntEnum):
    """The exit codes of ``remediator plan``: those of ``terraform plan -detailed-exitcode``, for the same scripts.

    https://developer.hashicorp.com/terraform/cli/commands/plan#detailed-exitcode
    """

    CLEAN = 0
    """Nothing would be written, and no manual action is required."""
    ERROR = 1
    """The plan could not be made, or the call is invalid."""
    DRIFT = 2
    """Something would be written, or manual action is required."""
