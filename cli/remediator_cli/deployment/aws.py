"""The AWS account of the profile: clients for the commands that read it, and errors that say what to do.

boto3 is imported where a client is made, so that commands that work on files start without it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from remediator import __version__
from remediator.core.events.event import Actor
from remediator.errors import AwsError, DeniedError, RemediatorError, TransientError
from remediator.gateways.world import World
from remediator.settings import HOME_REGION
from remediator_cli.deployment.denials import denial
from remediator_cli.terminal import clock
from remediator_cli.terminal.command import CHOSEN

if TYPE_CHECKING:
    import boto3

    from remediator.gateways.iam import IamGateway
    from remediator.gateways.s3 import S3Gateway


class NoAccess(RemediatorError):
    """AWS cannot be asked; the text says why, and what to do about it."""


_UNKNOWN = "AWS does not know these credentials. Sign in again, or use --profile"
_EXPIRED = "the AWS credentials have expired. Sign in again (aws sso login)"
_SIGNED_OUT = "the sign-in has expired. Sign in again (aws sso login)"
_HINTS = {
    "NoCredentialsError": "no AWS credentials were found. Use --profile, or sign in (aws sso login, aws configure)",
    "PartialCredentialsError": "the AWS credentials are incomplete. Use --profile, or sign in again",
    "NoRegionError": "no Region is set. Set AWS_REGION, or a region in the profile",
    "ProfileNotFound": "the AWS profile does not exist. `aws configure list-profiles` lists the existing ones",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "InvalidClientTokenId": _UNKNOWN,
    "UnrecognizedClientException": _UNKNOWN,
    "InvalidSignatureException": _UNKNOWN,
    "SignatureDoesNotMatch": _UNKNOWN,
    "UnauthorizedSSOTokenError": _SIGNED_OUT,
    "SSOTokenLoadError": _SIGNED_OUT,
    "TokenRetrievalError": _SIGNED_OUT,
}

USER_AGENT = f"remediator/{__version__}"
"""What CloudTrail records of calls that a command makes, besides the SDK."""

_TRIES = 3
_CONNECT_SECONDS = 2
_ANSWER_SECONDS = 5
_SCAN_ANSWER_SECONDS = 30
"""Those of the functions (remediator.handlers.consumer), which the command line does not know; a test compares them."""

_KINDS = {"user": "IAMUser", "assumed-role": "AssumedRole", "federated-user": "FederatedUser", "root": "Root"}


@dataclass(frozen=True, slots=True)
class Account:
    """The account of the current profile; nothing is asked of AWS before a method needs it."""

    session: boto3.Session

    def client(self, service: str, region: str) -> Any:  # noqa: ANN401 - the types of the clients are those of the callers
        """A client of a service in a Region. Raises NoAccess where the profile cannot be used at all.

        It waits, and tries, as the clients of the functions do.
        """
        return self._client(service, region, answer_seconds=_ANSWER_SECONDS, tries=_TRIES)

    def writing_client(self, service: str, region: str) -> Any:  # noqa: ANN401 - as above
        """A client for documents of IAM and S3, which the SDK must not send again (``remediator.flows.writing``)."""
        return self._client(service, region, answer_seconds=_ANSWER_SECONDS, tries=1)

    def scan_client(self) -> Any:  # noqa: ANN401 - as above
        """A client of IAM for calls whose answer holds a thousand roles, which IAM takes its time for."""
        return self._client("iam", self._own_region, answer_seconds=_SCAN_ANSWER_SECONDS, tries=_TRIES)

    def _client(self, service: str, region: str, *, answer_seconds: int, tries: int) -> Any:  # noqa: ANN401 - as above
        from botocore.config import Config  # noqa: PLC0415  # only commands that ask AWS pay for it

        config = Config(
            retries={"mode": "standard", "total_max_attempts": tries},
            connect_timeout=_CONNECT_SECONDS,
            read_timeout=answer_seconds,
            user_agent_extra=USER_AGENT,
        )
        with _usable():
            make: Any = self.session.client
            return make(service, region_name=region, config=config)

    @property
    def _own_region(self) -> str:
        return self.session.region_name or HOME_REGION

    def iam(self) -> IamGateway:
        """IAM of the account; it is global, so that any Region of the partition will do."""
        from remediator.gateways.iam import IamGateway  # noqa: PLC0415  # only commands that ask AWS pay for it

        region = self._own_region
        return IamGateway(self.client("iam", region), lambda: self.writing_client("iam", region))

    def buckets(self) -> S3Gateway:
        """S3 in every Region."""
        from remediator.gateways.kms import KmsGateway  # noqa: PLC0415  # only commands that ask AWS pay for it
        from remediator.gateways.s3 import S3Gateway  # noqa: PLC0415  # only commands that ask AWS pay for it

        return S3Gateway(
            lambda region: self.client("s3", region),
            KmsGateway(lambda region: self.client("kms", region)),
            lambda region: self.writing_client("s3", region),
        )

    def world(self, account: str, **known: Any) -> World:  # noqa: ANN401 - fields of World
        """The account (12 digits) as flows need it, with what is ``known`` besides."""
        gateways = {"roles": self.iam(), "buckets": self.buckets(), "sleep": time.sleep}
        return World(account=account, clock=clock.now, **{**gateways, **known})

    def caller(self, region: str) -> Actor:
        """The principal of these credentials.

        https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
        """
        with calling("sts:GetCallerIdentity"):
            arn = str(self.client("sts", region).get_caller_identity()["Arn"])
        kind = arn.partition("::")[2].partition(":")[2].partition("/")[0]
        return Actor(kind=_KINDS.get(kind, "Unknown"), arn=arn, user_agent=USER_AGENT)

    def number(self, region: str) -> str:
        """The account of these credentials, 12 digits."""
        return self.caller(region).arn.split(":")[4]


def account() -> Account:
    """The account of the current profile. Raises NoAccess where the profile cannot be used at all."""
    import boto3  # noqa: PLC0415  # only commands that ask AWS pay for it

    with _usable():
        session = boto3.Session(profile_name=CHOSEN.get("profile"))
        if session.get_credentials() is None:
            raise NoAccess(_HINTS["NoCredentialsError"])
    return Account(session)


def iam() -> IamGateway:
    """IAM in the account of the current profile. Raises NoAccess where the profile cannot be used at all."""
    return account().iam()


@contextmanager
def answered() -> Iterator[None]:
    """Ask AWS, and raise NoAccess, saying what to do, where it does not answer. Other errors of AWS pass through."""
    try:
        yield
    except AwsError as error:
        if error.code in _HINTS:
            raise NoAccess(_HINTS[error.code]) from error
        if isinstance(error, DeniedError):
            raise NoAccess(denial(error)) from error
        if isinstance(error, TransientError):
            raise NoAccess(f"AWS does not answer: {error}. Try again") from error
        raise


@contextmanager
def calling(operation: str) -> Iterator[None]:
    """Make a call (``sns:Publish``): the SDK's errors become those of this product."""
    from remediator.gateways.aws_errors import translated  # noqa: PLC0415  # only commands that ask AWS pay for it

    with translated(operation):
        yield


@contextmanager
def _usable() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415  # only commands that ask AWS pay for it

    try:
        yield
    except BotoCoreError as error:
        raise NoAccess(_HINTS.get(type(error).__name__, str(error))) from error
