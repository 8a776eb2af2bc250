"""The configuration of a deployment: one frozen value, read from JSON with every fault found at once.

People write it under the key ``remediator`` of ``cdk.json``. Synthesis validates it and puts it beside the package
in the functions' zip as ``remediator_settings.json``: 50 clouds of 5 buckets do not fit Lambda's environment (4 KB), a
file needs no call at start-up, and the code and its configuration are deployed and rolled back together. The
functions validate it again when they start.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, TypeVar

from remediator.errors import SettingsError

PARTITION: Final = "aws"
"""The partition of every role and bucket: Anyscale supports no other."""

HOME_REGION: Final = "us-east-1"
"""The Region where IAM's events arrive, and where the remediator lives.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events
"""

DEFAULT_ENROLLMENT_TAG: Final = "anyscale:cluster-role"
DEFAULT_LOG_RETENTION_DAYS: Final = 90
DEFAULT_SWEEP_MINUTES: Final = 60
DEFAULT_HISTORY_DAYS: Final = 400

MODE_TAG: Final = "anyscale:remediation"
"""The tag by which a role narrows what the configuration permits; unlike the enrolment tag it is not configurable."""

LOG_RETENTION_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545),
    *(731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""

SETTINGS_FILE: Final = "remediator_settings.json"


class Mode(StrEnum):
    """What may be done about a finding on a cloud's roles."""

    REPAIR = "repair"
    """Write the repair and tell people."""
    OBSERVE = "observe"
    """Tell people what would be written; write nothing."""


class GrantSide(StrEnum):
    """Where a missing grant is repaired. Access that exists on either side counts as it is."""

    ROLE_POLICY = "role-policy"
    """One inline policy of our own in the role."""
    BUCKET_POLICY = "bucket-policy"
    """One statement of our own in the policy of each bucket, naming the roles that need it."""


class InstanceProfileMode(StrEnum):
    """What is done about a role that has no instance profile of its own name."""

    REPORT = "report"
    """Tell people, with the commands that mend it."""
    REPAIR = "repair"
    """Create the instance profile and put the role into it."""
    IGNORE = "ignore"
    """Nothing: the cloud, or its compute configurations, name another instance profile."""


