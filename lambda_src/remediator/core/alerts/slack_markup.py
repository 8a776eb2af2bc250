"""Layouts in Slack's markup, harmless whatever they hold, and cut where it hurts least.

https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from remediator.core.alerts.layout import Form, Layout, Section
from remediator.core.alerts.severity import Severity
from remediator.core.model.plain_text import plain

SIGNS: Final = {Severity.INFO: "✅", Severity.WARNING: "⚠️", Severity.ERROR: "🚨"}
"""What a message begins with: three shapes, so that they differ for those who see no colours too."""

CHUNK_LIMIT: Final = 3000
"""https://docs.slack.dev/reference/block-kit/blocks/section-block (text)"""
_SENTENCE_LIMIT: Final = 1000
_CODE_LINE_LIMIT: Final = 2800
_TITLE_LIMIT: Final = 150
_NAMES_LIMIT: Final = 350
_RECORD_LIMIT: Final = 200
_FENCE: Final = "```"

_LOOK_ALIKES: Final = {"*": "\u2217", "~": "\u223c"}

_MENTION = re.compile(r"(?<![\w.+-])@(?=(?:channel|here|everyone|group)\b)", re.IGNORECASE)
_ARN = re.compile(r"\b(arn:[\w-]+:[^\s'`&,;()]*[\w*/])")
_UNDERSCORE_AT_AN_EDGE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_EMOJI = re.compile(r":(?=(?!\d\d:)[\w+'-]+:)")
_QUOTE = re.compile(r"^(\s*)(?:&gt;)+")
_FENCE_IN_CODE = re.compile("`{3,}")


