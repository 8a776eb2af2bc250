"""How soon a person should look."""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """How soon a person should look: not at all, during the day, now."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
