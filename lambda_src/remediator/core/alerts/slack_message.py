"""Messages as an incoming webhook of Slack takes them.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from remediator.core.alerts.layout import Layout, Rank, Section, SectionForm
from remediator.core.alerts.notification import Severity
from remediator.core.alerts.slack_markup import (
    SIGNS,
    Fitted,
    bold,
    clipped,
    code,
    fitted,
    length,
    literal,
    prose,
    what_is_not,
)

_ROOM: Final = 12_000
"""Characters of all blocks, the JSON around their texts included.

Slack rejects more than about 13,200 over all blocks, and does not document what it counts; the upper bound is counted.
"""
_NOTE_ROOM: Final = 1000
"""Of that, for the line that names what is left out, and a divider."""
_LEAST_COST: Final = 300
"""The least that a section's block takes of it: there are never more than 40 of them, and Slack takes 50 blocks.

https://docs.slack.dev/reference/block-kit/blocks
"""

_HEADER_LIMIT: Final = 150
"""https://docs.slack.dev/reference/block-kit/blocks/header-block"""
_FACTS_LIMIT: Final = 10
"""https://docs.slack.dev/reference/block-kit/blocks/section-block (fields)"""
_FACT_NAME_LIMIT: Final = 60
_FACT_LIMIT: Final = 620
"""As long as the longest ARN of a role."""
_HEADLINE_LIMIT: Final = 1000
_SHORT_LIMIT: Final = 200

_Block = Mapping[str, object]


def slack_message(layout: Layout) -> tuple[str, str]:
    """The layout as the JSON that a webhook takes, whatever is in it: in blocks, and as text alone.

    The sign of its severity and the subject come first. Where no action is required, the message has no diffs and no
    code. Where not everything fits, it names what is left out and the command that shows everything.
    """
    head = (*_head(layout), _fields(_facts(layout)))
    room = _ROOM - _NOTE_ROOM - sum(map(_cost_of, (*head, _context(_marks(layout)))))
    fitting = fitted(_shown(layout), room, lambda chunk: max(_LEAST_COST, _cost_of(_section(chunk))))
    note = what_is_not(layout, fitting, facts=max(0, len(layout.facts) - _FACTS_LIMIT))
    blocks = (*head, *_sections(fitting), *map(_section, note), _context(_marks(layout)))
    chunks = (chunk for _, chunks in fitting.shown for chunk in chunks)
    texts = (_fallback(layout), *_facts(layout), *chunks, *note, " · ".join(_marks(layout)))
    in_blocks = {"text": _fallback(layout), "blocks": [block for block in blocks if block]}
    return _payload(in_blocks), _payload({"text": "\n\n".join(texts)})


def _shown(layout: Layout) -> tuple[Section, ...]:
    """The sections of the message; where no action is required, only sentences, without those that explain them."""
    if layout.severity is not Severity.INFO:
        return layout.sections
    sentences = (section for section in layout.sections if section.form is SectionForm.SENTENCES)
    return tuple(
        replace(section, lines=tuple(line for line in section.lines if not line.startswith("  ")))
        for section in sentences
    )


def _fallback(layout: Layout) -> str:
    """What a notification on a phone shows, and what a screen reader reads first."""
    headline = clipped(layout.headline, _HEADLINE_LIMIT, prose)
    return f"{SIGNS[layout.severity]} {clipped(layout.subject, _SHORT_LIMIT, prose)}\n{headline}"


def _head(layout: Layout) -> Iterator[_Block]:
    def signed(text: str) -> str:
        return f"{SIGNS[layout.severity]} {literal(text)}"

    header = clipped(layout.subject, _HEADER_LIMIT, signed)
    yield {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": False}}
    if headline := clipped(layout.headline, _HEADLINE_LIMIT, prose):
        yield _section(headline)


def _facts(layout: Layout) -> tuple[str, ...]:
    return tuple(
        f"{clipped(name, _FACT_NAME_LIMIT, bold)} {clipped(value, _FACT_LIMIT, code)}"
        for name, value in layout.facts[:_FACTS_LIMIT]
        if value != layout.thread  # it is at the end, with the other marks
    )


def _sections(fitting: Fitted) -> Iterator[_Block]:
    """The sections, with a divider before what is useful only after the rest was read."""
    is_parted = False
    for section, chunks in fitting.shown:
        if section.rank > Rank.DETAIL and not is_parted:
            is_parted = True
            yield {"type": "divider"}
        yield from map(_section, chunks)


def _marks(layout: Layout) -> tuple[str, ...]:
    """What the message can be found by."""
    incident = () if layout.thread is None else (f"Incident {clipped(layout.thread, _SHORT_LIMIT, code)}",)
    record = f"Everything: {clipped(layout.record, _SHORT_LIMIT, code)}"
    links = tuple(f"<{address}|{label}>" for label, address in layout.links)
    return (f"Severity {bold(layout.severity.value)}", *incident, *links, record)


def _section(text: str) -> _Block:
    return {"type": "section", "text": _markup(text)}


def _fields(texts: tuple[str, ...]) -> _Block:
    return {"type": "section", "fields": list(map(_markup, texts))} if texts else {}


def _context(texts: Iterable[str]) -> _Block:
    return {"type": "context", "elements": list(map(_markup, texts))}


def _markup(text: str) -> _Block:
    """A text in Slack's markup; Slack makes no links of its own in it."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _payload(content: Mapping[str, object]) -> str:
    return json.dumps({**content, "unfurl_links": False, "unfurl_media": False})


def _cost_of(block: _Block) -> int:
    return length(json.dumps(block, ensure_ascii=False)) + len(", ")
