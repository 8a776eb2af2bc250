"""Every call of AWS that the functions make, in order, with one of them going wrong in a chosen way."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from time import perf_counter
from typing import Any, Final

from botocore.exceptions import ClientError, ReadTimeoutError

from remediator.errors import WebhookError, WebhookRefused, WebhookThrottled, WebhookUnavailable


class Killed(BaseException):
    """The function is ended on the spot, as by its time-out: nothing of it runs any more."""


class Fault(StrEnum):
    """How one call goes wrong, after the SDK has tried it as often as it does."""

    THROTTLED = "throttled"
    SERVER_ERROR = "server error"
    DENIED = "denied"
    LOST_BEFORE = "lost before"
    """No answer comes, and it has not taken effect."""
    LOST_AFTER = "lost after"
    """No answer comes, and it has taken effect."""
    SENT_TWICE = "sent twice"
    """No answer comes, it has taken effect, and the SDK sends it again: the second answer is given."""
    STALE = "stale"
    """The answer is that from before the last write that changed it."""
    KILLED_BEFORE = "killed before"
    KILLED_AFTER = "killed after"


@dataclass(frozen=True, slots=True)
class Request:
    """One call, by the function that makes it; ``client`` and ``arguments`` are those of the SDK."""

    function: str
    service: str
    operation: str
    client: Any = field(compare=False)
    arguments: Any = field(compare=False)

    @property
    def name(self) -> str:
        """The call as the table names it."""
        return f"{self.service}:{self.operation}"

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.operation.startswith(("Get", "Head", "List", "Query", "Describe"))

    @property
    def is_sent_once(self) -> bool:
        """Whether nothing sends it again by itself: a post to Slack, and a document of IAM or S3."""
        is_document = (
            self.service in {"iam", "s3"} and not self.is_read and self.operation not in {"TagRole", "UntagRole"}
        )
        return is_document or self.service == "slack"

    @property
    def may_be_stale(self) -> bool:
        """Whether AWS may give an older answer: IAM, S3, KMS and the indexes of DynamoDB are eventually consistent."""
        return self.is_read and not self.arguments.get("ConsistentRead") and self.service != "ssm"


@dataclass(frozen=True, slots=True)
class Planned:
    """The call of that number (from 1) among those of the same function and name goes wrong in this way."""

    number: int
    request: Request
    fault: Fault


_THROTTLED: Final = {
    "dynamodb": "ThrottlingException",
    "s3": "SlowDown",
    "sns": "ThrottledException",
    "sqs": "RequestThrottled",
    "kms": "ThrottlingException",
    "ssm": "ThrottlingException",
    "secretsmanager": "ThrottlingException",
}
_BROKEN: Final = {
    "iam": "ServiceFailure",
    "s3": "InternalError",
    "sns": "InternalError",
    "sqs": "ServiceUnavailable",
    "kms": "KMSInternalException",
    "secretsmanager": "InternalServiceError",
}
_DENIED: Final = {"iam": "AccessDenied", "s3": "AccessDenied", "sns": "AuthorizationError", "sqs": "AccessDenied"}

Carry = Callable[[Any, str, Any], Any]


class Seam:
    """Stands where the SDK makes its calls, and where the notifier posts; those of nobody in particular pass through.

    ``function`` names whose calls are counted, None where they are the test's own. ``before_write`` is told of each
    write to a role or a bucket before it is carried out.
    """

    def __init__(self, carry: Carry) -> None:
        self._carry = carry
        self.function: str | None = None
        self.planned: Planned | None = None
        self.requests: list[Request] = []
        self.moments: list[tuple[float, float]] = []
        """When each of them began, and when it was answered, in seconds."""
        self.before_write: Callable[[Request], None] = _nothing
        self.refuses: Callable[[Request], bool] = _never
        """Which calls are throttled, unless they go wrong as planned."""
        self.watches = False
        """Whether earlier answers are kept, for a stale one."""
        self.fired = False
        self._earlier: list[Any] = []

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is called meanwhile is the test's own."""
        function, self.function = self.function, None
        try:
            yield
        finally:
            self.function = function

    def call(self, client: Any, operation: str, arguments: Any) -> Any:
        """Make one call of the SDK."""
        service = client.meta.service_model.service_name
        request = Request(self.function or "", service, operation, client, arguments)
        if self.function is None:
            return self._made(request)
        return self.take(request, lambda: self._made(request), _aws_error)

    def take(self, request: Request, make: Callable[[], Any], error_of: Callable[[Request, Fault], Exception]) -> Any:
        """Count a call and make it, or have it go wrong as planned."""
        begun = perf_counter()
        self.requests.append(request)
        self.moments.append((begun, begun))
        number = len(self.requests)
        try:
            return self._taken(request, make, error_of)
        finally:
            self.moments[number - 1] = (begun, perf_counter())

    def _taken(self, request: Request, make: Callable[[], Any], error_of: Callable[[Request, Fault], Exception]) -> Any:
        planned = self.planned
        if planned is None or planned.request != request or planned.number != self.requests.count(request):
            if self.refuses(request):
                raise error_of(request, Fault.THROTTLED)
            return make()
        self.fired = True
        match planned.fault:
            case Fault.THROTTLED | Fault.SERVER_ERROR | Fault.DENIED | Fault.LOST_BEFORE:
                raise error_of(request, planned.fault)
            case Fault.KILLED_BEFORE:
                raise Killed
            case Fault.STALE:
                return self._stale(make)
            case Fault.LOST_AFTER | Fault.KILLED_AFTER | Fault.SENT_TWICE:
                _quietly(make)
                if planned.fault is Fault.KILLED_AFTER:
                    raise Killed
                if planned.fault is Fault.LOST_AFTER:
                    raise error_of(request, planned.fault)
                # DynamoDB knows a transaction by its token, and answers for it once more; moto does not.
                return {} if request.operation == "TransactWriteItems" else make()

    def _made(self, request: Request) -> Any:
        if not request.is_read and request.service in {"iam", "s3", "kms", "dynamodb"}:
            self._keep_earlier()
            if request.function and request.service in {"iam", "s3"}:
                self.before_write(request)
        try:
            return self._carry(request.client, request.operation, request.arguments)
        except ValueError as error:
            if request.operation != "RemoveRoleFromInstanceProfile":
                raise
            # moto stumbles over a role that is not in the profile (any more), of which IAM says so.
            raise _client_error(request, "NoSuchEntity", 404) from error

    def _keep_earlier(self) -> None:
        planned = self.planned
        if not self.watches or self.fired or planned is None or planned.fault is not Fault.STALE:
            return
        asked = planned.request
        self._earlier.append(
            _answer(lambda: self._carry(asked.client, asked.operation, copy.deepcopy(asked.arguments)))
        )

    def _stale(self, make: Callable[[], Any]) -> Any:
        fresh = _answer(make)
        for earlier in reversed(self._earlier):
            if _comparable(earlier) != _comparable(fresh):
                return _given(earlier)
        self.fired = False  # there is no other answer that it could be given
        return _given(fresh)


