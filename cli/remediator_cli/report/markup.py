"""HTML from elements and texts: whatever is given as a text is escaped, so that none can become markup."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Final, TypeAlias, assert_never

from remediator.core.model.plain_text import plain

_TEXT_LIMIT: Final = 2_000
"""Characters. Longer than any ARN, and than any sentence that is meant to be read."""

# https://html.spec.whatwg.org/multipage/syntax.html#void-elements
_VOID: Final = frozenset({"input", "meta"})


@dataclass(frozen=True, slots=True)
class Element:
    """An element, with its attributes in their order; the value None stands for an attribute without one."""

    name: str
    attributes: tuple[tuple[str, str | None], ...]
    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Verbatim:
    """A text of our own that a browser takes as it stands: a style sheet, a script, the end of a line."""

    text: str

    def __post_init__(self) -> None:
        """Raise ValueError for a text that could end its element, or begin a comment in it."""
        if "</" in self.text or "<!--" in self.text:
            raise ValueError("what stands in a page as it is may hold neither </ nor <!--")


Node: TypeAlias = Element | Verbatim | str


def element(name: str, /, *children: Node | None, **attributes: str | bool | None) -> Element:
    """An element; a child or an attribute that is None is left out, an attribute that is True has no value.

    ``class_`` and ``for_`` stand for the names that Python reserves, ``data_role`` for ``data-role``.
    """
    return Element(
        name,
        tuple(
            (key.rstrip("_").replace("_", "-"), None if value is True else str(value))
            for key, value in attributes.items()
            if value is not None and value is not False
        ),
        tuple(child for child in children if child is not None),
    )


def render(node: Node) -> str:
    """The node as HTML. A text stands on one line, without control characters, and a very long one is cut."""
    match node:
        case str():
            return escape(plain(node, _TEXT_LIMIT))
        case Verbatim(text=text):
            return text
        case Element(name=name, attributes=attributes, children=children):
            inside = "".join(render(child) for child in children)
            return f"<{name}{''.join(map(_attribute, attributes))}>{inside}{'' if name in _VOID else f'</{name}>'}"
        case _ as never:
            assert_never(never)


def _attribute(attribute: tuple[str, str | None]) -> str:
    name, value = attribute
    return f" {name}" if value is None else f' {name}="{escape(plain(value, _TEXT_LIMIT))}"'
