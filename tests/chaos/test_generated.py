"""Events, policies, messages and cases, damaged in any way: each has a verdict, a reason, or a clear error."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from remediator.core.alerts.topic_messages import topic_message_layout
from remediator.core.events.event import Ignored, RoleTrigger, SharedTrigger, Trigger, parse_event
from remediator.core.events.request import parse_request, request_for, request_json
from remediator.core.events.sweep import parse_sweep
from remediator.errors import MalformedAlert, MalformedEvent, MalformedRequest
from remediator_cli.evaluation.cases import MalformedCase, read_case
from remediator_cli.evaluation.evaluation import evaluate_case
from tests.chaos.conftest import how_many
from tests.examples import ACCOUNT
from tests.properties.policy_strategies import json_values
from tests.properties.test_policy_properties import everything
from tests.unit.alerts.samples import ALERTS, alarm, storm
from tests.unit.events.test_sweep import WRITTEN_EVENT, WRITTEN_SWEEP

PARTS: Final = 2
"""The parts of each kind, which run beside one another."""
KINDS: Final = 4
LONGEST_ERROR: Final = 2_000
"""Characters: an error is read by a person, whatever caused it."""

TESTS: Final = Path(__file__).parents[1]
EVENTS: Final = tuple(json.loads(path.read_text()) for path in sorted((TESTS / "events").glob("*.json")))
CASES: Final = tuple(
    json.loads(line)
    for name in ("policy_cases.jsonl", "more_cases.jsonl")
    for line in (TESTS / "cases" / name).read_text().splitlines()
)
ROLE_TRIGGERS: Final = tuple(
    trigger for event in EVENTS if isinstance(trigger := parse_event(event, account=ACCOUNT), RoleTrigger)
)
MESSAGES: Final = (
    *((WRITTEN_EVENT, WRITTEN_SWEEP) * 16),
    *(json.loads(request_json(request_for(trigger))) for trigger in ROLE_TRIGGERS[:4]),
    *(json.loads(told.json) for told in (*ALERTS.values(), storm(), alarm())),
)

damage: Final = json_values | st.sampled_from(
    ("*", "?", "${aws:username}", "arn:aws:iam::111122223333:root", "\ud800", "x" * 5_000, "<!channel>", -1, 1e308, {})
)


@st.composite
def damaged(draw: st.DrawFn, originals: tuple[Any, ...]) -> Any:
    """One of the originals, damaged in up to four places: replaced, left out, doubled, wrapped, cut or respelled."""
    whole = {"": copy.deepcopy(draw(st.sampled_from(originals)))}
    for _ in range(draw(st.integers(1, 4))):
        holder: Any = whole
        place: Any = ""
        while True:
            node = holder[place]
            if not isinstance(node, (dict, list)) or not node or (holder is not whole and draw(st.integers(0, 4)) == 0):
                break
            holder, place = node, draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        _damage(draw, holder, place)
        if "" not in whole:
            return draw(damage)
    return whole[""]


def _damage(draw: st.DrawFn, holder: Any, place: Any) -> None:
    node = holder[place]
    match draw(st.integers(0, 6)):
        case 0:
            del holder[place]
        case 1:
            holder[place] = [node, copy.deepcopy(node)]
        case 2:
            holder[place] = json.dumps(node, default=str)
        case 3 if isinstance(node, str):
            holder[place] = node[: draw(st.integers(0, len(node)))]
        case 4 if isinstance(node, str):
            holder[place] = draw(st.sampled_from((node.upper(), node.swapcase(), f" {node}", f"{node}\n", node * 2)))
        case 5 if isinstance(holder, dict) and holder is not node:
            holder[draw(st.text(max_size=8))] = node
        case _:
            holder[place] = draw(damage)


def answer_of_event(value: Any) -> str:
    """What is made of an event: it concerns something, it is ignored for a reason, or it is malformed."""
    try:
        trigger = parse_event(value, account=ACCOUNT)
    except MalformedEvent as error:
        return clear(error)
    assert isinstance(trigger, get_args(Trigger))
    if isinstance(trigger, Ignored):
        assert trigger.why
    if isinstance(trigger, RoleTrigger):
        request = request_for(trigger)
        assert parse_request(request_json(request)) == request
    if isinstance(trigger, SharedTrigger):
        return trigger.concern
    return type(trigger).__name__


def answer_of_message(value: Any) -> str:
    """What is made of a message in a queue; none is understood as two kinds."""
    text = json.dumps(value)
    understood = []
    for read, error in (
        (parse_request, MalformedRequest),
        (parse_sweep, MalformedRequest),
        (topic_message_layout, MalformedAlert),
    ):
        try:
            understood.append(type(read(text)).__name__)
        except error as malformed:
            clear(malformed)
    assert len(understood) <= 1
    return understood[0] if understood else "malformed"


def answer_of_case(value: Any) -> str:
    """What is made of a case: a verdict with its reasons, or what is wrong with the case."""
    try:
        case = read_case(value)
    except MalformedCase as error:
        return clear(error)
    evaluation = evaluate_case(case)
    assert evaluation.because
    return "usable" if evaluation.is_usable else "not usable"


def answer_of_document(value: Any) -> str:
    """What is made of a policy document: an answer, wherever a document is asked for."""
    everything(value)
    return "judged"


def clear(error: Exception) -> str:
    """An error says something, and not too much."""
    assert 0 < len(str(error)) <= LONGEST_ERROR
    return "malformed"


def documents_of(case: Any) -> list[Any]:
    """All policy documents of a case."""
    found = [case["role"]["trust"], *case["role"].get("inline", {}).values(), case["bucket"].get("policy")]
    return [each for each in found if isinstance(each, dict)]


KIND_OF: Final[dict[str, tuple[Callable[[Any], str], tuple[Any, ...], frozenset[str]]]] = {
    "events": (
        answer_of_event,
        EVENTS,
        frozenset({"malformed", "Ignored", "RoleTrigger", "managed policy", "bucket", "key"}),
    ),
    "messages": (
        answer_of_message,
        MESSAGES,
        frozenset({"malformed", "ReconcileRequest", "SweepRequest", "Sweep", "Layout"}),
    ),
    "cases": (answer_of_case, CASES, frozenset({"malformed", "usable", "not usable"})),
    "documents": (
        answer_of_document,
        tuple(document for case in CASES for document in documents_of(case)),
        frozenset({"judged"}),
    ),
}


_MOST_RUNS: Final = 20
"""How often the examples are drawn until each answer was seen.

What a seed draws changes with the code, because Hypothesis takes constants from the modules that are loaded.
"""


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", KIND_OF)
def test_whatever_comes_in_has_a_verdict_a_reason_or_a_clear_error(kind: str, part: int, note: Any) -> None:
    answer, originals, expected = KIND_OF[kind]
    answers: Counter[str] = Counter()

    @settings(
        max_examples=how_many("generated") // (KINDS * PARTS),
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(originals))
    def each_is_answered(value: Any) -> None:
        answers[answer(value)] += 1

    for run in range(_MOST_RUNS):
        seed(part + PARTS * run)(each_is_answered)()
        if answers.keys() >= expected:
            break
    note("generated", {"kind": kind, "answers": answers})
    assert answers.keys() >= expected