def webhook_error(request: Request, fault: Fault) -> WebhookError:
    """What Slack answers, or that it does not."""
    match fault:
        case Fault.THROTTLED:
            return WebhookThrottled(7)
        case Fault.DENIED:
            return WebhookRefused(f"{request.name} is refused")
        case _:
            return WebhookUnavailable(f"{request.name}: {fault}")


def _aws_error(request: Request, fault: Fault) -> Exception:
    match fault:
        case Fault.THROTTLED:
            return _client_error(request, _THROTTLED.get(request.service, "Throttling"), 400)
        case Fault.SERVER_ERROR:
            return _client_error(request, _BROKEN.get(request.service, "InternalServerError"), 500)
        case Fault.DENIED:
            return _client_error(request, _DENIED.get(request.service, "AccessDeniedException"), 403)
        case _:
            return ReadTimeoutError(endpoint_url=f"https://{request.service}.amazonaws.com")


def _client_error(request: Request, code: str, status: int) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": "as planned"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    kind = request.client.exceptions.from_code(code) if request.client is not None else ClientError
    error: ClientError = kind(answer, request.operation)
    return error


def _answer(make: Callable[[], Any]) -> Any:
    """What a call answers, which may be an error."""
    try:
        return make()
    except ClientError as error:
        return error


def _given(answer: Any) -> Any:
    if isinstance(answer, ClientError):
        raise answer
    return answer


def _comparable(answer: Any) -> str:
    if isinstance(answer, ClientError):
        return str(answer)
    return json.dumps({key: value for key, value in answer.items() if key != "ResponseMetadata"}, default=str)


def _quietly(make: Callable[[], Any]) -> None:
    """Make a call whose answer nobody gets, be it an error."""
    _answer(make)


def _nothing(request: Request) -> None:
    return


def _never(request: Request) -> bool:
    return False
