"""Messages as an incoming webhook of Slack takes them.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from remediator.core.alerts.layout import Layout, Rank
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

Slack refuses more than about 13,200 over all blocks, and does not document what it counts; so the most that it could
be is counted.
"""
_NOTE_ROOM: Final = 1000
"""Of that, for the line that says what is left out, and a divider."""
_LEAST_COST: Final = 300
"""What a block of a section takes of it at least: so there are never more than 40, and Slack takes 50 blocks.

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
    """The layout as the JSON that a webhook takes, whatever is in it: in blocks as it should look, and as text alone.

    The sign of its severity and the headline come first. Where not everything fits, it says what is left out, and where
    everything can be read.
    """
    head = (*_head(layout), _fields(_facts(layout)))
    room = _ROOM - _NOTE_ROOM - sum(map(_cost_of, (*head, _context(_marks(layout)))))
    fitting = fitted(layout.sections, room, lambda chunk: max(_LEAST_COST, _cost_of(_section(chunk))))
    note = what_is_not(layout, fitting, facts=max(0, len(layout.facts) - _FACTS_LIMIT))
    blocks = (*head, *_sections(fitting), *map(_section, note), _context(_marks(layout)))
    chunks = (chunk for _, chunks in fitting.shown for chunk in chunks)
    facts = (fact.replace("\n", " ") for fact in _facts(layout))
    texts = (_fallback(layout), *facts, *chunks, *note, " · ".join(_marks(layout)))
    in_blocks = {"text": _fallback(layout), "blocks": [block for block in blocks if block]}
    return _payload(in_blocks), _payload({"text": "\n\n".join(texts)})


def _fallback(layout: Layout) -> str:
    """What a notification on a phone shows, and who has the blocks read out hears first."""
    headline = clipped(layout.headline, _HEADLINE_LIMIT, prose)
    return f"{SIGNS[layout.severity]} {clipped(layout.subject, _SHORT_LIMIT, prose)}\n{headline}"


def _head(layout: Layout) -> Iterator[_Block]:
    def signed(text: str) -> str:
        return f"{SIGNS[layout.severity]} {literal(text)}"

    header = clipped(layout.headline, _HEADER_LIMIT, signed)
    yield {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": False}}
    if header != signed(layout.headline):
        yield _section(clipped(layout.headline, _HEADLINE_LIMIT, prose))


def _facts(layout: Layout) -> tuple[str, ...]:
    return tuple(
        f"{clipped(name, _FACT_NAME_LIMIT, bold)}\n{clipped(value, _FACT_LIMIT, code)}"
        for name, value in layout.facts[:_FACTS_LIMIT]
        if value != layout.thread  # which stands below, with the other marks
    )


def _sections(fitting: Fitted) -> Iterator[_Block]:
    """The sections, with a line before what is only of use to somebody who has read the rest."""
    is_parted = False
    for section, chunks in fitting.shown:
        if section.rank > Rank.TELLING and not is_parted:
            is_parted = True
            yield {"type": "divider"}
        yield from map(_section, chunks)


def _marks(layout: Layout) -> tuple[str, ...]:
    """By what the message is found again."""
    incident = () if layout.thread is None else (f"Incident {clipped(layout.thread, _SHORT_LIMIT, code)}",)
    record = f"Everything: {clipped(layout.record, _SHORT_LIMIT, code)}"
    return (f"Severity {bold(layout.severity.value)}", *incident, record)


def _section(text: str) -> _Block:
    return {"type": "section", "text": _markup(text)}


def _fields(texts: tuple[str, ...]) -> _Block:
    return {"type": "section", "fields": list(map(_markup, texts))} if texts else {}


def _context(texts: Iterable[str]) -> _Block:
    return {"type": "context", "elements": list(map(_markup, texts))}


def _markup(text: str) -> _Block:
    """A text in Slack's markup, in which Slack is to make no links of its own."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _payload(content: Mapping[str, object]) -> str:
    return json.dumps({**content, "unfurl_links": False, "unfurl_media": False})


def _cost_of(block: _Block) -> int:
    return length(json.dumps(block, ensure_ascii=False)) + len(", ")
