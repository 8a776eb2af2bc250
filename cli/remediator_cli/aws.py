"""The AWS account behind the current profile: clients for the commands that look at it, and errors that say what to do.

boto3 is imported where a client is made, so that commands that work on files start without it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from remediator.errors import AwsError, DeniedError, RemediatorError, TransientError

if TYPE_CHECKING:
    from remediator.gateways.iam import IamGateway


class NoAccess(RemediatorError):
    """AWS cannot be asked; the text says why, and what to do about it."""


_HINTS = {
    "NoCredentialsError": "no AWS credentials were found. Set AWS_PROFILE, or sign in (aws sso login, aws configure)",
    "PartialCredentialsError": "the AWS credentials are incomplete. Set AWS_PROFILE, or sign in again",
    "NoRegionError": "no Region is set. Set AWS_REGION, or a region in the profile",
    "ProfileNotFound": "the profile in AWS_PROFILE does not exist. `aws configure list-profiles` lists those that do",
    "ExpiredToken": "the AWS credentials have expired. Sign in again (aws sso login)",
    "ExpiredTokenException": "the AWS credentials have expired. Sign in again (aws sso login)",
    "InvalidClientTokenId": "AWS does not know these credentials. Sign in again, or set AWS_PROFILE",
    "UnauthorizedSSOTokenError": "the sign-in has expired. Sign in again (aws sso login)",
    "SSOTokenLoadError": "the sign-in has expired. Sign in again (aws sso login)",
    "TokenRetrievalError": "the sign-in has expired. Sign in again (aws sso login)",
}


def iam() -> IamGateway:
    """IAM in the account of the current profile. Raises NoAccess where the profile cannot be used at all."""
    import boto3  # noqa: PLC0415  # only commands that ask AWS pay for it
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415

    from remediator.gateways.iam import IamGateway  # noqa: PLC0415

    try:
        # IAM is global: any Region of the partition will do where none is set.
        session = boto3.Session()
        region = session.region_name or "us-east-1"
        if session.get_credentials() is None:
            raise NoAccess(_HINTS["NoCredentialsError"])
        return IamGateway(session.client("iam", region_name=region, config=Config(retries={"mode": "standard"})))
    except BotoCoreError as error:
        raise NoAccess(_HINTS.get(type(error).__name__, str(error))) from error


@contextmanager
def answered() -> Iterator[None]:
    """Ask AWS, and raise NoAccess, saying what to do, where it does not answer. Other errors of AWS pass through."""
    try:
        yield
    except AwsError as error:
        if error.code in _HINTS:
            raise NoAccess(_HINTS[error.code]) from error
        if isinstance(error, DeniedError):
            raise NoAccess(f"your credentials may not call {error.operation}: {error.message}") from error
        if isinstance(error, TransientError):
            raise NoAccess(f"AWS does not answer: {error}. Try again") from error
        raise
