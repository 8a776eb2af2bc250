"""The picture in the README shows what the commands print now."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from demo.account import DemoAccount
from demo.picture import PICTURE, record

pytestmark = pytest.mark.embedded


def test_the_picture_shows_what_the_commands_print_now(account: DemoAccount, tmp_path: Path) -> None:
    recorded = record(account, tmp_path / "session")
    assert words_in(recorded) == words_in(PICTURE.read_text("utf-8")), "Run `make picture` and check the new picture."


def words_in(svg: str) -> list[str]:
    """Return the words of an SVG in order, without the times, durations and ids of its run."""
    text = html.unescape("\n".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg)))
    return re.sub(r"\d{8}T\d+Z-[0-9a-f]{8}|\d+-\d+-\d+|\d+:\d+(:\d+)?|[\d.]+(?=\ss(econds)?\b)", "#", text).split()
