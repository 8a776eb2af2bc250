"""Digests as JSON: the part kept of each alert until the window ends, and the whole digest as it is published."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import Final

from remediator.core.alerts.digest import DIGEST, Asks, Digest, DigestItem, DigestRole, Group, gather
from remediator.core.alerts.digest_layout import digest_headline
from remediator.core.alerts.notification import Severity
from remediator.core.alerts.window import Window, parse_window
from remediator.core.events.message_fields import Fields, json_line, read_message
from remediator.core.model.plain_text import unmarked_json
from remediator.core.repair.outcome import Hold, OutcomeKind
from remediator.errors import MalformedAlert

FORMAT: Final = 1
"""Version of both formats; another version is an error."""

_JSON_LIMIT: Final = 100_000
"""Bytes: the rest of an SNS message is for e-mail and chat."""
_NAMED_OF_OTHERS: Final = 100
_NAMED: Final = (1000, 500, 200, 100, 50, 20, 5, 0)
"""How many roles of a group the JSON names: the most that fits."""


def digest_item_json(item: DigestItem) -> str:
    """The item as one line of JSON; ``parse_digest_item`` reads it back."""
    return json_line({"format": FORMAT, **asdict(item)})


def parse_digest_item(text: str) -> DigestItem:
    """Read what ``digest_item_json`` wrote. Raises MalformedAlert for anything else."""
    return read_message(text, "an alert held for a digest", FORMAT, _item, MalformedAlert)


def _item(fields: Fields) -> DigestItem:
    return DigestItem(
        role=fields.text("role"),
        account=fields.text("account"),
        cloud=fields.text_or_none("cloud"),
        outcome=OutcomeKind(fields.text("outcome")),
        hold=_hold(fields),
        severity=Severity(fields.text("severity")),
        title=fields.text("title"),
        headline=fields.text("headline"),
        incident=fields.text_or_none("incident"),
        actors=fields.texts("actors"),
        undo=fields.texts("undo"),
    )


def digest_of(window: Window, items: tuple[DigestItem, ...]) -> Digest:
    """The digest of the alerts of a window (at least one), in the order in which they were sent.

    It names as many roles as fit into its JSON.
    """
    digest = gather(window, items)
    *fuller, barest = (_naming(digest, most) for most in _NAMED)
    return next((each for each in fuller if len(digest_json(each)) <= _JSON_LIMIT), barest)


def _naming(digest: Digest, most: int) -> Digest:
    """The digest naming that many roles of each group at most, fewer where no action is required."""
    few = min(most, _NAMED_OF_OTHERS)
    groups = (
        replace(group, named=group.named[: few if group.asks is Asks.NOTHING else most]) for group in digest.groups
    )
    return replace(digest, groups=tuple(groups))


def digest_json(digest: Digest) -> str:
    """The digest as it is published, in less than 100 KB; ``parse_digest`` reads it back.

    Equal content has the same ``id``.
    """
    content = {
        "outcome": DIGEST,
        "severity": digest.severity,
        "headline": digest_headline(digest),
        "account": digest.account,
        "from": digest.window.start.isoformat(),
        "until": digest.window.end.isoformat(),
        "alerts": digest.alerts,
        "groups": [
            {
                "outcome": group.outcome,
                "hold": group.hold,
                "severity": group.severity,
                "title": group.title,
                "headline": group.headline,
                "count": group.count,
                "roles": [
                    {"name": name, "cloud": cloud, "incident": incident} for name, cloud, incident in group.named
                ],
            }
            for group in digest.groups
        ],
        "actors": [{"actor": actor, "roles": roles} for actor, roles in digest.actors],
        "unheardOf": digest.found_by_sweep,
        "undo": digest.undo,
    }
    digest_id = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]
    return unmarked_json(json_line({"format": FORMAT, "id": digest_id, **content}))


def parse_digest(text: str) -> Digest:
    """Read what ``digest_json`` wrote. Raises MalformedAlert, which says what is missing or wrong."""
    return read_message(text, "a digest", FORMAT, _digest, MalformedAlert)


def _digest(fields: Fields) -> Digest:
    if fields.text("outcome") != DIGEST:
        raise ValueError("its outcome is another one")
    groups = fields.each("groups", _group)
    if not groups:
        raise ValueError("it is about nothing")
    return Digest(
        window=parse_window(f"{fields.text('from')}/{fields.text('until')}"),
        account=fields.text("account"),
        alerts=fields.count("alerts"),
        groups=groups,
        actors=fields.each("actors", _actor),
        found_by_sweep=fields.count("unheardOf"),
        undo=fields.texts("undo"),
    )


def _group(group: Fields) -> Group:
    named = group.each("roles", _named)
    count = group.count("count")
    if count < max(1, len(named)):
        raise ValueError("a group names more roles than it counts")
    return Group(
        outcome=OutcomeKind(group.text("outcome")),
        hold=_hold(group),
        severity=Severity(group.text("severity")),
        title=group.text("title"),
        headline=group.text_or_none("headline"),
        count=count,
        named=named,
    )


def _named(role: Fields) -> DigestRole:
    return role.text("name"), role.text_or_none("cloud"), role.text_or_none("incident")


def _actor(actor: Fields) -> tuple[str, int]:
    return actor.text("actor"), actor.count("roles")


def _hold(fields: Fields) -> Hold | None:
    hold = fields.text_or_none("hold")
    return None if hold is None else Hold(hold)
