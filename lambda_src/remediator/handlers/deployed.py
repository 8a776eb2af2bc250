"""Gateways that several functions have in common, but not all: what they are made of takes a cold start longer."""

from __future__ import annotations

import os

from remediator.gateways.history import HistoryTable
from remediator.gateways.kms import KmsGateway
from remediator.gateways.s3 import S3Gateway
from remediator.handlers import consumer


def history() -> HistoryTable:
    """The history of this deployment."""
    limit, days = consumer.settings().write_limit, consumer.settings().history_days
    return HistoryTable(consumer.client("dynamodb"), os.environ["HISTORY_TABLE"], limit=limit, keep_days=days)


def buckets(*, is_written: bool) -> S3Gateway:
    """The buckets of the configuration, in every Region, with something to write with where that is asked for."""
    return S3Gateway(
        lambda region: consumer.client("s3", region),
        KmsGateway(lambda region: consumer.client("kms", region)),
        (lambda region: consumer.client("s3", region, consumer.WRITE_CLIENT_CONFIG)) if is_written else None,
    )
