"""Layouts in Slack's markup, harmless whatever they hold, and cut where the least is lost.

https://docs.slack.dev/messaging/formatting-message-text
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from remediator.core.alerts.layout import Layout, Section, SectionForm
from remediator.core.alerts.notification import Severity
from remediator.core.model.plain_text import plain

SIGNS: Final = {Severity.INFO: "✅", Severity.WARNING: "⚠️", Severity.ERROR: "🚨"}
"""What a message begins with: three shapes, so that they differ without color too."""

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
class Fitted:
    """The sections that fit, in the order of the layout, each as texts of at most 3000 characters as Slack counts them.

    ``left_out`` are the titles of the others. ``is_whole`` says that no section is left out or cut.
    """

    shown: tuple[tuple[Section, tuple[str, ...]], ...]
    left_out: tuple[str, ...]
    is_whole: bool


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

    def price(chunks: tuple[str, ...]) -> int:
        return sum(map(cost, chunks))

    shown: dict[int, tuple[str, ...]] = {}
    is_whole = True
    for rank in sorted({section.rank for section in sections}):
        of_rank = {number: section for number, section in enumerate(sections) if section.rank == rank}
        fitting, is_whole = _of_rank(of_rank, room - sum(map(price, shown.values())), price)
        shown |= fitting
        if not is_whole:
            break
    return Fitted(
        tuple((sections[number], shown[number]) for number in sorted(shown)),
        tuple(section.title for number, section in enumerate(sections) if number not in shown),
        is_whole,
    )


def _of_rank(
    sections: Mapping[int, Section], room: int, price: Callable[[tuple[str, ...]], int]
) -> tuple[dict[int, tuple[str, ...]], bool]:
    """As much of the sections as fits, by their numbers, and whether that is everything."""
    wholes = sorted(
        ((number, _whole(section)) for number, section in sections.items()), key=lambda each: price(each[1])
    )
    shown: dict[int, tuple[str, ...]] = {}
    for rest, (number, whole) in zip(range(len(wholes), 0, -1), wholes, strict=True):
        chunks = _fitting(sections[number], whole, room, room // rest, price)
        if chunks:
            shown[number] = chunks
            room -= price(chunks)
    return shown, all(whole and shown.get(number) == whole for number, whole in wholes)


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
    return section.form in (SectionForm.SENTENCES, SectionForm.DIFF)


def _fitting(
    section: Section, whole: tuple[str, ...], room: int, share: int, price: Callable[[tuple[str, ...]], int]
) -> tuple[str, ...]:
    """The whole section where it fits, else what may be cut of it as far as its share goes; nothing where that is."""
    if _may_be_cut(section):
        return whole if price(whole) <= share else _cut(section, share, price)
    return whole if price(whole) <= room else ()


def _whole(section: Section) -> tuple[str, ...]:
    """The whole section; nothing where a line that must not be cut does not fit."""
    lines = tuple(_lines(section))
    if not _may_be_cut(section) and any(length(line) > _CODE_LINE_LIMIT for line in lines):
        return ()
    return tuple(_chunks(section, lines))


def _cut(section: Section, room: int, price: Callable[[tuple[str, ...]], int]) -> tuple[str, ...]:
    """As many lines as fit, and how many do not; nothing where not even one fits."""
    lines = tuple(_lines(section))

    def first(count: int) -> tuple[str, ...]:
        return tuple(_chunks(section, lines[:count], f"… {len(lines) - count} lines left out"))

    count = bisect_right(range(1, len(lines)), room, key=lambda count: price(first(count)))
    return first(count) if count else ()


def _lines(section: Section) -> Iterator[str]:
    if section.form is SectionForm.SENTENCES:
        for line in section.lines:
            bullet = "    ◦ " if line.startswith("  ") else "• "
            yield bullet + clipped(line.strip(), _SENTENCE_LIMIT, prose)
        return
    for line in section.lines:
        for part in line.split("\n"):
            yield clipped(part, _CODE_LINE_LIMIT, _in_code) if section.form is SectionForm.DIFF else _in_code(part)


def _in_code(text: str) -> str:
    return _FENCE_IN_CODE.sub(lambda found: "'" * len(found.group()), literal(text))


def _chunks(section: Section, lines: Iterable[str], ending: str = "") -> Iterator[str]:
    """Texts of at most 3000 characters, the first with the title; each that holds code opens and closes it itself."""
    head = [clipped(section.title, _TITLE_LIMIT, bold)]
    if section.note:
        head.append(clipped(section.note, _SENTENCE_LIMIT, prose))
    fence = (_FENCE,) if section.form is not SectionForm.SENTENCES else ()
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
