"""The clients of the command line: they wait, and try, as those of the functions do."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from remediator.handlers import consumer
from remediator_cli.deployment import aws


def patience(config: Any) -> tuple[Any, ...]:
    """How long a client waits for a connection and for an answer, and how often it tries in which way."""
    return config.connect_timeout, config.read_timeout, config.retries["mode"], config.retries["total_max_attempts"]


@pytest.mark.parametrize("service", ["iam", "s3", "dynamodb", "sns", "ssm"])
def test_a_client_waits_and_tries_as_those_of_the_functions_do(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "10")  # what a profile may say
    config = aws.Account(boto3.Session()).client(service, "us-east-1").meta.config
    assert patience(config) == patience(consumer.CLIENT_CONFIG)


@pytest.mark.parametrize("service", ["iam", "s3"])
def test_a_document_is_sent_once(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "10")
    config = aws.Account(boto3.Session()).writing_client(service, "us-east-1").meta.config
    assert patience(config) == patience(consumer.WRITE_CLIENT_CONFIG)
    assert config.retries["total_max_attempts"] == 1


def test_a_scan_waits_as_that_of_the_sweeper_does() -> None:
    config = aws.Account(boto3.Session()).scan_client().meta.config
    assert patience(config) == patience(consumer.SCAN_CLIENT_CONFIG)
