"""The configuration of a deployment: one frozen value, and the JSON in which the functions find it.

``remediator.settings_check`` reads what people write under the key ``remediator`` of ``cdk.json``. Synthesis puts the
result next to the package in the functions' zip as ``remediator_settings.json``: 50 clouds of 5 buckets do not fit
Lambda's environment (4 KB), a file needs no call at start-up, and the code and its configuration are deployed and
rolled back together. The file has the keys that people write, with all defaults filled in. The functions trust it:
synthesis has checked it, and only a deployment can change it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from remediator.errors import SettingsError

PARTITION: Final = "aws"
"""The partition of every role and bucket: Anyscale supports no other."""

HOME_REGION: Final = "us-east-1"
"""The Region where IAM's events arrive, and where the remediator lives.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events
"""

REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-[0-9]{1,2}", re.ASCII)
"""What the name of a Region looks like."""

DEFAULT_ENROLLMENT_TAG: Final = "anyscale:cluster-role"
DEFAULT_HISTORY_DAYS: Final = 400

MODE_TAG: Final = "anyscale:remediation"
"""The tag by which a role narrows what the configuration permits; unlike the enrollment tag it is not configurable."""

SETTINGS_FILE: Final = "remediator_settings.json"


class Mode(StrEnum):
    """What may be done about a finding on a cloud's roles."""

    REPAIR = "repair"
    """Write the repair and notify people."""
    OBSERVE = "observe"
    """Tell people what would be written; write nothing."""


class GrantLocation(StrEnum):
    """Where a missing grant is repaired. Access that exists on either location counts as it is."""

    ROLE_POLICY = "role-policy"
    """One inline policy of the remediator's own in the role."""
    BUCKET_POLICY = "bucket-policy"
    """One statement of the remediator's own in the policy of each bucket, naming the roles that need it."""


class InstanceProfileMode(StrEnum):
    """What is done about a role that has no instance profile of its own name."""

    REPORT = "report"
    """Tell people, with the commands that mend it."""
    REPAIR = "repair"
    """Create the instance profile and put the role into it."""
    IGNORE = "ignore"
    """Nothing: the cloud, or its compute configurations, name another instance profile."""


@dataclass(frozen=True, slots=True)
class ArnPattern:
    """A part of an ARN; ``*`` stands for any text, slashes included, ``?`` for one character, and case counts."""

    text: str

    def matches(self, text: str) -> bool:
        """Whether all of the text is meant."""
        return fnmatchcase(text, self.text.replace("[", "[[]"))

    def __str__(self) -> str:
        return self.text


class RolePattern(ArnPattern):
    """Which roles a cloud may enroll, by the part of their ARN after ``role/``: ``anyscale/production/*``.

    It means exactly what it means to IAM in a policy's Resource, because the permissions of the reconciler are
    made from it.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """

    __slots__ = ()


