"""Foreign text made harmless: names, tags, error messages and documents that others wrote."""

from __future__ import annotations

import difflib
import json
import re
import unicodedata

from remediator.core.policy.document import Json

SENTENCE_LIMIT = 600
_DIFF_LINES_LIMIT = 120
_DIFF_LINE_LIMIT = 200

_MENTION = re.compile(r"(?<![\w.+-])@(?=(?:channel|here|everyone)\b)", re.IGNORECASE)


def plain(text: str, limit: int = SENTENCE_LIMIT) -> str:
    """Foreign text on one line: control, format and line-breaking characters become spaces, long text is cut."""
    cleaned = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    return cleaned if len(cleaned) <= limit else f"{cleaned[: limit - 1]}…"


def foreign(text: str, limit: int = SENTENCE_LIMIT) -> str:
    """Foreign text as it is in an alert: on one line, and without what a chat takes for markup or a mention.

    https://docs.slack.dev/messaging/formatting-message-text#special-mentions
    """
    return _MENTION.sub("@ ", plain(text, limit).replace("<", "\u2039").replace(">", "\u203a"))


def capitalized(text: str) -> str:
    """The text with a capital first letter, and the rest as it is."""
    return f"{text[:1].upper()}{text[1:]}"


def unmarked_json(text: str) -> str:
    """JSON that says the same without the signs that a chat could take for markup or a mention."""
    return _MENTION.sub(r"\\u0040", text.replace("<", "\\u003c").replace(">", "\\u003e"))


def document_diff(before: Json | None, after: Json | None) -> str:
    """A unified diff of two JSON objects, printed as indented ASCII JSON; a long one is cut in the middle."""
    lines = list(difflib.unified_diff(_lines(before), _lines(after), "before", "after", lineterm="", n=4))
    if len(lines) > _DIFF_LINES_LIMIT:
        half = _DIFF_LINES_LIMIT // 2
        lines = [*lines[:half], f"  … {len(lines) - 2 * half} lines left out …", *lines[-half:]]
    return "\n".join(line[:_DIFF_LINE_LIMIT] for line in lines)


def _lines(document: Json | None) -> list[str]:
    return [] if document is None else unmarked_json(json.dumps(document, indent=2)).splitlines()
