"""The command line, run in this process."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.client
import pytest
from moto import mock_aws

from remediator_cli.app import main
from remediator_cli.terminal import clock
from tests.cli.deployed import NOW, Deployed
from tests.cli.terminal import Answer, Remediator
from tests.memoized import install

install()


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


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    """A deployment, some minutes after it repaired a role; the clock is fixed."""
    with mock_aws():
        monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
        monkeypatch.setattr(clock, "now", lambda: NOW.replace(minute=12))
        account = Deployed()
        call = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]  # the stubs leave it out

        def answer(client: Any, name: str, parameters: Any) -> Any:
            if name == "DescribeStacks":
                return account.describe_stacks(client.meta.region_name, parameters["StackName"])
            return call(client, name, parameters)

        monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", answer)
        yield account
