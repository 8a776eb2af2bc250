"""A finding in sentences, as a terminal and a page have them."""

from __future__ import annotations

from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from remediator.core.model.finding import REPAIRABLE, Finding, FindingCode
from remediator.core.model.plain_text import plain
from remediator.core.repair.finding_texts import FINDING_TEXTS
from remediator_cli.rendering.layout import indented

_WITH_A_STATEMENT: Final = frozenset({FindingCode.TRUST_CONDITIONAL, FindingCode.KEY_BEYOND_ROLE})
"""What a person can do about them is put in words for an alert, which shows the statement to add."""


def explained(finding: Finding, held: tuple[str, ...] = ()) -> tuple[str, ...]:
    """What a finding means, why it is so, what stands against its repair (``held``), and what a person can do about it.

    The meaning comes first, and no sentence comes twice.
    """
    text = FINDING_TEXTS[finding.code]
    to_do = () if finding.code in REPAIRABLE | _WITH_A_STATEMENT else (text.to_do,)
    return tuple(dict.fromkeys((text.meaning, *finding.because, *held, *to_do)))


def finding_text(finding: Finding, held: tuple[str, ...] | None = None) -> RenderableType:
    """A finding with its reasons, and ``held``, what stands against its repair; or what a person can do about it."""
    needs_manual_action = finding.code not in REPAIRABLE or held is not None
    title = Text.assemble((finding.code, "red" if needs_manual_action else "yellow"), plain(f"  {finding.subject}"))
    return Group(title, indented(*(Text(plain(sentence)) for sentence in explained(finding, held or ()))))
