"""The command line, run in this process."""

from __future__ import annotations

import io
import sys

import pytest

from remediator_cli.app import main
from tests.cli.terminal import Answer, Remediator


@pytest.fixture
def remediator(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Remediator:
    monkeypatch.delenv("COLUMNS", raising=False)

    def run_here(*arguments: str, stdin: bytes = b"") -> Answer:
        monkeypatch.setattr(sys, "argv", ["remediator", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        code = ended.value.code
        return Answer(int(code) if code else 0, captured.out, captured.err)

    return run_here
