"""Slack messages as an HTML page that resembles Slack, to view them without Slack.

It supports the blocks and the markup that the remediator sends to incoming webhooks.
https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.46 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
article { display: grid; grid-template-columns: 2.5rem minmax(0, 1fr); gap: .75rem; padding: 1rem 0;
  border-top: 1px solid var(--line); }
.face { width: 2.25rem; height: 2.25rem; border-radius: .4rem; background: #2b6; color: #fff;
  text-align: center; line-height: 2.25rem; }
h2 { font-size: 1.05rem; margin: 0 0 .4rem; } p, div.fields { margin: .35rem 0; }
.fields { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .35rem 1rem; }
.fields > * { overflow-wrap: anywhere; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: .3rem; padding: .5rem; overflow-x: auto;
  font: 12px/1.5 ui-monospace, monospace; margin: .35rem 0; }
code { font: 12px ui-monospace, monospace; background: var(--soft); border: 1px solid var(--line);
  border-radius: .2rem; padding: 0 .2rem; }
.context { font-size: .8rem; opacity: .75; } hr { border: 0; border-top: 1px solid var(--line); }
"""

_PIECE = re.compile(r"```(?P<block>.*?)```|`(?P<code>[^`\n]+)`|\*(?P<bold>[^*\n]+)\*", re.DOTALL)


def page(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return a self-contained HTML page."""
    shown = "\n".join(
        f'<article><div class="face">A</div><div>{_message(message)}</div></article>' for message in messages
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>#platform-alerts</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><h1># platform-alerts</h1>{shown}</body></html>\n"
    )


def _message(message: Mapping[str, Any]) -> str:
    return "".join(map(_block, message["blocks"])) if message.get("blocks") else f"<p>{_markup(message['text'])}</p>"


def _block(block: Mapping[str, Any]) -> str:
    match block["type"]:
        case "header":
            return f"<h2>{_plain(block['text']['text'])}</h2>"
        case "section":
            text = f"<p>{_text(block['text'])}</p>" if "text" in block else ""
            fields = "".join(f"<div>{_text(field)}</div>" for field in block.get("fields", ()))
            return text + (f'<div class="fields">{fields}</div>' if fields else "")
        case "context":
            return f'<p class="context">{" · ".join(map(_text, block["elements"]))}</p>'
        case "divider":
            return "<hr>"
        case kind:
            raise ValueError(f"unsupported block type: {kind}")


def _text(text: Mapping[str, str]) -> str:
    return _plain(text["text"]) if text["type"] == "plain_text" else _markup(text["text"])


def _plain(text: str) -> str:
    return html.escape(html.unescape(text))


def _markup(text: str) -> str:
    """Convert Slack markup to HTML; both use the same escapes.

    https://docs.slack.dev/messaging/formatting-message-text
    """
    parts, end = [], 0
    for piece in _PIECE.finditer(text):
        parts.append(_lines(text[end : piece.start()]))
        if piece["block"] is not None:
            parts.append(f"<pre>{_plain(piece['block'].strip(chr(10)))}</pre>")
        elif piece["code"] is not None:
            parts.append(f"<code>{_plain(piece['code'])}</code>")
        else:
            parts.append(f"<b>{_plain(piece['bold'])}</b>")
        end = piece.end()
    return "".join((*parts, _lines(text[end:])))


def _lines(text: str) -> str:
    return _plain(text).replace("\n", "<br>")
