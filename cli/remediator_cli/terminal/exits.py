"""What the exit codes of all commands mean."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of ``remediator``."""

    OK = 0
    """All was well."""
    ERROR = 1
    """Something went wrong that the message on standard error explains."""
    BAD_INPUT = 2
    """The call or a part of the input could not be understood; the rest of the input was answered."""
    FOUND = 3
    """The command was asked to check, and found something wrong."""
    BROKEN_PIPE = 141
    """The reader of the output went away; the code that a shell reports for every program this happens to."""


class PlanExitCode(IntEnum):
    """The exit codes of ``remediator plan``: those of ``terraform plan -detailed-exitcode``, for the same scripts.

    https://developer.hashicorp.com/terraform/cli/commands/plan#detailed-exitcode
    """

    CLEAN = 0
    """Nothing would be written, and nothing needs a person."""
    ERROR = 1
    """It could not be found out, or the call could not be understood."""
    DRIFT = 2
    """Something would be written, or needs a person."""