class PrincipalPattern(ArnPattern):
    """Whose call may enroll a role: the ARN of a role (with its path), a user or root.

    The session of a role counts as the role: ``arn:aws:iam::111122223333:role/platform/*``.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """A bucket that a cloud's roles must reach.

    ``region`` is where it lives. ``account`` is the account that owns it, and None only where no account is
    configured at all: then it is the account that the remediator is deployed to. ``key`` is the ARN of the customer
    managed KMS key that it is encrypted with, None where S3's own keys are used.
    """

    name: str
    region: str
    account: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class WriteLimit:
    """How many writes may be made within a window of ``minutes``, over all roles; beyond it nothing is written."""

    writes: int = 500
    minutes: int = 60


@dataclass(frozen=True, slots=True)
class ConflictLimit:
    """When a role is in conflict: the same finding was repaired ``repairs`` times within ``minutes`` and is back.

    ``cool_down_minutes`` after that it is repaired again, unless an operator resumes it sooner.
    """

    repairs: int = 3
    minutes: int = 60
    cool_down_minutes: int = 1440


@dataclass(frozen=True, slots=True)
class DigestLimit:
    """How a storm is told: of a window of ``minutes``, the first ``alone`` alerts one by one, the rest as a digest."""

    alone: int = 5
    minutes: int = 5


@dataclass(frozen=True, slots=True)
class AmazonQ:
    """The channel of Slack that Amazon Q Developer in chat applications tells, by the ids that Slack gives.

    ``workspace`` is that of the workspace (``T…``), ``channel`` that of a public (``C…``) or private (``G…``) channel.
    """

    workspace: str
    channel: str


@dataclass(frozen=True, slots=True)
class Cloud:
    """An Anyscale cloud: what its roles must be able to do, and what may be done to them.

    ``name`` is the value of the enrolment tag. ``grant`` is the side where a missing grant is put, ``former_grant`` the
    one where it was put before: what we own there is removed. ``account`` is the account of its roles, and None where
    none is configured: then it is the account that the remediator is deployed to. ``required_boundary`` is the ARN of
    the permissions boundary without which its roles are refused, None where they need none.
    """

    name: str
    buckets: tuple[BucketSettings, ...]
    roles: tuple[RolePattern, ...]
    mode: Mode = Mode.REPAIR
    grant: GrantLocation = GrantLocation.ROLE_POLICY
    former_grant: GrantLocation | None = None
    instance_profile: InstanceProfileMode = InstanceProfileMode.REPORT
    account: str | None = None
    required_boundary: str | None = None

    @property
    def writes_bucket_policies(self) -> bool:
        """Whether a repair may write the policies of the cloud's buckets."""
        return GrantLocation.BUCKET_POLICY in (self.grant, self.former_grant)

    def allows(self, path_and_name: str) -> bool:
        """Whether a role may be enrolled in this cloud, by the part of its ARN after ``role/``."""
        return any(pattern.matches(path_and_name) for pattern in self.roles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration, with all defaults filled in.

    ``region`` is the home region, ``account`` the account to deploy to (None: whichever the credentials lead to).
    ``enrollment_tag`` is the key of the tag whose value names a role's cloud. ``sweep_minutes`` is the time between two
    sweeps. ``approvers`` are the principals whose tagging enrolls a role; where there are none, everybody's does.
    ``history_days`` is how long the record of a change is kept. ``slack_webhook_secret`` is the name, or the whole ARN,
    of the secret that holds the URL of Slack's webhook, None where nothing is posted there. ``amazon_q`` is None where
    Amazon Q is told nothing.
    """

    region: str = HOME_REGION
    account: str | None = None
    enrollment_tag: str = DEFAULT_ENROLLMENT_TAG
    emails: tuple[str, ...] = ()
    log_retention_days: int = 90
    sweep_minutes: int = 60
    approvers: tuple[PrincipalPattern, ...] = ()
    write_limit: WriteLimit = WriteLimit()
    contest: ConflictLimit = ConflictLimit()
    history_days: int = DEFAULT_HISTORY_DAYS
    digest: DigestLimit = DigestLimit()
    slack_webhook_secret: str | None = None
    amazon_q: AmazonQ | None = None
    clouds: tuple[Cloud, ...]

    def cloud(self, name: str) -> Cloud | None:
        """The cloud of that name, or None; case counts."""
        return next((cloud for cloud in self.clouds if cloud.name == name), None)

    def clouds_of_bucket(self, name: str) -> tuple[Cloud, ...]:
        """The clouds whose roles must reach the bucket of that name."""
        return tuple(cloud for cloud in self.clouds if any(bucket.name == name for bucket in cloud.buckets))

    def clouds_of_key(self, arn: str) -> tuple[Cloud, ...]:
        """The clouds that have a bucket encrypted with the key of that ARN."""
        return tuple(cloud for cloud in self.clouds if any(bucket.key == arn for bucket in cloud.buckets))

    def buckets_in(self, region: str) -> tuple[BucketSettings, ...]:
        """Every bucket of that Region once, in the order of the configuration."""
        found = {bucket.name: bucket for cloud in self.clouds for bucket in cloud.buckets if bucket.region == region}
        return tuple(found.values())

    @property
    def other_regions(self) -> tuple[str, ...]:
        """The Regions of buckets outside the home region, sorted."""
        return tuple(sorted({bucket.region for cloud in self.clouds for bucket in cloud.buckets} - {self.region}))

    def shared_bucket(self, cloud: Cloud) -> str | None:
        """The bucket that stands for all documents that a repair of the cloud's roles may write; None: only the role.

        Clouds whose repairs write the policy of a common bucket, directly or through further clouds, get the same one.
        """
        if not cloud.writes_bucket_policies:
            return None
        writing = [{bucket.name for bucket in each.buckets} for each in self.clouds if each.writes_bucket_policies]
        names = {bucket.name for bucket in cloud.buckets}
        while joined := [other for other in writing if other & names and not other <= names]:
            names = names.union(*joined)
        return min(names)


def load_settings(path: Path | None = None) -> Settings:
    """Read the configuration that synthesis has written, by default the file next to the package.

    Raises SettingsError where the file is missing, is not JSON or was not written by synthesis.
    """
    path = path or Path(__file__).parent.parent / SETTINGS_FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path} cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError([f"{path} is not JSON: {error}"]) from error
    try:
        return settings_from(value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SettingsError([f"{path} was not written by synthesis: {error}"]) from error


def settings_from(written: Mapping[str, Any]) -> Settings:
    """The configuration from JSON that was checked; what it leaves out has its default.

    The account of a cloud is that of the deployment and the account of a bucket that of its cloud, unless they say so.
    """
    return Settings(
        **_fields(
            written,
            clouds=lambda clouds: tuple(_cloud(name, each, written.get("account")) for name, each in clouds.items()),
            emails=tuple,
            approvers=lambda texts: tuple(map(PrincipalPattern, texts)),
            write_limit=lambda part: WriteLimit(**part),
            contest=lambda part: ConflictLimit(**_fields(part)),
            digest=lambda part: DigestLimit(**part),
            amazon_q=lambda part: AmazonQ(**part),
        )
    )


def _cloud(name: str, written: Mapping[str, Any], account: str | None) -> Cloud:
    account = written.get("account", account)
    return Cloud(
        name=name,
        **_fields(
            {**written, "account": account},
            buckets=lambda buckets: tuple(BucketSettings(**{"account": account, **bucket}) for bucket in buckets),
            roles=lambda texts: tuple(map(RolePattern, texts)),
            mode=Mode,
            grant=GrantLocation,
            former_grant=GrantLocation,
            instance_profile=InstanceProfileMode,
        ),
    )


def _fields(written: Mapping[str, Any], **made: Callable[[Any], object]) -> dict[str, Any]:
    """The fields of a dataclass from the keys of an object: ``former_grant`` from ``formerGrant``."""
    named = {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", key): value for key, value in written.items()}
    return {name: made[name](value) if name in made else value for name, value in named.items()}


def settings_json(settings: Settings) -> str:
    """The configuration as JSON that ``settings_from`` makes an equal value of; the same text every time."""
    return json.dumps(_written(settings), indent=2)


def _written(value: object) -> object:
    match value:
        case Settings():
            clouds = {cloud.name: _object(cloud, but="name") for cloud in value.clouds}
            return {**_object(value, but="clouds"), "clouds": clouds}
        case ArnPattern():
            return value.text
        case tuple():
            return [_written(each) for each in value]
        case _:
            return _object(value) if is_dataclass(value) else value


def _object(value: Any, but: str = "") -> dict[str, object]:  # noqa: ANN401 - any of the dataclasses above
    """The fields that have a value, under their keys and in their order."""
    return {
        re.sub("_([a-z])", lambda found: found[1].upper(), field.name): _written(getattr(value, field.name))
        for field in fields(value)
        if field.name != but and getattr(value, field.name) is not None
    }


def settings_digest(settings: Settings) -> str:
    """What distinguishes two configurations: 32 hexadecimal digits, the same for equal ones and for nothing else."""
    return hashlib.sha256(settings_json(settings).encode()).hexdigest()[:32]
