"""CloudTrail's records in the wrappings in which people have them: events, log files, answers of the AWS CLI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from remediator_cli.terminal.json_lines import Fault, NotJson, parse_json

_LISTS = ("Records", "Events", "Messages")
"""A log file of CloudTrail or what a function gets of a queue; ``lookup-events``; ``sqs receive-message``."""
_TEXTS = ("CloudTrailEvent", "Body", "body")
"""Where an item of these lists holds the record, or the event, as JSON in a text."""


@dataclass(frozen=True, slots=True)
class FoundRecord:
    """A record of CloudTrail; ``envelope`` is the event of EventBridge that it came in, None for a bare record."""

    place: str
    detail: object
    envelope: Mapping[str, object] | None = None


def find_records(place: str, value: object) -> Iterator[FoundRecord | Fault]:
    """The records in a value, in their order; what is none is a fault. Places in it are like ``x.json:1 Records[2]``.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-examples.html
    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_Event.html (CloudTrailEvent)
    """
    left = [(place, value)]
    while left:  # a loop, because nesting has no limit that recursion could rely on
        place, value = left.pop()
        if isinstance(value, list):
            left += _items(f"{place} ", value)
        elif not isinstance(value, dict):
            yield _fault(place)
        elif "detail" in value or "detail-type" in value:
            yield FoundRecord(place, value.get("detail"), value)
        elif "eventName" in value and "eventSource" in value:
            yield FoundRecord(place, value)
        else:
            held = _unwrapped(place, value)
            if isinstance(held, Fault):
                yield held
            else:
                left += held


def _unwrapped(place: str, value: Mapping[str, object]) -> list[tuple[str, object]] | Fault:
    """What an object holds that is no record itself."""
    for key in _LISTS:
        if isinstance(listed := value.get(key), list):
            return _items(f"{place} {key}", listed)
    for key in _TEXTS:
        if isinstance(text := value.get(key), str):
            try:
                return [(place, parse_json(text))]
            except NotJson as error:
                return Fault(place, f"{key} {error}")
    return _fault(place)


def _items(name: str, items: list[object]) -> list[tuple[str, object]]:
    """The items with their places, the first one last."""
    return [(f"{name}[{index}]", item) for index, item in enumerate(items)][::-1]


def _fault(place: str) -> Fault:
    return Fault(place, "is neither an EventBridge event nor a CloudTrail record, and contains none")
