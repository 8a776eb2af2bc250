"""Send a write once after each look at what it replaces.

The clients that write do not try again by themselves (``gateways.iam``, ``gateways.s3``): a document that the SDK sends
again, seconds after it was looked at, could overwrite what somebody has written meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from remediator.errors import AwsError, ThrottledError

THROTTLE_PAUSES: Final = (0.5, 1.5)
"""Seconds before each further try of a write that AWS refused for now; after that the queue tries again."""


def send(write: Callable[[], None], look_again: Callable[[], None], pause: Callable[[float], None]) -> AwsError | None:
    """Write, and give the error that came of it, None where there was none.

    Where AWS refuses the write for now, it has done nothing: then ``pause`` waits for some seconds, and after
    ``look_again`` it is sent again. Raises whatever ``look_again`` raises; nothing was written then.
    """
    failed = _error_of(write)
    for seconds in THROTTLE_PAUSES:
        if not isinstance(failed, ThrottledError):
            break
        pause(seconds)
        look_again()
        failed = _error_of(write)
    return failed


def _error_of(write: Callable[[], None]) -> AwsError | None:
    try:
        write()
    except AwsError as error:
        return error
    return None
