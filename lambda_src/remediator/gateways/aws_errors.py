"""One table from the error codes of AWS to our errors; the text of a message never decides anything.

https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html (its reasons)
https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004 - botocore's

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

_CODES: tuple[tuple[type[AwsError], tuple[str, ...]], ...] = (
    (
        ThrottledError,
        (
            "Throttling",
            "ThrottlingException",
            "ThrottledException",
            "TooManyRequestsException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "BandwidthLimitExceeded",
            "SlowDown",
            "ConcurrentModification",
            "ConcurrentModificationException",
            "EntityTemporarilyUnmodifiable",
            "EntityTemporarilyUnmodifiableException",
            "OperationAborted",
            "ProvisionedThroughputExceeded",
            "ProvisionedThroughputExceededException",
            "ThrottlingError",
            "ReplicatedWriteConflictException",
            "TransactionCanceledException",
            "TransactionConflict",
            "TransactionConflictException",
            "TooManyUpdates",
            "ExpiredToken",
            "ExpiredTokenException",
        ),
    ),
    (
        TransientError,
        (
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "ServiceFailure",
            "InternalFailure",
            "InternalError",
            "InternalErrorException",
            "InternalServerError",
            "InternalServiceError",
            "RequestTimeout",
            "RequestTimeoutException",
            "PriorRequestNotComplete",
            "DependencyTimeout",
            "DependencyTimeoutException",
            "KMSInternal",
            "KMSInternalException",
            "TransactionInProgressException",
            "503",
            "500",
        ),
    ),
    (
        DeniedError,
        (
            "AccessDenied",
            "AccessDeniedException",
            "AuthorizationError",
            "AuthorizationErrorException",
            "UnauthorizedOperation",
            "UnauthorizedAccess",
            "AllAccessDisabled",
            "AccountProblem",
            "403",
        ),
    ),
    (
        NotFoundError,
        (
            "NoSuchEntity",
            "NoSuchEntityException",
            "NoSuchBucket",
            "NoSuchBucketPolicy",
            "NoSuchPublicAccessBlockConfiguration",
            "ServerSideEncryptionConfigurationNotFoundError",
            "NotFound",
            "NotFoundException",
            "ResourceNotFoundException",
            "ParameterNotFound",
            "ParameterVersionNotFound",
            "404",
        ),
    ),
    (
        QuotaError,
        (
            "LimitExceeded",
            "LimitExceededException",
            "ItemCollectionSizeLimitExceeded",
            "ItemCollectionSizeLimitExceededException",
        ),
    ),
    (
        RejectedError,
        (
            "MalformedPolicyDocument",
            "MalformedPolicyDocumentException",
            "MalformedPolicy",
            "UnmodifiableEntity",
            "UnmodifiableEntityException",
            "EntityAlreadyExists",
            "EntityAlreadyExistsException",
            "KMSInvalidState",
            "KMSInvalidStateException",
            "InvalidArn",
            "InvalidArnException",
            "InvalidInput",
            "InvalidInputException",
            "InvalidParameter",
            "InvalidParameterException",
            "InvalidRequestException",
            "DecryptionFailure",
            "InvalidKeyId",
            "ValidationError",
            "ValidationException",
            "ConditionalCheckFailed",
            "ConditionalCheckFailedException",
            "IdempotentParameterMismatchException",
            "MethodNotAllowed",
        ),
    ),
)  # fmt: skip - one code per line would hide which codes stand together

ERROR_CLASSES: Mapping[str, type[AwsError]] = MappingProxyType(
    {code: error for error, codes in _CODES for code in codes}
)

_SERVER_ERROR = 500
_TOO_MANY_REQUESTS = 429


@contextmanager
def translated(operation: str) -> Iterator[None]:
    """Run one call of AWS, named like ``iam:GetRole``, and raise our AwsError for whatever it raises.

    An unknown code is judged by its HTTP status (429 is throttling, 5xx transient), else it is an UnknownAwsError.
    """
    try:
        yield
    except ClientError as error:
        raise _from_client_error(operation, error) from error
    except (HTTPClientError, ConnectionError) as error:
        raise TransientError(operation, type(error).__name__, str(error)) from error
    except BotoCoreError as error:
        raise UnknownAwsError(operation, type(error).__name__, str(error)) from error


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
