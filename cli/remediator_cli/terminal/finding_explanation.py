"""A finding in sentences, as a terminal and a page have them."""

from __future__ import annotations

from typing import Final

from remediator.core.alerts.finding_texts import FINDING_TEXTS
from remediator.core.model.finding import REPAIRABLE, Finding, FindingCode

_WITH_A_STATEMENT: Final = frozenset({FindingCode.TRUST_CONDITIONAL, FindingCode.KEY_BEYOND_ROLE})
"""What a person can do about them is put in words for an alert, which shows the statement to add."""


def explained(finding: Finding, held: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What a finding means, why it is so, what stands against its repair, and what a person can do about it.

    The meaning comes first, and no sentence comes twice. ``held`` is what stands against the repair.
    """
    text = FINDING_TEXTS[finding.code]
    to_do = () if finding.code in REPAIRABLE | _WITH_A_STATEMENT else (text.to_do,)
    return tuple(dict.fromkeys((text.meaning, *finding.because, *held, *to_do)))
