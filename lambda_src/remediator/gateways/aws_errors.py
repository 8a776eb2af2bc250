"""One table from the error codes of AWS to the remediator's errors; the text of a message never decides anything.

https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html (its reasons)
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's

from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import (
    AwsError,
    DeniedError,
    NotFoundError,
    QuotaError,
    RejectedError,
    ThrottledError,
    TransientError,
    UnknownAwsError,
)

_T = TypeVar("_T")

# Codes that mean the same are together on a line.
# fmt: off
_CODES: tuple[tuple[type[AwsError], tuple[str, ...]], ...] = (
    (ThrottledError, (
        "Throttling", "ThrottlingException", "ThrottlingError", "ThrottledException",
        "TooManyRequestsException", "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException",
        "BandwidthLimitExceeded", "SlowDown", "TooManyUpdates",
        "ConcurrentModification", "ConcurrentModificationException",
        "EntityTemporarilyUnmodifiable", "EntityTemporarilyUnmodifiableException", "OperationAborted",
        "ProvisionedThroughputExceeded", "ProvisionedThroughputExceededException",
        "TransactionCanceledException", "TransactionConflict", "TransactionConflictException",
        "ReplicatedWriteConflictException",
        "ExpiredToken", "ExpiredTokenException",
    )),
    (TransientError, (
        "ServiceUnavailable", "ServiceUnavailableException", "ServiceFailure", "503",
        "InternalFailure", "InternalError", "InternalErrorException", "InternalServerError", "InternalServiceError",
        "500",
        "RequestTimeout", "RequestTimeoutException", "PriorRequestNotComplete",
        "DependencyTimeout", "DependencyTimeoutException",
        "KMSInternal", "KMSInternalException",
        "TransactionInProgressException",
    )),
    (DeniedError, (
        "AccessDenied", "AccessDeniedException", "AllAccessDisabled", "403",
        "AuthorizationError", "AuthorizationErrorException",
        "UnauthorizedOperation", "UnauthorizedAccess",
        "AccountProblem",
    )),
    (NotFoundError, (
        "NoSuchEntity", "NoSuchEntityException",
        "NoSuchBucket", "NoSuchBucketPolicy",
        "NoSuchPublicAccessBlockConfiguration", "ServerSideEncryptionConfigurationNotFoundError",
        "NotFound", "NotFoundException", "ResourceNotFoundException", "404",
        "ParameterNotFound", "ParameterVersionNotFound",
    )),
    (QuotaError, (
        "LimitExceeded", "LimitExceededException",
        "ItemCollectionSizeLimitExceeded", "ItemCollectionSizeLimitExceededException",
    )),
    (RejectedError, (
        "MalformedPolicyDocument", "MalformedPolicyDocumentException", "MalformedPolicy",
        "UnmodifiableEntity", "UnmodifiableEntityException",
        "EntityAlreadyExists", "EntityAlreadyExistsException",
        "KMSInvalidState", "KMSInvalidStateException", "InvalidKeyId", "DecryptionFailure",
        "InvalidArn", "InvalidArnException",
        "InvalidInput", "InvalidInputException", "InvalidParameter", "InvalidParameterException",
        "InvalidRequestException", "ValidationError", "ValidationException",
        "ConditionalCheckFailed", "ConditionalCheckFailedException",
        "IdempotentParameterMismatchException", "MethodNotAllowed",
    )),
)
# fmt: on

ERROR_CLASSES: Mapping[str, type[AwsError]] = MappingProxyType(
    {code: error for error, codes in _CODES for code in codes}
)

_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Run one call of AWS, named like ``iam:GetRole``, and raise the remediator's AwsError for whatever it raises.

    An unknown code is evaluated by its HTTP status (429 is throttling, 5xx transient), else it is an UnknownAwsError.
    """
    try:
        yield
    except ClientError as error:
        raise _from_client_error(operation, error) from error
    except (HTTPClientError, ConnectionError) as error:
        raise TransientError(operation, type(error).__name__, str(error)) from error
    except BotoCoreError as error:
        raise UnknownAwsError(operation, type(error).__name__, str(error)) from error


def reading(operation: str, call: Callable[[], _T], *, must_exist: bool = False) -> Reading[_T]:
    """What a call of AWS reads: Absent where there is no such thing, Unreadable where AWS does not show it.

    Raises TransientError where trying again later can help, and NotFoundError if it ``must_exist``.
    """
    try:
        with translated(operation):
            return Present(call())
    except NotFoundError:
        if must_exist:
            raise
        return Absent()
    except TransientError:
        raise
    except AwsError as error:
        return Unreadable(str(error))


def _from_client_error(operation: str, error: ClientError) -> AwsError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    message = str(error.response.get("Error", {}).get("Message", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    kind = ERROR_CLASSES.get(code)
    if kind is None:
        kind = _kind_by_status(status)
    return kind(operation, code or "no error code", message)


def _kind_by_status(status: int) -> type[AwsError]:
    if status == _TOO_MANY_REQUESTS:
        return ThrottledError
    return TransientError if status >= _SERVER_ERROR else UnknownAwsError
