"""Read the secret that holds the URL of Slack's webhook."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Final

from remediator.errors import UnusableSecret
from remediator.gateways.aws_errors import translated
from remediator.gateways.webhook import WebhookUrl

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

_SECONDS: Final = 300.0


class WebhookSecret:
    """The secret of Secrets Manager of that name or ARN; ``clock`` counts seconds and is never set back.

    It holds the URL as it is, or a JSON object with the URL as ``url``.
    """

    def __init__(self, client: SecretsManagerClient, name: str, clock: Callable[[], float]) -> None:
        self._client = client
        self._name = name
        self._clock = clock
        self._url: WebhookUrl | None = None
        self._until = -inf
        # At the level DEBUG it logs whole answers, and so the secret.
        logging.getLogger("botocore").setLevel(logging.INFO)

    def read(self) -> WebhookUrl:
        """The URL, as it is now or, at most five minutes ago, was. Raises what ``refetch`` raises."""
        if self._url is None or self._clock() >= self._until:
            return self.refetch()
        return self._url

    def refetch(self) -> WebhookUrl:
        """The URL as it is now. Raises any AwsError, or UnusableSecret; then the next ``read`` retries.

        https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
        """
        self._url = None
        until = self._clock() + _SECONDS
        with translated("secretsmanager:GetSecretValue"):
            answer = self._client.get_secret_value(SecretId=self._name)
        url = _url_in(answer.get("SecretString", ""))
        if isinstance(url, str):
            raise UnusableSecret(
                f"The secret {self._name} does not hold the URL of a webhook: {url}. Write into it the URL that Slack "
                'shows for the incoming webhook, as it is or as {"url": "https://…"}'
            )
        self._url, self._until = url, until
        return url


def _url_in(content: str) -> WebhookUrl | str:
    """The URL, or what is wrong; an error of the parsers would hold the content."""
    text: object = content
    try:
        if content.lstrip().startswith("{"):
            text = json.loads(content).get("url")
    except (ValueError, RecursionError):
        return "it is neither a URL nor JSON"
    if not isinstance(text, str):
        return "its JSON has no text under `url`"
    try:
        return WebhookUrl.parse(text)
    except ValueError as error:
        return str(error)
