"""Messages for Amazon Q Developer in chat applications, which posts them to a Slack channel.

https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
"""

from __future__ import annotations

import json
from typing import Final

from remediator.core.alerts.layout import Layout, SectionForm
from remediator.core.alerts.slack_markup import SIGNS, bold, clipped, code, fitted, length, literal, prose, what_is_not

_TITLE_LIMIT: Final = 150
_DESCRIPTION_LIMIT: Final = 3000
_NOTE_ROOM: Final = 620
"""Of the description, for the line that names what is left out."""
_STEPS_LIMIT: Final = 10
_STEP_LIMIT: Final = 350
_KEYWORDS_LIMIT: Final = 10
_KEYWORD_LIMIT: Final = 75
_HEADLINE_LIMIT: Final = 400
_SUMMARY_LIMIT: Final = 200
_THREAD_LIMIT: Final = 200
_FACTS_LIMIT: Final = 4
_FACT_NAME_LIMIT: Final = 30
_FACT_LIMIT: Final = 350
"""So that facts and headline leave at least 400 characters to the sections."""
_VARIABLES_LIMIT: Final = 10
_VARIABLE_LIMIT: Final = 700

_EVENT_TYPE: Final = "Anyscale role remediator"
_PARTED: Final = "\n\n"


def amazon_q_json(layout: Layout) -> str:
    """The layout as a custom notification; whatever is in it, it keeps the limits and mentions no one.

    Commands become the next steps where all of their section fit. Messages with the same thread are threaded where the
    channel allows it. Custom actions find the facts, the severity and the record as variables.
    """
    steps = _steps(layout)
    metadata: dict[str, object] = {
        "summary": clipped(layout.subject, _SUMMARY_LIMIT, prose),
        "eventType": _EVENT_TYPE,
        "additionalContext": _variables(layout),
    }
    if layout.thread:
        metadata["threadId"] = clipped(layout.thread, _THREAD_LIMIT, literal)
    return json.dumps(
        {
            "version": "1.0",
            "source": "custom",
            "content": {
                "textType": "client-markdown",
                "title": _title(layout),
                "description": _description(layout, frozenset(steps)),
                "nextSteps": [step for of_section in steps.values() for step in of_section],
                "keywords": [clipped(each, _KEYWORD_LIMIT, prose) for each in layout.keywords[:_KEYWORDS_LIMIT]],
            },
            "metadata": metadata,
        }
    )


def _title(layout: Layout, limit: int = _TITLE_LIMIT) -> str:
    return clipped(layout.subject, limit, lambda text: f"{SIGNS[layout.severity]} {prose(text)}")


def _steps(layout: Layout) -> dict[int, tuple[str, ...]]:
    """The next steps made from the sections of commands, by the position of the section."""
    steps: dict[int, tuple[str, ...]] = {}
    room = _STEPS_LIMIT
    for place, section in enumerate(layout.sections):
        if section.form is not SectionForm.COMMANDS or section.note:
            continue
        of_section = tuple(f"{prose(f'{section.title}:')} {code(line)}" for line in section.lines)
        if len(of_section) <= room and all(length(step) <= _STEP_LIMIT for step in of_section):
            steps[place] = of_section
            room -= len(of_section)
    return steps


def _description(layout: Layout, elsewhere: frozenset[int]) -> str:
    """Everything but the title and the sections that are ``elsewhere``, in 3000 characters."""
    facts = "\n".join(
        f"{clipped(name, _FACT_NAME_LIMIT, bold)} {clipped(value, _FACT_LIMIT, code)}"
        for name, value in layout.facts[:_FACTS_LIMIT]
    )
    headline = clipped(layout.headline, _HEADLINE_LIMIT, prose)
    head = "\n".join((headline, facts)).strip() or _title(layout)  # it must not be empty
    sections = tuple(section for place, section in enumerate(layout.sections) if place not in elsewhere)
    room = _DESCRIPTION_LIMIT - _NOTE_ROOM - length(head)
    fitting = fitted(sections, room, lambda chunk: length(_PARTED + chunk))
    note = what_is_not(layout, fitting, facts=max(0, len(layout.facts) - _FACTS_LIMIT))
    return _PARTED.join((head, *(chunk for _, chunks in fitting.shown for chunk in chunks), *note))


def _variables(layout: Layout) -> dict[str, str]:
    facts = {name.lower(): value for name, value in layout.facts[:_VARIABLES_LIMIT]}
    variables = {**facts, "severity": layout.severity.value, "record": layout.record}
    return {
        clipped(name, _FACT_NAME_LIMIT, literal): clipped(value, _VARIABLE_LIMIT, literal)
        for name, value in variables.items()
    }
