"""The windows of alerts in the history's table, and the queue that ends them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from remediator.core.alerts.digest import DigestItem
from remediator.core.alerts.digest_json import digest_item_json, parse_digest_item
from remediator.core.alerts.window import Window, parse_window, window_end_json, window_of
from remediator.errors import MalformedRecord
from remediator.gateways.aws_errors import translated
from remediator.gateways.table import Table, epoch, text

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_sqs.client import SQSClient

    from remediator.gateways.table import Item, Values

_HELD: Final = "HELD#"
"""What the sort keys of the alerts that are held begin with."""

_PLACED_FOR: Final = timedelta(days=1)
"""How long an alert that is published once more is known by its id."""
_KEPT_FOR: Final = timedelta(days=30)
"""Longer than a message lies in a dead-letter queue (14 days) and an operator needs to send it back."""

_LONGEST_DELAY: Final = timedelta(minutes=15)
"""https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html (DelaySeconds)"""


class DigestWindows:
    """What becomes of each alert: told on its own, or held for the digest of its window.

    All of it is in the table of the history, under keys that begin with ``DIGEST#``: one item for a window, with the
    ids of its alerts, so that who belongs to it is decided by one conditional write whoever else is at it; one for each
    alert that is held; and one for each alert that says which window it is in. The ids of some 5,000 alerts, as many as
    an account can have roles, take half of what an item holds (400 KB).

    ``alone`` is how many alerts of a window are told on their own, ``minutes`` how long a window is. Every method
    raises any AwsError, MalformedAlert and MalformedRecord for what cannot be read, and may be called again, after
    whatever error, without harm.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items
    """

    def __init__(self, client: DynamoDBClient, table: str, *, alone: int, minutes: int) -> None:
        self._table = Table(client, table)
        self._alone = alone
        self._minutes = minutes

    def place(self, alert_id: str, item: DigestItem, *, sent_at: datetime, now: datetime) -> Window | None:
        """The window whose digest the alert is told with; None where it is told on its own.

        It is the same for one id as long as nobody has sent it again more than a day after the first time. ``sent_at``
        says which window the alert is in; one that comes when the digest of that was made is in the window of ``now``.
        """
        window = self._first_window(alert_id, sent_at)
        while True:
            if self._is_alone(window, alert_id):
                return None
            if self._is_held(window, alert_id, item, sent_at):
                return window
            window = self._moved(alert_id, window, now)

    def is_asked(self, window: Window) -> bool:
        """Whether it was noted that the digest of a window is asked for."""
        found = self._table.item(_window_key(window), attribute="asked")
        return found is not None and "asked" in found

    def note_asked(self, window: Window) -> None:
        """Note that the digest of a window is asked for."""
        self._table.update(_window_key(window), "SET asked = :yes", {":yes": {"BOOL": True}})

    def close(self, window: Window) -> tuple[DigestItem, ...]:
        """What the digest of a window says, in the order of the alerts; none comes in after that."""
        closed = self._table.update(
            _window_key(window),
            "SET closed = :yes, expires = :expires",
            {":yes": {"BOOL": True}, ":expires": epoch(window.end + _KEPT_FOR)},
            returned="ALL_NEW",
        )
        held = () if closed is None else tuple(closed.get("held", {}).get("SS", ()))
        if not held:
            return ()
        kept = {text(item, "sk").removeprefix(_HELD): item for item in self._held(window)}
        missing = sorted(set(held) - kept.keys())
        if missing:
            raise MalformedRecord(
                f"of {len(held)} alerts held for the digest of {window.key}, {len(missing)} are not there any more "
                f"({missing[0]} is one): `remediator history` names what was changed"
            )
        in_order = sorted((text(kept[alert_id], "sent"), alert_id) for alert_id in held)
        return tuple(parse_digest_item(text(kept[alert_id], "alert")) for _, alert_id in in_order)

    def _first_window(self, alert_id: str, sent_at: datetime) -> Window:
        """The window that the alert is in: that of ``sent_at``, unless another one was noted within a day before."""
        window = window_of(sent_at, self._minutes)
        is_first = self._table.update(
            _alert_key(alert_id),
            "SET placed_in = :window, expires = :expires",
            {":window": {"S": window.key}, ":expires": epoch(sent_at + _PLACED_FOR), ":sent": epoch(sent_at)},
            condition="attribute_not_exists(placed_in) OR expires < :sent",
        )
        return window if is_first is not None else self._noted_window(alert_id)

    def _noted_window(self, alert_id: str) -> Window:
        return parse_window(text(self._table.item(_alert_key(alert_id), attribute="placed_in") or {}, "placed_in"))

    def _moved(self, alert_id: str, window: Window, now: datetime) -> Window:
        """The window that the alert is in instead of one that is closed, whoever has moved it."""
        later = window_of(max(now, window.end), self._minutes)
        self._table.update(
            _alert_key(alert_id),
            "SET placed_in = :later",
            {":later": {"S": later.key}, ":window": {"S": window.key}},
            condition="placed_in = :window",
        )
        return self._noted_window(alert_id)

    def _is_alone(self, window: Window, alert_id: str) -> bool:
        """Whether the alert is one of those that are told on their own, of which it becomes one where there is room."""
        return self._alone > 0 and self._counted(
            window,
            alert_id,
            "alone",
            "contains(alone, :id) OR (attribute_not_exists(closed) AND NOT contains(held, :id)"
            " AND (attribute_not_exists(alone) OR size(alone) < :most))",
            {":most": {"N": str(self._alone)}},
        )

    def _is_held(self, window: Window, alert_id: str, item: DigestItem, sent_at: datetime) -> bool:
        """Whether the alert is held for the digest, for which it is kept unless that was made.

        It is kept before it is counted: what is counted is there when the window is closed.
        """
        self._table.put(
            {
                "pk": {"S": _pk(window)},
                "sk": {"S": f"{_HELD}{alert_id}"},
                "alert": {"S": digest_item_json(item)},
                "sent": {"S": sent_at.astimezone(UTC).isoformat(timespec="microseconds")},
                "expires": epoch(window.end + _KEPT_FOR),
            }
        )
        return self._counted(window, alert_id, "held", "attribute_not_exists(closed) OR contains(held, :id)", values={})

    def _counted(self, window: Window, alert_id: str, among: str, condition: str, values: Values) -> bool:
        counted = self._table.update(
            _window_key(window),
            f"ADD {among} :this SET expires = :expires",
            {
                ":this": {"SS": [alert_id]},
                ":id": {"S": alert_id},
                ":expires": epoch(window.end + _KEPT_FOR),
                **values,
            },
            condition=condition,
        )
        return counted is not None

    def _held(self, window: Window) -> tuple[Item, ...]:
        return self._table.query(
            "pk = :window AND begins_with(sk, :held)",
            {":window": {"S": _pk(window)}, ":held": {"S": _HELD}},
            ConsistentRead=True,
        )


class DigestQueue:
    """The digester's own queue, where it asks itself for the digest of a window."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def ask(self, window: Window, *, after: timedelta) -> None:
        """Ask for the digest of a window after a time, or after 15 minutes where that is longer."""
        delay = min(max(after, timedelta()), _LONGEST_DELAY)
        with translated("sqs:SendMessage"):
            self._client.send_message(
                QueueUrl=self._url,
                MessageBody=window_end_json(window),
                DelaySeconds=math.ceil(delay.total_seconds()),
            )


def _pk(window: Window) -> str:
    return f"DIGEST#{window.key}"


def _window_key(window: Window) -> Item:
    return {"pk": {"S": _pk(window)}, "sk": {"S": "WINDOW"}}


def _alert_key(alert_id: str) -> Item:
    return {"pk": {"S": f"DIGEST#{alert_id}"}, "sk": {"S": "PLACE"}}
