"""Post to an incoming webhook of Slack. Whoever knows its URL can post, so the URL is a secret, and stands nowhere.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import logging
import re
import ssl
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError, SSLError

from remediator.errors import (
    MessageRefused,
    WebhookError,
    WebhookRefused,
    WebhookThrottled,
    WebhookUnavailable,
)

_TIMEOUT: Final = urllib3.Timeout(connect=3, read=5)
_ANSWER_LIMIT: Final = 1000
"""Bytes of an answer that are read; Slack answers with one word."""

_TIMED_OUT: Final = 408
_THROTTLED: Final = 429
_SERVER_ERROR: Final = 500
_DEFAULT_WAIT: Final = 30
_LONGEST_WAIT: Final = 900

_SECONDS = re.compile("[0-9]{1,9}")
_ONE_WORD = re.compile(r"[a-z_]{1,60}")


@dataclass(frozen=True, slots=True)
class WebhookUrl:
    """The URL of a webhook, which is ``https``. Printed, it shows nothing of itself."""

    text: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> WebhookUrl:
        """The URL in the text, without spaces around it. Raises ValueError, which says what is wrong with it."""
        url = text.strip()
        if not url:
            raise ValueError("it is empty")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("it holds a character that no URL may hold")
        # What the library says of a faulty URL repeats parts of it, so it is dropped, from the error's context too.
        scheme, host = _scheme_and_host(url)
        if scheme != "https":
            raise ValueError("it does not begin with https://")
        if not host:
            raise ValueError("it names no host that can be understood")
        return cls(url)


class Webhook:
    """Whatever URL it is told; ``trust`` says which certificates are taken for good, by default those of the system."""

    def __init__(self, trust: ssl.SSLContext | None = None) -> None:
        # No repetition of urllib3's: it would post twice where only the answer was lost.
        self._pool = urllib3.PoolManager(
            ssl_context=trust or ssl.create_default_context(), timeout=_TIMEOUT, retries=False
        )
        # At the level DEBUG it logs the path of each request, which is the secret.
        logging.getLogger("urllib3").setLevel(logging.INFO)

    def post(self, url: WebhookUrl, message: str) -> None:
        """Post the message (JSON); when this returns, Slack has said that it took it.

        Raises WebhookThrottled; WebhookUnavailable, after which it may have been posted if the answer timed out;
        MessageRefused; WebhookRefused. A redirection is not followed, since it could lead anywhere.
        """
        answer = self._answer(url, message)
        if isinstance(answer, WebhookError):
            # Raised here, where no error of urllib3 is being handled: they hold the URL, and would be its context.
            raise answer
        failure = _failure(answer)
        if failure is not None:
            raise failure

    def _answer(self, url: WebhookUrl, message: str) -> _Answer | WebhookError:
        try:
            response = self._pool.request(
                "POST",
                url.text,
                body=message.encode(),
                # A connection that is kept would be stale after the function has been frozen.
                headers={"Content-Type": "application/json; charset=utf-8", "Connection": "close"},
                redirect=False,
                preload_content=False,
            )
            try:
                body = response.read(_ANSWER_LIMIT)
            finally:
                response.close()
        except (HTTPError, ValueError, OSError) as error:
            return WebhookUnavailable(_why(error))
        return _Answer(
            response.status, body.decode("utf-8", "replace").strip(), response.headers.get("Retry-After", "")
        )


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: str
    retry_after: str

    @property
    def word(self) -> str:
        """What Slack says, where it is one word; anything else could repeat the URL, and is not shown."""
        return f"{self.status} {self.body}" if _ONE_WORD.fullmatch(self.body) else f"{self.status}, without a reason"


def _scheme_and_host(url: str) -> tuple[str, str | None]:
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None
    except ValueError:
        return ("https", None)
    return (parts.scheme, host)


def _failure(answer: _Answer) -> WebhookError | None:
    match answer.status:
        case 200 if answer.body == "ok":
            return None
        case status if status == _THROTTLED:
            return WebhookThrottled(_wait(answer.retry_after))
        case status if status == _TIMED_OUT or status >= _SERVER_ERROR:
            return WebhookUnavailable(f"Slack answered {answer.word}; it is tried again")
        case 400 | 413 | 415 | 422:
            return MessageRefused(f"Slack does not take this message: {answer.word}")
        case _:
            return WebhookRefused(
                f"Slack takes no message at the URL in the secret: {answer.word}. Make a new incoming webhook for the "
                "channel in Slack, and write its URL into the secret"
            )


def _wait(retry_after: str) -> int:
    """https://docs.slack.dev/apis/web-api/rate-limits (Retry-After, in seconds)"""
    seconds = int(retry_after) if _SECONDS.fullmatch(retry_after.strip()) else 0
    return min(seconds, _LONGEST_WAIT) if seconds else _DEFAULT_WAIT


def _why(error: Exception) -> str:
    """What went wrong, in the remediator's words: those of the library hold the URL."""
    match error:
        case SSLError() | ssl.SSLError():
            return f"TLS with Slack failed: {_tls_reason(error)}"
        case ReadTimeoutError():
            return "Slack did not answer in time; whether the message was posted is not known"
        case NewConnectionError():
            return "Slack could not be reached: no connection could be made"
        case ConnectTimeoutError():
            return "Slack could not be reached: connecting timed out"
        case _:
            return f"the connection to Slack broke: {type(error).__name__}"


def _tls_reason(error: Exception) -> str:
    cause = error.args[0] if error.args else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not to be trusted ({cause.verify_message})"
    return str(getattr(cause, "reason", None) or type(cause).__name__)