@dataclass(frozen=True, slots=True)
class RolePattern:
    """Which roles a cloud may enrol, by the part of their ARN after ``role/``: ``anyscale/production/*``.

    It means to us exactly what it means to IAM in a policy's Resource, because the permissions of the
    reconciler are made from it: ``*`` stands for any text, slashes included, ``?`` for one character, case counts.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
    """

    text: str

    def matches(self, path_and_name: str) -> bool:
        """Whether a role is meant; ``path_and_name`` is what follows ``role/`` in its ARN (``anyscale/head-node``)."""
        return fnmatchcase(path_and_name, self.text.replace("[", "[[]"))

    def __str__(self) -> str:
        return self.text


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
class ContestLimit:
    """When a role is contested: the same finding was repaired ``repairs`` times within ``minutes`` and is back.

    ``cool_down_minutes`` after that it is repaired again, unless a person resumes it sooner.
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
class PrincipalPattern:
    """Whose call may enrol a role: the ARN of a role (with its path), a user or root, with ``*`` and ``?``.

    The session of a role counts as the role: ``arn:aws:iam::111122223333:role/platform/*``.
    """

    text: str

    def matches(self, arn: str) -> bool:
        """Whether a principal is meant, by its ARN; case counts."""
        return fnmatchcase(arn, self.text.replace("[", "[[]"))

    def __str__(self) -> str:
        return self.text


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
    grant: GrantSide = GrantSide.ROLE_POLICY
    former_grant: GrantSide | None = None
    instance_profile: InstanceProfileMode = InstanceProfileMode.REPORT
    account: str | None = None
    required_boundary: str | None = None

    @property
    def writes_bucket_policies(self) -> bool:
        """Whether a repair may write the policies of the cloud's buckets."""
        return GrantSide.BUCKET_POLICY in (self.grant, self.former_grant)

    def allows(self, path_and_name: str) -> bool:
        """Whether a role may be enrolled in this cloud, by the part of its ARN after ``role/``."""
        return any(pattern.matches(path_and_name) for pattern in self.roles)


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration, with all defaults filled in.

    ``region`` is the home region, ``account`` the account to deploy to (None: whichever the credentials lead to).
    ``enrollment_tag`` is the key of the tag whose value names a role's cloud. ``sweep_minutes`` is the time between two
    sweeps. ``approvers`` are the principals whose tagging enrols a role; where there are none, everybody's does.
    ``history_days`` is how long the record of a change is kept. ``slack_webhook_secret`` is the name, or the whole ARN,
    of the secret that holds the URL of Slack's webhook, None where nothing is posted there. ``amazon_q`` is None where
    Amazon Q is told nothing.
    """

    clouds: tuple[Cloud, ...]
    region: str = HOME_REGION
    account: str | None = None
    enrollment_tag: str = DEFAULT_ENROLLMENT_TAG
    emails: tuple[str, ...] = ()
    log_retention_days: int = DEFAULT_LOG_RETENTION_DAYS
    sweep_minutes: int = DEFAULT_SWEEP_MINUTES
    approvers: tuple[PrincipalPattern, ...] = ()
    write_limit: WriteLimit = WriteLimit()
    contest: ContestLimit = ContestLimit()
    history_days: int = DEFAULT_HISTORY_DAYS
    digest: DigestLimit = DigestLimit()
    slack_webhook_secret: str | None = None
    amazon_q: AmazonQ | None = None

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


def parse_settings(value: object) -> Settings:
    """Read the configuration from a decoded JSON value.

    Raises SettingsError with every fault, each naming the key, what was found there and what is allowed.
    """
    faults: list[str] = []
    settings = _read_settings(value, _Place("", faults))
    if faults:
        raise SettingsError(faults)
    return settings


def load_settings(path: Path | None = None) -> Settings:
    """Read the configuration from a JSON file, by default the one beside the package.

    Raises SettingsError where the file is missing, is not JSON or holds a wrong configuration.
    """
    path = path or Path(__file__).parent.parent / SETTINGS_FILE
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path} cannot be read: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:
        raise SettingsError([f"{path} is not JSON: {error}"]) from error
    return parse_settings(value)


def settings_json(settings: Settings) -> str:
    """The configuration as JSON that ``parse_settings`` reads back into an equal value; the same text every time."""
    return json.dumps(
        {
            "region": settings.region,
            **_given("account", settings.account),
            "enrollmentTag": settings.enrollment_tag,
            "emails": settings.emails,
            "logRetentionDays": settings.log_retention_days,
            "sweepMinutes": settings.sweep_minutes,
            "approvers": [pattern.text for pattern in settings.approvers],
            "writeLimit": {"writes": settings.write_limit.writes, "minutes": settings.write_limit.minutes},
            "contest": {
                "repairs": settings.contest.repairs,
                "minutes": settings.contest.minutes,
                "coolDownMinutes": settings.contest.cool_down_minutes,
            },
            "historyDays": settings.history_days,
            "digest": {"alone": settings.digest.alone, "minutes": settings.digest.minutes},
            **_given("slackWebhookSecret", settings.slack_webhook_secret),
            **_amazon_q(settings.amazon_q),
            "clouds": {
                cloud.name: {
                    "buckets": [
                        {
                            "name": bucket.name,
                            "region": bucket.region,
                            **_given("account", bucket.account),
                            **_given("key", bucket.key),
                        }
                        for bucket in cloud.buckets
                    ],
                    "roles": [pattern.text for pattern in cloud.roles],
                    "mode": cloud.mode,
                    "grant": cloud.grant,
                    **_given("formerGrant", cloud.former_grant),
                    "instanceProfile": cloud.instance_profile,
                    **_given("account", cloud.account),
                    **_given("requiredBoundary", cloud.required_boundary),
                }
                for cloud in settings.clouds
            },
        },
        indent=2,
    )


def settings_digest(settings: Settings) -> str:
    """What tells two configurations apart: 32 hexadecimal digits, the same for equal ones and for nothing else."""
    return hashlib.sha256(settings_json(settings).encode()).hexdigest()[:32]


def _given(key: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {key: value}


def _amazon_q(found: AmazonQ | None) -> dict[str, dict[str, str]]:
    return {} if found is None else {"amazonQ": {"workspace": found.workspace, "channel": found.channel}}


# Reading. A reader notes each fault and goes on; what it returns beside a fault is a stand-in that nobody sees,
# because parse_settings raises.


_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class _Place:
    """A position in the configuration, and where the faults found there go."""

    path: str
    faults: list[str]

    def key(self, key: str) -> _Place:
        if _PLAIN_KEY.fullmatch(key):
            return _Place(f"{self.path}.{key}" if self.path else key, self.faults)
        return _Place(f"{self.path}[{_shown(key)}]", self.faults)

    def item(self, index: int) -> _Place:
        return _Place(f"{self.path}[{index}]", self.faults)

    def fault(self, sentence: str) -> None:
        self.faults.append(f"{self.path or 'the configuration'}: {sentence}")

    def unexpected(self, found: object, allowed: str) -> None:
        self.fault(f"found {_shown(found)}; {allowed}")


_SHOWN_CHARACTERS = 80
_SHOWN_BITS = 128


def _shown(value: object) -> str:
    """A found value in JSON's spelling, cut to a readable length, in ASCII whatever it holds."""
    match value:
        case Mapping():
            return "an object"
        case list() | tuple():
            return f"a list of {len(value)}"
        case int() if value.bit_length() > _SHOWN_BITS:
            return "a huge number"
        case str() if len(value) > _SHOWN_CHARACTERS:
            return f"{json.dumps(value[:_SHOWN_CHARACTERS])}... ({len(value)} characters)"
        case None | str() | bool() | int() | float():
            return json.dumps(value)
        case _:
            return f"a {type(value).__name__}"


_Complaint = Callable[[str], str | None]
"""Looks at a text; answers None if it is fine, else the sentence that says what is allowed."""

_T = TypeVar("_T")
_Choice = TypeVar("_Choice", bound=StrEnum)


_OPTIONS: Final = (
    *("region", "account", "enrollmentTag", "emails", "logRetentionDays", "sweepMinutes"),
    *("approvers", "writeLimit", "contest", "historyDays", "digest", "slackWebhookSecret", "amazonQ"),
)


def _read_settings(value: object, place: _Place) -> Settings:
    fields = _object(value, place, needed=("clouds",), optional=_OPTIONS)
    region = _text(fields.get("region", HOME_REGION), place.key("region"), _home_region_complaint)
    account = _optional_account(fields, place, None)
    clouds: tuple[Cloud, ...] = ()
    if "clouds" in fields:
        clouds = _read_clouds(fields["clouds"], place.key("clouds"), account)
    emails = _list(
        fields.get("emails", []), place.key("emails"), lambda item, at: _text(item, at, _email_complaint), str.lower
    )
    if len(emails) > _MAX_EMAILS:
        place.key("emails").unexpected(
            emails, f"allowed are {_MAX_EMAILS}, because each is a resource of the stack; use a mailing list"
        )
    return Settings(
        clouds=clouds,
        region=region,
        account=account,
        enrollment_tag=_text(
            fields.get("enrollmentTag", DEFAULT_ENROLLMENT_TAG), place.key("enrollmentTag"), _tag_key_complaint
        ),
        emails=emails,
        log_retention_days=_log_retention(
            fields.get("logRetentionDays", DEFAULT_LOG_RETENTION_DAYS), place.key("logRetentionDays")
        ),
        sweep_minutes=_number(
            fields.get("sweepMinutes", DEFAULT_SWEEP_MINUTES), place.key("sweepMinutes"), _SWEEP_MINUTES
        ),
        approvers=_list(
            fields.get("approvers", []),
            place.key("approvers"),
            lambda item, at: PrincipalPattern(_text(item, at, lambda text: _principal_complaint(text, account))),
            lambda pattern: pattern.text,
        ),
        write_limit=_read_write_limit(fields.get("writeLimit", {}), place.key("writeLimit")),
        contest=_read_contest_limit(fields.get("contest", {}), place.key("contest")),
        history_days=_number(fields.get("historyDays", DEFAULT_HISTORY_DAYS), place.key("historyDays"), _HISTORY_DAYS),
        digest=_read_digest_limit(fields.get("digest", {}), place.key("digest")),
        slack_webhook_secret=_read_webhook_secret(
            fields["slackWebhookSecret"],
            place.key("slackWebhookSecret"),
            lambda text: _secret_complaint(text, account),
        )
        if "slackWebhookSecret" in fields
        else None,
        amazon_q=_read_amazon_q(fields["amazonQ"], place.key("amazonQ")) if "amazonQ" in fields else None,
    )


def _read_write_limit(value: object, place: _Place) -> WriteLimit:
    default = WriteLimit()
    fields = _object(value, place, needed=(), optional=("writes", "minutes"))
    return WriteLimit(
        writes=_number(fields.get("writes", default.writes), place.key("writes"), _WRITES),
        minutes=_number(fields.get("minutes", default.minutes), place.key("minutes"), _WINDOW_MINUTES),
    )


def _read_contest_limit(value: object, place: _Place) -> ContestLimit:
    default = ContestLimit()
    fields = _object(value, place, needed=(), optional=("repairs", "minutes", "coolDownMinutes"))
    return ContestLimit(
        repairs=_number(fields.get("repairs", default.repairs), place.key("repairs"), _REPAIRS),
        minutes=_number(fields.get("minutes", default.minutes), place.key("minutes"), _WINDOW_MINUTES),
        cool_down_minutes=_number(
            fields.get("coolDownMinutes", default.cool_down_minutes), place.key("coolDownMinutes"), _COOL_DOWN_MINUTES
        ),
    )


def _read_digest_limit(value: object, place: _Place) -> DigestLimit:
    default = DigestLimit()
    fields = _object(value, place, needed=(), optional=("alone", "minutes"))
    return DigestLimit(
        alone=_number(fields.get("alone", default.alone), place.key("alone"), _ALONE),
        minutes=_number(fields.get("minutes", default.minutes), place.key("minutes"), _DIGEST_MINUTES),
    )


def _read_webhook_secret(value: object, place: _Place, complaint: _Complaint) -> str:
    """A wrong text is not shown: it may be the very URL that nobody else may see."""
    if isinstance(value, str):
        if (allowed := complaint(value)) is not None:
            place.fault(f"{allowed}; what was found is not repeated here")
        return value
    place.unexpected(value, "needed is a text in quotes")
    return ""


def _read_amazon_q(value: object, place: _Place) -> AmazonQ:
    """https://docs.aws.amazon.com/chatbot/latest/APIReference/API_CreateSlackChannelConfiguration.html."""
    fields = _object(value, place, needed=("workspace", "channel"), optional=())
    return AmazonQ(
        workspace=_text(fields["workspace"], place.key("workspace"), _workspace_complaint)
        if "workspace" in fields
        else "",
        channel=_text(fields["channel"], place.key("channel"), _channel_complaint) if "channel" in fields else "",
    )


def _read_clouds(value: object, place: _Place, account: str | None) -> tuple[Cloud, ...]:
    if not isinstance(value, Mapping):
        place.unexpected(value, "needed is an object with one key per cloud")
        return ()
    if not value:
        place.fault("is empty; at least one cloud is needed")
    clouds = tuple(_read_cloud(name, cloud, place, account) for name, cloud in value.items())
    _refuse_several_accounts(clouds, account, place)
    _refuse_contradicting_buckets(clouds, place)
    return clouds


_CLOUD_OPTIONS: Final = ("mode", "grant", "formerGrant", "instanceProfile", "account", "requiredBoundary")
_CLOUD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _read_cloud(name: object, value: object, clouds: _Place, account: str | None) -> Cloud:
    if not isinstance(name, str) or not _CLOUD_NAME.fullmatch(name):
        clouds.fault(
            f"the cloud's name {_shown(name)} is not possible; allowed are 1 to 64 letters, digits and . _ -, "
            "beginning with a letter or digit, because it is the value of the enrolment tag"
        )
    place = clouds.key(str(name))
    fields = _object(value, place, needed=("buckets", "roles"), optional=_CLOUD_OPTIONS)
    account = _optional_account(fields, place, account)
    cloud = Cloud(
        name=str(name),
        buckets=_list(
            fields["buckets"],
            place.key("buckets"),
            lambda item, at: _read_bucket(item, at, account),
            lambda bucket: bucket.name,
            at_least_one="bucket",
        )
        if "buckets" in fields
        else (),
        roles=_list(
            fields["roles"],
            place.key("roles"),
            lambda item, at: RolePattern(_text(item, at, _pattern_complaint)),
            lambda pattern: pattern.text,
            at_least_one="role pattern",
        )
        if "roles" in fields
        else (),
        mode=_choice(fields.get("mode", Mode.REPAIR), place.key("mode"), Mode),
        grant=_choice(fields.get("grant", GrantSide.ROLE_POLICY), place.key("grant"), GrantSide),
        former_grant=_choice(fields["formerGrant"], place.key("formerGrant"), GrantSide)
        if "formerGrant" in fields
        else None,
        instance_profile=_choice(
            fields.get("instanceProfile", InstanceProfileMode.REPORT), place.key("instanceProfile"), InstanceProfileMode
        ),
        account=account,
        required_boundary=_text(
            fields["requiredBoundary"],
            place.key("requiredBoundary"),
            lambda text: _boundary_complaint(text, account),
        )
        if "requiredBoundary" in fields
        else None,
    )
    former = fields.get("formerGrant")
    if former in tuple(GrantSide) and former == fields.get("grant", GrantSide.ROLE_POLICY):
        place.key("formerGrant").unexpected(
            former,
            'allowed is the side where grants were put before "grant" was changed, and "grant" is the same',
        )
    if cloud.writes_bucket_policies:
        _refuse_foreign_buckets(cloud, place)
    return cloud


def _refuse_foreign_buckets(cloud: Cloud, place: _Place) -> None:
    """Only the account that owns a bucket can write its policy.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html (MethodNotAllowed)
    """
    for index, bucket in enumerate(cloud.buckets):
        if bucket.account != cloud.account:
            roles = _shown(cloud.account) if cloud.account else 'which the key "account" of the cloud must then name'
            place.key("buckets").item(index).key("account").unexpected(
                bucket.account,
                f'allowed with the grant side "bucket-policy" is the account of the roles ({roles}), because only the '
                "account that owns a bucket can write its policy",
            )


def _read_bucket(value: object, place: _Place, account: str | None) -> BucketSettings:
    fields = _object(value, place, needed=("name", "region"), optional=("account", "key"))
    name = _text(fields["name"], place.key("name"), _bucket_name_complaint) if "name" in fields else ""
    region = _text(fields["region"], place.key("region"), _region_complaint) if "region" in fields else ""
    return BucketSettings(
        name=name,
        region=region,
        account=_optional_account(fields, place, account),
        key=_text(fields["key"], place.key("key"), lambda text: _key_complaint(text, region))
        if "key" in fields
        else None,
    )


def _refuse_several_accounts(clouds: tuple[Cloud, ...], account: str | None, place: _Place) -> None:
    """A stack reaches the roles of its own account only, so clouds in two accounts cannot both be served."""
    stated = [cloud for cloud in clouds if cloud.account]
    home = account or (stated[0].account if stated else None)
    for cloud in stated:
        if cloud.account != home:
            place.key(cloud.name).key("account").unexpected(
                cloud.account,
                f"allowed is {_shown(home)}, because a deployment writes only to roles of its own account; "
                "deploy one per account",
            )


def _refuse_contradicting_buckets(clouds: tuple[Cloud, ...], place: _Place) -> None:
    """Two clouds may share a bucket, but a bucket has one region, one owner and one key."""
    first: dict[str, tuple[Cloud, BucketSettings, str]] = {}
    for cloud in clouds:
        for index, bucket in enumerate(cloud.buckets):
            here = place.key(cloud.name).key("buckets").item(index)
            other, known, where = first.setdefault(bucket.name, (cloud, bucket, here.path))
            if other is cloud:  # the first mention, or a repetition that is reported as such
                continue
            for key, ours, theirs in (
                ("region", bucket.region, known.region),
                ("account", bucket.account, known.account),
                ("key", bucket.key, known.key),
            ):
                if ours != theirs and ((ours and theirs) or key == "key"):
                    here.key(key).unexpected(
                        ours, f"{where} gives {_shown(theirs)} for the same bucket {_shown(bucket.name)}"
                    )


def _object(
    value: object, place: _Place, *, needed: tuple[str, ...], optional: tuple[str, ...]
) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        place.unexpected(value, f"needed is an object with {_words(needed or optional, 'and')}")
        return {}
    known = (*needed, *optional)
    for key in value:
        if key not in known:
            place.fault(
                f"the key {_shown(key)} is unknown; {_did_you_mean(key, known)}allowed are {_words(known, 'and')}"
            )
    for key in needed:
        if key not in value:
            place.fault(f"the key {_shown(key)} is missing")
    return value


def _list(
    value: object,
    place: _Place,
    read: Callable[[object, _Place], _T],
    identity: Callable[[_T], str],
    *,
    at_least_one: str = "",
) -> tuple[_T, ...]:
    """Read each item; two of the same identity are a fault, and so is an empty list where one thing is needed."""
    if not isinstance(value, list | tuple):
        place.unexpected(value, "needed is a list")
        return ()
    if at_least_one and not value:
        place.fault(f"is empty; at least one {at_least_one} is needed")
    items = tuple(read(item, place.item(index)) for index, item in enumerate(value))
    first: dict[str, int] = {}
    for index, item in enumerate(items):
        name = identity(item)
        if name and first.setdefault(name, index) != index:
            place.item(index).fault(f"{_shown(name)} is listed already, at [{first[name]}]")
    return items


def _text(value: object, place: _Place, complaint: _Complaint) -> str:
    if not isinstance(value, str):
        place.unexpected(value, "needed is a text in quotes")
        return ""
    if (allowed := complaint(value)) is not None:
        place.unexpected(value, allowed)
    return value


def _choice(value: object, place: _Place, choices: type[_Choice]) -> _Choice:
    for choice in choices:
        if value == choice:
            return choice
    known = tuple(choice.value for choice in choices)
    place.unexpected(value, f"{_did_you_mean(value, known)}allowed is {_words(known, 'or')}")
    return next(iter(choices))


def _did_you_mean(found: object, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(found[:_SHOWN_CHARACTERS], known, n=1) if isinstance(found, str) else []
    return f"did you mean {_shown(close[0])}? " if close else ""


def _words(words: tuple[str, ...], joint: str) -> str:
    quoted = [json.dumps(word) for word in words]
    return f" {joint} ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))


_ACCOUNT = re.compile(r"[0-9]{12}")


def _optional_account(fields: Mapping[str, object], place: _Place, default: str | None) -> str | None:
    if "account" not in fields:
        return default
    value = fields["account"]
    if not isinstance(value, str) or not _ACCOUNT.fullmatch(value):
        place.key("account").unexpected(value, "allowed are the 12 digits of an AWS account, as a text in quotes")
        return default
    return value


def _log_retention(value: object, place: _Place) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value in LOG_RETENTION_DAYS:
        return value
    allowed = ", ".join(map(str, LOG_RETENTION_DAYS[:-1]))
    place.unexpected(value, f"CloudWatch Logs allows {allowed} or {LOG_RETENTION_DAYS[-1]}")
    return DEFAULT_LOG_RETENTION_DAYS


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Which whole numbers are allowed, and what they count."""

    least: int
    most: int
    what: str


_SWEEP_MINUTES: Final = _Numbers(5, 24 * 60, "(a day), the minutes between two sweeps")
_HISTORY_DAYS: Final = _Numbers(1, 3650, "days for which the record of a change is kept")
_WRITES: Final = _Numbers(1, 100_000, "writes within one window")
_WINDOW_MINUTES: Final = _Numbers(1, 24 * 60, "minutes (a day)")
_ALONE: Final = _Numbers(1, 100, "alerts of one window that are told one by one")
_DIGEST_MINUTES: Final = _Numbers(1, 14, "minutes, because a queue keeps nothing back for longer than 15")
_REPAIRS: Final = _Numbers(1, 100, "repairs of the same finding within one window")
_COOL_DOWN_MINUTES: Final = _Numbers(1, 30 * 24 * 60, "minutes (30 days), for which a contested role is left alone")


def _number(value: object, place: _Place, allowed: _Numbers) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and allowed.least <= value <= allowed.most:
        return value
    place.unexpected(value, f"allowed are {allowed.least} to {allowed.most} {allowed.what}")
    return allowed.least


_PRINCIPAL = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):"
    r"(?:(?:role|user)/(?P<path_and_name>[A-Za-z0-9_+=,.@/*?-]+)|root)"
)


def _principal_complaint(text: str, account: str | None) -> str | None:
    if text.startswith("arn:") and ":assumed-role/" in text:
        return "a session counts as its role: allowed is the role's ARN, arn:PARTITION:iam::ACCOUNT:role/PATH/NAME"
    match = _PRINCIPAL.fullmatch(text)
    if match is None:
        return (
            "allowed is the ARN of a role (with its path), of a user or of root, with the wildcards * and ? after "
            '"role/" or "user/": "arn:aws:iam::111122223333:role/platform/*"'
        )
    if match["path_and_name"] and len(re.sub(r"[*?/]", "", match["path_and_name"])) < _PATTERN_MIN_LITERALS:
        return f"it is too broad; at least {_PATTERN_MIN_LITERALS} characters other than * ? / are needed"
    return _elsewhere_complaint(match, account, "only a principal of that account can tag its roles")


_POLICY_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}|aws):policy/(?:[\x21-\x7e]+/)?[A-Za-z0-9_+=,.@-]+"
)


def _boundary_complaint(text: str, account: str | None) -> str | None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html."""
    match = _POLICY_ARN.fullmatch(text)
    if match is None:
        return "allowed is the ARN of a managed policy: arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME"
    return _elsewhere_complaint(
        match,
        account if match["account"] != "aws" else None,
        "a role's boundary is a policy of its own account, or one of AWS",
    )


def _elsewhere_complaint(match: re.Match[str], account: str | None, because: str) -> str | None:
    """That an ARN is not in the partition and the account of the roles, as far as these are known."""
    if match["partition"] != PARTITION:
        return f"it is not in the partition {_shown(PARTITION)} of the home region"
    if account is not None and match["account"] != account:
        return f"it is not in the account of the roles, {_shown(account)}; {because}"
    return None


_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}")
_OTHER_PARTITIONS = (
    (re.compile(r"cn-"), "aws-cn"),
    (re.compile(r"us-gov-"), "aws-us-gov"),
    (re.compile(r"[a-z]+-iso"), "aws-iso"),
    (re.compile(r"eusc-"), "aws-eusc"),
)


def _home_region_complaint(text: str) -> str | None:
    if text == HOME_REGION:
        return None
    return _partition_complaint(text) or (
        f"allowed is {_shown(HOME_REGION)}, because IAM's events arrive in no other region; buckets may live elsewhere"
    )


def _region_complaint(text: str) -> str | None:
    if not _REGION.fullmatch(text):
        return 'allowed is the code of an AWS region, such as "us-west-2"'
    return _partition_complaint(text)


def _partition_complaint(region: str) -> str | None:
    found = next((name for beginning, name in _OTHER_PARTITIONS if beginning.match(region)), PARTITION)
    if found == PARTITION:
        return None
    return (
        f"the partition {_shown(found)} is not supported, because Anyscale supports no other than the "
        f"partition {_shown(PARTITION)}"
    )


_BUCKET_NAMING = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"
_BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_IP_ADDRESS = re.compile(r"[0-9]+(\.[0-9]+){3}")
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def _bucket_name_complaint(text: str) -> str | None:
    if text.startswith(("s3://", "arn:")):
        return "allowed is the bare name of the bucket"
    if not _BUCKET_NAME.fullmatch(text) or ".." in text:
        return (
            "allowed are 3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or "
            f"digit, no two dots together ({_BUCKET_NAMING})"
        )
    if _IP_ADDRESS.fullmatch(text):
        return f"a bucket's name cannot look like an IP address ({_BUCKET_NAMING})"
    for reserved in _RESERVED_PREFIXES:
        if text.startswith(reserved):
            return f"S3 reserves names that begin with {_shown(reserved)} ({_BUCKET_NAMING})"
    for reserved in _RESERVED_SUFFIXES:
        if text.endswith(reserved):
            return f"S3 reserves names that end with {_shown(reserved)} ({_BUCKET_NAMING})"
    return None


_KEY_ARN = re.compile(r"arn:(?P<partition>[a-z-]+):kms:(?P<region>[a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]{1,128}")


def _key_complaint(text: str, region: str) -> str | None:
    """The key of a bucket is in its Region.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    """
    match = _KEY_ARN.fullmatch(text)
    if match is None:
        return (
            "allowed is the ARN of a KMS key (arn:PARTITION:kms:REGION:ACCOUNT:key/ID), not an alias, because an alias "
            "can come to mean another key"
        )
    if _REGION.fullmatch(region) and match["region"] != region:
        return f"a bucket's key must be in the Region of the bucket, {_shown(region)}"
    if match["partition"] != PARTITION:
        return f"it is not in the partition {_shown(PARTITION)} of the home region"
    return None


_PATTERN_CHARACTERS = re.compile(r"[A-Za-z0-9_+=,.@/*?-]+")
_PATTERN_MAX_LENGTH = 575
_PATTERN_MIN_LITERALS = 4
_AWS_PATHS = ("aws-service-role/", "aws-reserved/")


def _pattern_complaint(text: str) -> str | None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: paths ≤ 512, role names ≤ 64."""
    if text.startswith(("arn:", "role/", "/")):
        return 'allowed is what follows "role/" in a role\'s ARN, without a slash before it: "anyscale/production/*"'
    if len(text) > _PATTERN_MAX_LENGTH:
        return f"a role's path and name have at most {_PATTERN_MAX_LENGTH} characters"
    if not _PATTERN_CHARACTERS.fullmatch(text):
        return "allowed are letters, digits, + = , . @ _ - / and the wildcards * and ?"
    if "//" in text or text.endswith("/"):
        return "it matches no role: a role's ARN has no empty part, and its name comes last"
    if len(re.sub(r"[*?/]", "", text)) < _PATTERN_MIN_LITERALS:
        return f"it is too broad; at least {_PATTERN_MIN_LITERALS} characters other than * ? / are needed"
    literal = re.split(r"[*?]", text, maxsplit=1)[0]
    for path in _AWS_PATHS:
        if path in text or (len(literal) >= _PATTERN_MIN_LITERALS and path.startswith(literal)):
            return f"roles under {_shown(path)} belong to AWS and are never touched"
    return None


_TAG_KEY = re.compile(r"[A-Za-z0-9_.:/=+@-](?:[A-Za-z0-9 _.:/=+@-]{0,126}[A-Za-z0-9_.:/=+@-])?")


def _tag_key_complaint(text: str) -> str | None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules, in ASCII because the key also
    stands in a condition of the reconciler's own policy.
    """
    if not _TAG_KEY.fullmatch(text):
        return "allowed are 1 to 128 letters, digits and spaces (not at the ends) and . : / = + - @ _"
    if text.lower().startswith("aws:"):
        return 'tags that begin with "aws:" belong to AWS'
    if text.lower() == MODE_TAG:
        return "this tag narrows the mode of a role and cannot also enrol it"
    if text.lower() == "anyscale-cloud-id":
        return "Anyscale's control-plane role carries this tag too, and EC2 must never be able to assume that role"
    return None


_MAX_EMAILS = 100
_EMAIL_MAX_LENGTH = 254
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]")


def _email_complaint(text: str) -> str | None:
    if len(text) > _EMAIL_MAX_LENGTH or not _EMAIL.fullmatch(text):
        return 'allowed is one e-mail address, such as "oncall@example.com"'
    return None


_SECRET_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):secretsmanager:(?P<region>[a-z0-9-]+):(?P<account>[0-9]{12}):"
    r"secret:[A-Za-z0-9/_+=.@-]{1,512}-[A-Za-z0-9]{6}"
)
_SECRET_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_WEBHOOK_URL = re.compile(r"://|^/?/?hooks\.|(^|/)[TE][A-Z0-9]{5,}/B[A-Z0-9]{5,}/", re.IGNORECASE)


def _secret_complaint(text: str, account: str | None) -> str | None:
    """https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html (Name)."""
    if _WEBHOOK_URL.search(text):
        return "it looks like the URL itself; put the URL into a secret, never here, and here the name of the secret"
    if not text.startswith("arn:"):
        return (
            None
            if _SECRET_NAME.fullmatch(text)
            else (
                "allowed is the name of a secret of Secrets Manager, 1 to 512 letters, digits and / _ + = . @ -, or "
                "its whole ARN"
            )
        )
    match = _SECRET_ARN.fullmatch(text)
    if match is None:
        return (
            "allowed is the whole ARN of a secret, arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX with "
            "the six characters that Secrets Manager adds, or its name alone"
        )
    if (match["region"], match["partition"]) != (HOME_REGION, PARTITION):
        return f"the secret must be in the home region, {_shown(HOME_REGION)}"
    if account is not None and match["account"] != account:
        return f"the secret must be in the account of the deployment, {_shown(account)}"
    return None


_WORKSPACE_ID = re.compile(r"T[A-Z0-9]{7,254}")
_CHANNEL_ID = re.compile(r"[CG][A-Z0-9]{7,254}")


def _workspace_complaint(text: str) -> str | None:
    if not _WORKSPACE_ID.fullmatch(text):
        return 'allowed is the id of a Slack workspace, such as "T07EA123LEP"; the console of Amazon Q shows it'
    return None


def _channel_complaint(text: str) -> str | None:
    if not _CHANNEL_ID.fullmatch(text):
        return (
            'allowed is the id of a Slack channel, such as "C07EZ1ABC23", not its name; it is at the end of the link '
            "to the channel"
        )
    return None
