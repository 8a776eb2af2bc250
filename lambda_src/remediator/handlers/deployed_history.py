"""The history, for the functions that need it: what it is made of takes a cold start longer."""

from __future__ import annotations

import os

import boto3

from remediator.gateways.history import HistoryTable
from remediator.handlers.runtime import CLIENT_CONFIG
from remediator.settings import Settings


def history_of(settings: Settings) -> HistoryTable:
    """The history of this deployment."""
    return HistoryTable(
        boto3.client("dynamodb", config=CLIENT_CONFIG),
        os.environ["HISTORY_TABLE"],
        limit=settings.write_limit,
        keep_days=settings.history_days,
    )
