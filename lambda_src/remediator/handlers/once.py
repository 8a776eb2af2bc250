"""Do something once a day at most for the same message, however often the queue delivers it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import IdempotencyPersistenceLayerError
from aws_lambda_powertools.utilities.typing import LambdaContext

from remediator.handlers import consumer

REMEMBERED_SECONDS = 24 * 60 * 60
"""How long the same is not done again; no queue delivers a message for the second time later than that."""


@cache
def store(function: str) -> DynamoDBPersistenceLayer:
    """What a function has done, in the history table."""
    return DynamoDBPersistenceLayer(
        os.environ["HISTORY_TABLE"],
        key_attr="pk",
        sort_key_attr="sk",
        static_pk_value=function,
        expiry_attr="expires",
        boto3_client=consumer.client("dynamodb"),
    )


def once(act: Callable[[], None], key: str, context: LambdaContext, *, function: str, done: str) -> bool:
    """Act, unless that was done under the same key within a day; whether it was done now.

    ``function`` is the name under which it is noted, ``done`` the word for what is done. Raises what acting raises, and
    IdempotencyPersistenceLayerError where nothing was done.
    """
    acted = False

    def act_and_note(*, key: str) -> None:  # noqa: ARG001 - Powertools takes the key of the record from it
        nonlocal acted
        act()
        acted = True

    guarded = idempotent_function(
        act_and_note,
        data_keyword_argument="key",
        persistence_store=store(function),
        # The context says when this invocation ends, after which another one may do what this one has begun.
        config=IdempotencyConfig(
            expires_after_seconds=REMEMBERED_SECONDS, hash_function="sha256", lambda_context=context
        ),
        key_prefix=done,
    )
    try:
        guarded(key=key)
    except IdempotencyPersistenceLayerError as error:
        if not acted:
            raise
        # It is done with, and would be done twice if its message were delivered again.
        consumer.logger.warning(f"that the message was {done} could not be noted", why=str(error))
    return acted
