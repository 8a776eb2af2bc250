"""Every error this product raises, in one tree.

::

    RemediatorError
    ├── SettingsError        the configuration is wrong; lists every fault at once
    ├── MalformedArn         a text is not the ARN it should be
    ├── MalformedEvent       an event that may be relevant cannot be read
    ├── MalformedRequest     a queued request cannot be read
    ├── MalformedRecord      a record of the history cannot be read
    ├── MalformedAlert       what a topic carries is no message that this version understands
    ├── WritesCapped         no more writes may be made within this window
    ├── Misrouted            a request is in a group that does not own all that its repair may write
    ├── NotYetVisible        AWS does not show yet what an event says has happened; look again
    ├── ChangedMeanwhile     somebody kept changing a document while we were about to write it; look again
    ├── UnusableSecret       a secret does not hold what it should
    ├── WebhookError         a message was not posted to Slack, or it is not known that it was
    │   ├── WebhookThrottled   Slack takes no more messages for some time
    │   ├── WebhookUnavailable Slack could not be reached, or could not answer; try again later
    │   ├── MessageRefused     Slack does not take this message
    │   └── WebhookRefused     Slack takes no message at this URL
    └── AwsError             AWS answered with an error
        ├── TransientError   trying again later can help (server errors, time-outs)
        │   └── ThrottledError   AWS refused the call for now, and did nothing (throttling, races)
        ├── DeniedError      our own credentials may not make the call
        ├── NotFoundError    the thing that was asked for does not exist
        ├── QuotaError       the write would exceed a quota of the account or of the document
        ├── RejectedError    AWS refuses the document or the change as such
        └── UnknownAwsError  anything else; reported, not retried
"""

from __future__ import annotations

from collections.abc import Sequence


class RemediatorError(Exception):
    """Base of all errors of this product. The text says what was wrong, where, and what to do."""


class SettingsError(RemediatorError):
    """The configuration is wrong.

    ``faults`` holds one sentence per fault, each naming the key, what was found and what is allowed.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("The configuration is not valid:\n" + "\n".join(f"  - {fault}" for fault in self.faults))


class MalformedArn(RemediatorError):
    """A text is not the ARN that it should be."""


class MalformedEvent(RemediatorError):
    """An event that may be relevant cannot be read; it belongs in the dead-letter queue, not in the bin."""


class MalformedRequest(RemediatorError):
    """A message of the work queue is not a request that this version understands."""


class MalformedRecord(RemediatorError):
    """A record of the history is not what it should be; it is never taken for an empty one."""


class MalformedAlert(RemediatorError):
    """What one of the remediator's topics carries is no message that this version understands; it is never dropped."""


class WritesCapped(RemediatorError):
    """As many writes as the configuration allows have been made within this window; nothing was written."""


class Misrouted(RemediatorError):
    """A request was queued in a group that does not own all documents that the repair may write; nothing was written.

    ``bucket`` is that of the request to queue instead: tags or configuration have changed since it was queued.
    """

    def __init__(self, message: str, bucket: str | None) -> None:
        self.bucket = bucket
        super().__init__(message)


class NotYetVisible(RemediatorError):
    """AWS does not show yet what a fresh event says has happened: IAM is eventually consistent. Look again later.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
    """


class ChangedMeanwhile(RemediatorError):
    """A document that was about to be written kept changing under the remediator's hands. Look again later."""


class UnusableSecret(RemediatorError):
    """The secret does not hold the URL of a webhook. The text never holds what it does hold."""


class WebhookError(RemediatorError):
    """A message was not posted, or it is not known that it was; the text never holds the URL."""


class WebhookThrottled(WebhookError):
    """Slack takes no more messages now; ``seconds`` (1 to 900) is how long to wait before the next one."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"Slack takes no more messages for {seconds} seconds (429); it is tried again after that")


class WebhookUnavailable(WebhookError):
    """Slack could not be reached, or could not answer. Trying again later can help."""


class MessageRefused(WebhookError):
    """Slack does not take this message. The same message is refused again."""


class WebhookRefused(WebhookError):
    """Slack takes no message at this URL: it was revoked, its channel is archived, or it is no webhook's."""


class AwsError(RemediatorError):
    """AWS answered a call with an error.

    ``operation`` is the API name (``iam:GetRole``), ``code`` the error code that AWS gave.
    """

    def __init__(self, operation: str, code: str, message: str) -> None:
        self.operation = operation
        self.code = code
        self.message = message
        super().__init__(f"{operation} failed with {code}: {message}")


class TransientError(AwsError):
    """Trying again later can help. Of a write it is not known whether it was made: an answer can be lost."""


class ThrottledError(TransientError):
    """AWS refused the call for now, and did nothing: throttling, concurrent modification, expired credentials."""


class DeniedError(AwsError):
    """The remediator's own credentials may not make this call."""


class NotFoundError(AwsError):
    """What was asked for does not exist."""


class QuotaError(AwsError):
    """The write would exceed a quota (for example ``ACLSizePerRole``)."""


class RejectedError(AwsError):
    """AWS refuses the document or the change as such (malformed, invalid principal, unmodifiable)."""


class UnknownAwsError(AwsError):
    """Any other error code: reported to a person, not retried."""