@dataclass(frozen=True, slots=True)
class Shown:
    """A section as texts of at most 3000 characters each, as Slack counts them; ``is_whole`` unless its end is cut."""

    section: Section
    chunks: tuple[str, ...]
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Fitted:
    """The sections that fit, in the order of the layout, and the titles of those that were left out."""

    shown: tuple[Shown, ...]
    left_out: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether everything is shown."""
        return not self.left_out and all(each.is_whole for each in self.shown)


def length(text: str) -> int:
    """Characters as Slack counts them, in units of UTF-16: an emoji is two."""
    return len(text.encode("utf-16-le")) // 2


def literal(text: str) -> str:
    """Text on one line that Slack shows as it stands where it takes nothing for markup, as in ``plain_text``."""
    return _escaped(_MENTION.sub("@ ", plain(text, len(text))))


def prose(text: str) -> str:
    """Text on one line that means nothing but itself: no mention, no link, no emoji, no quote and no format.

    What Slack would take for a format is replaced by a sign that looks like it, except where it can do nothing: a
    single ``*`` stays, and so does the ``_`` within a name. ARNs stand as code, and so stay exact.
    """
    text = _QUOTE.sub(lambda found: found.group(1) + "\u203a" * found.group().count("&gt;"), _without_code(text))
    pairs = frozenset(mark for mark in _LOOK_ALIKES if text.count(mark) > 1)
    return "".join(
        f"`{part}`" if number % 2 else _without_formats(part, pairs) for number, part in enumerate(_ARN.split(text))
    )


def bold(text: str) -> str:
    """The text on one line as a title."""
    return f"*{_without_formats(_without_code(text).strip(), frozenset(_LOOK_ALIKES)) or '-'}*"


def code(text: str) -> str:
    """The text on one line as it is to be typed or copied; a ``-`` where there is none."""
    return f"`{_without_code(text).strip() or '-'}`"


def _without_code(text: str) -> str:
    return literal(text).replace("`", "'")


def _without_formats(text: str, marks: frozenset[str]) -> str:
    for mark in marks:
        text = text.replace(mark, _LOOK_ALIKES[mark])
    return _EMOJI.sub("\u2236", _UNDERSCORE_AT_AN_EDGE.sub("\u02cd", text))


def clipped(text: str, limit: int, form: Callable[[str], str]) -> str:
    """The text in that form, cut at its end so that the form has at most ``limit`` characters as Slack counts them."""
    shown = form(text)
    while (excess := length(shown) - limit) > 0:
        # No character takes more than five in any form, so that this never cuts more than it must by much.
        text = text[: -1 - max(1, excess // 5)]
        shown = form(f"{text}…")
    return shown


def fitted(sections: tuple[Section, ...], room: int, cost: Callable[[str], int]) -> Fitted:
    """As much of the sections as fits into ``room``, where each chunk costs what ``cost`` says.

    A section is there only if all of lower rank are whole. Within the last rank that is there, each section has the
    same share, and leaves to the others what it does not need; longer ones end where a line ends, and say so. Commands
    and code are whole or not there at all: half of them would do something else.
    """
    wholes = {number: _whole(section) for number, section in enumerate(sections)}

    def price(chunks: tuple[str, ...]) -> int:
        return sum(map(cost, chunks))

    shown: dict[int, Shown] = {}
    for rank in sorted({section.rank for section in sections}):
        of_rank = sorted(
            (number for number, section in enumerate(sections) if section.rank == rank),
            key=lambda number: price(wholes[number] or ()),
        )
        for rest, number in zip(range(len(of_rank), 0, -1), of_rank, strict=True):
            section, whole = sections[number], wholes[number]
            share = room // rest
            if whole is not None and price(whole) <= (share if _may_be_cut(section) else room):
                shown[number] = Shown(section, whole)
            elif _may_be_cut(section) and (chunks := _cut(section, share, price)):
                shown[number] = Shown(section, chunks, is_whole=False)
            room -= price(shown[number].chunks) if number in shown else 0
        if not all(number in shown and shown[number].is_whole for number in of_rank):
            break
    return Fitted(
        tuple(shown[number] for number in sorted(shown)),
        tuple(section.title for number, section in enumerate(sections) if number not in shown),
    )


def what_is_not(layout: Layout, fitting: Fitted, *, facts: int = 0) -> tuple[str, ...]:
    """The line that says what is left out, and where everything can be read; none where nothing is.

    ``facts`` is how many of the layout's facts are left out. At most 600 characters as Slack counts them.
    """
    if fitting.is_whole and not facts:
        return ()
    names = (*fitting.left_out, *((f"{facts} more facts",) if facts else ()))
    left_out = f"Left out here: {clipped('; '.join(names), _NAMES_LIMIT, prose)}." if names else "Cut here."
    return (f"{left_out} Everything: {clipped(layout.record, _RECORD_LIMIT, code)}",)


def _may_be_cut(section: Section) -> bool:
    return section.form in (Form.SENTENCES, Form.DIFF)


def _whole(section: Section) -> tuple[str, ...] | None:
    """The whole section; None where a line that must not be cut does not fit."""
    lines = tuple(_lines(section))
    if not _may_be_cut(section) and any(length(line) > _CODE_LINE_LIMIT for line in lines):
        return None
    return tuple(_chunks(section, lines))


def _cut(section: Section, room: int, price: Callable[[tuple[str, ...]], int]) -> tuple[str, ...]:
    """As many lines as fit, and how many do not; nothing where not even one fits."""
    lines = tuple(_lines(section))

    def first(count: int) -> tuple[str, ...]:
        return tuple(_chunks(section, lines[:count], f"… {len(lines) - count} lines left out"))

    count = bisect_right(range(1, len(lines)), room, key=lambda count: price(first(count)))
    return first(count) if count else ()


def _lines(section: Section) -> Iterator[str]:
    if section.form is Form.SENTENCES:
        for line in section.lines:
            bullet = "    ◦ " if line.startswith("  ") else "• "
            yield bullet + clipped(line.strip(), _SENTENCE_LIMIT, prose)
        return
    for line in section.lines:
        for part in line.split("\n"):
            yield clipped(part, _CODE_LINE_LIMIT, _in_code) if section.form is Form.DIFF else _in_code(part)


def _in_code(text: str) -> str:
    return _FENCE_IN_CODE.sub(lambda found: "'" * len(found.group()), literal(text))


def _chunks(section: Section, lines: Iterable[str], ending: str = "") -> Iterator[str]:
    """Texts of at most 3000 characters, the first with the title; each that holds code opens and closes it itself."""
    head = [clipped(section.title, _TITLE_LIMIT, bold)]
    if section.note:
        head.append(clipped(section.note, _SENTENCE_LIMIT, prose))
    fence = (_FENCE,) if section.form is not Form.SENTENCES else ()
    room = CHUNK_LIMIT - sum(length(f"{line}\n") for line in (*fence, *fence, ending))
    taken: list[str] = []
    for line in lines:
        if (head or taken) and length("\n".join((*head, *taken, line))) > room:
            yield "\n".join((*head, *_fenced(fence, taken)))
            head, taken = [], []
        taken.append(line)
    yield "\n".join((*head, *_fenced(fence, taken), *filter(None, (ending,))))


def _fenced(fence: tuple[str, ...], lines: list[str]) -> tuple[str, ...]:
    return (*fence, *lines, *fence) if lines else ()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
