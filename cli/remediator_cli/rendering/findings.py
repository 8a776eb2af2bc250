"""A finding in sentences, for the terminal and the report."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from remediator.core.model.finding import REPAIRABLE, BlockedRepair, Finding
from remediator.core.model.plain_text import plain
from remediator.core.repair.finding_texts import FINDING_TEXTS
from remediator_cli.rendering.layout import indented


def explained(finding: Finding, blocked: BlockedRepair | None = None) -> tuple[str, ...]:
    """What a finding means, its reasons, what blocks its repair, and the remedy.

    The meaning comes first, and no sentence comes twice.
    """
    text = FINDING_TEXTS[finding.code]
    because = () if blocked is None else blocked.because
    to_do = blocked.to_do if blocked is not None else ()
    if not to_do and finding.code not in REPAIRABLE:
        to_do = (text.to_do,)
    return tuple(dict.fromkeys((text.meaning, *finding.because, *because, *to_do)))


def finding_text(finding: Finding, blocked: BlockedRepair | None = None) -> RenderableType:
    """A finding with its reasons, and with its remedy where the remediator does not repair it."""
    needs_manual_action = finding.code not in REPAIRABLE or blocked is not None
    title = Text.assemble((finding.code, "red" if needs_manual_action else "yellow"), plain(f"  {finding.subject}"))
    return Group(title, indented(*(Text(plain(sentence)) for sentence in explained(finding, blocked))))
