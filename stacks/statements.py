"""IAM policies, made from the declared permissions of each function."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, assert_never

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_iam as iam

from remediator.errors import SettingsError
from remediator.permissions import Access, Permission, Target
from remediator.settings import Cloud, InstanceProfileMode, Mode, Settings

# A role holds 10,240 characters of inline policies and 10 managed policies. The stack's own grants (queues, logs,
# traces, the topic) use the rest of the inline characters.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
_ENVELOPE: Final = len('{"Statement":[],"Version":"2012-10-17"}')
_INLINE_CHARACTERS: Final = 7_000 - _ENVELOPE
_MANAGED_CHARACTERS: Final = 6_144 - _ENVELOPE
_MANAGED_POLICIES: Final = 10

_ANY_ACCOUNT: Final = "<AWS::AccountId>"
"""Placeholder, as cdk-nag writes it, for the account of a stack that deploys to the account of the credentials."""

_TOKEN: Final = re.compile(r"\$\{Token\[[^]]*\]\}")
_LONGEST_ARN: Final = 128
"""Maximum length of the ARN of a stack resource whose name CloudFormation generates."""

_STACK_GRANTED: Final = (
    *("kms:Decrypt", "kms:GenerateDataKey*", "logs:CreateLogStream", "logs:PutLogEvents", "sns:Publish"),
    *("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"),
    *("sqs:ReceiveMessage", "sqs:SendMessage", "xray:PutTelemetryRecords", "xray:PutTraceSegments"),
)
"""Actions on the queue, topic, key, logs and traces that the stack itself grants to a role that writes."""


Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Scope:
    """The ARNs of a Target, and the conditions under which calls on them are allowed."""

    sid: str
    resources: tuple[str, ...]
    conditions: Mapping[str, Any] = field(default_factory=dict)
    why_wildcards: str = ""


@dataclass(frozen=True, slots=True)
class _Grant:
    """The content of a statement: actions on resources, under conditions."""

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: Mapping[str, Any]

    def statement(self, number: int = 99) -> Json:
        """Return the policy statement; the number distinguishes statements of the same Sid."""
        return {
            "Sid": f"{self.sid}{number if number > 1 else ''}",
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": list(self.resources),
            **({"Condition": self.conditions} if self.conditions else {}),
        }


def allow_declared(
    role: iam.Role, permissions: Sequence[Permission], settings: Settings, *, own_resources: Mapping[Target, str]
) -> None:
    """Allow a function's role exactly the declared calls on the declared resources.

    ``own_resources`` maps each target that is a resource of the stack to its ARN. A role that writes is also denied
    everything else, so a policy attached to it by mistake grants nothing. Raises SettingsError if the resources in the
    configuration do not fit into a role's policies.
    """
    scopes = [
        (permission, scope)
        for permission in permissions
        for scope in _scopes(permission.target, settings, own_resources)
    ]
    _attach(role, _declared(permissions, scopes, settings))
    reasons = {resource: scope.why_wildcards for _, scope in scopes for resource in scope.resources if "*" in resource}
    for resource, reason in reasons.items():
        Validations.of(role).acknowledge(Acknowledgment(id=f"AwsSolutions-IAM5[Resource::{resource}]", reason=reason))


def _declared(
    permissions: Sequence[Permission], scopes: Sequence[tuple[Permission, _Scope]], settings: Settings
) -> list[list[Json]]:
    """Return the statements of each policy, the inline one first. Raises SettingsError if there are too many."""
    used: Counter[str] = Counter()
    policies: list[list[Json]] = []
    for grants in _policies(_grants(scopes)):
        policies.append([])
        for grant in grants:
            used[grant.sid] += 1
            policies[-1].append(grant.statement(used[grant.sid]))
    if any(permission.access is Access.WRITE for permission in permissions):
        _deny_other_resources(policies, scopes)
        policies[0] += _deny_other_calls(scopes, settings)
    if len(policies) > 1 + _MANAGED_POLICIES:
        fault = (
            f"clouds: the buckets, keys and role patterns need {len(policies) - 1} managed policies for one role; the "
            f"limit is {_MANAGED_POLICIES}; use fewer or broader role patterns, or several deployments"
        )
        raise SettingsError([fault])
    return policies


def _attach(role: iam.Role, policies: Iterable[Sequence[Json]]) -> None:
    account = Stack.of(role).account
    for number, policy in enumerate(policies, start=1):
        statements = [
            iam.PolicyStatement.from_json(json.loads(json.dumps(statement).replace(_ANY_ACCOUNT, account)))
            for statement in policy
        ]
        if number == 1:
            iam.Policy(role, "Declared", statements=statements, roles=[role])
        else:
            iam.ManagedPolicy(role, f"Declared{number}", statements=statements, roles=[role])


def _deny_other_calls(scopes: Sequence[tuple[Permission, _Scope]], settings: Settings) -> list[Json]:
    """Return the statements that deny a role that writes all other calls, even if another policy allows them.

    Denied are actions that are neither declared nor granted by the stack, and writes to roles without the tag.
    """
    needed = {*(permission.action for permission, _ in scopes), *_STACK_GRANTED}
    tagged = [permission.action for permission, _ in scopes if permission.target is Target.ENROLLED_ROLES]
    untagged = {"Null": {f"aws:ResourceTag/{settings.enrollment_tag}": "true"}}
    return [
        _denied("NothingElse", NotAction=sorted(needed), Resource="*"),
        *([_denied("NeverWithoutTheTag", Action=tagged, Resource="*", Condition=untagged)] if tagged else ()),
    ]


def _deny_other_resources(policies: list[list[Json]], scopes: Sequence[tuple[Permission, _Scope]]) -> None:
    """Deny writes to undeclared resources, in the last policy or a new one; at the limit, in the space that is left."""
    room = (_INLINE_CHARACTERS if len(policies) == 1 else _MANAGED_CHARACTERS) - sum(map(_characters, policies[-1]))
    if len(policies) <= _MANAGED_POLICIES and sum(map(_characters, _elsewhere(scopes, _MANAGED_CHARACTERS))) > room:
        policies.append([])
        room = _MANAGED_CHARACTERS
    bounds = _elsewhere(scopes, room)
    if sum(map(_characters, bounds)) > room:
        policies.append([])
    policies[-1] += bounds


def _elsewhere(scopes: Sequence[tuple[Permission, _Scope]], room: int) -> list[Json]:
    """Return statements, one per service, that deny writes to undeclared resources, in ``room`` characters if possible.

    If the configuration has too many resources, the statements exempt more than the declared ones, never fewer.
    """
    actions: dict[str, dict[str, None]] = defaultdict(dict)
    resources: dict[str, dict[str, None]] = defaultdict(dict)
    for permission, scope in scopes:
        if permission.access is Access.WRITE:
            service = permission.action.partition(":")[0]
            actions[service][permission.action] = None
            resources[service].update(dict.fromkeys(scope.resources))
    found: list[Json] = []
    for number, service in enumerate(sorted(resources, key=lambda each: len("".join(resources[each])))):
        share = (room - sum(map(_characters, found))) // (len(resources) - number)
        statements = (
            _denied(f"{service.title()}NowhereElse", Action=list(actions[service]), NotResource=list(covering))
            for covering in _coverings(tuple(resources[service]))
        )
        found.append(_first_within(share, statements))
    return found


def _denied(sid: str, **elements: object) -> Json:
    return {"Sid": sid, "Effect": "Deny", **elements}


def _first_within(characters: int, statements: Iterable[Json]) -> Json:
    """Return the first statement that fits, else the last."""
    found: Json = {}
    for found in statements:
        if _characters(found) <= characters:
            break
    return found


def _coverings(arns: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the ARNs, then ever fewer and broader patterns that match all of them, each cut at one length.

    A statement that allows resources can be split into several. One that denies all but some resources cannot: each
    part would deny what the others exempt.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notresource.html
    """
    yield arns
    parts = [arn.rpartition(":") for arn in arns]
    for length in range(max(len(resource) for *_, resource in parts) - 1, -1, -1):
        yield tuple(
            dict.fromkeys(
                f"{beginning}:{resource}"
                if len(resource) <= length
                else f"{beginning}:{resource[:length].rstrip('*')}*"
                for beginning, _, resource in parts
            )
        )


def _characters(statement: Json) -> int:
    """Return the size of a statement in a policy as IAM counts it: without white space."""
    text = json.dumps(statement, separators=(",", ":")).replace(_ANY_ACCOUNT, "0" * 12)
    return len(_TOKEN.sub("x" * _LONGEST_ARN, text)) + len(",")


def _grants(scopes: Iterable[tuple[Permission, _Scope]]) -> Iterator[_Grant]:
    """List each resource once, with all actions that share its conditions: the list of buckets can be long."""
    calls: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for permission, scope in scopes:
        for resource in scope.resources:
            calls[resource, json.dumps(scope.conditions)].append((scope.sid, permission.action))
    alike: dict[tuple[tuple[tuple[str, str], ...], str], list[str]] = defaultdict(list)
    for (resource, conditions), found in calls.items():
        alike[tuple(found), conditions].append(resource)
    for (allowed, conditions), resources in alike.items():
        yield _Grant(
            sid="".join(dict.fromkeys(sid for sid, _ in allowed)),
            actions=tuple(action for _, action in allowed),
            resources=tuple(resources),
            conditions=json.loads(conditions),
        )


def _policies(grants: Iterable[_Grant]) -> Iterator[list[_Grant]]:
    """Split the grants into policies of maximum size: the first inline, all others managed.

    The CDK also splits a role's policy, but only between statements and by estimated sizes. Filling each policy fits
    more into a role.
    """
    policy: list[_Grant] = []
    room = _INLINE_CHARACTERS
    for grant in grants:
        rest = grant.resources
        while rest:
            fitting = next(
                (part for part in _prefixes(rest) if _characters(replace(grant, resources=part).statement()) <= room),
                (),
            )
            if fitting:
                part = replace(grant, resources=fitting)
                policy.append(part)
                room -= _characters(part.statement())
                rest = rest[len(fitting) :]
            if rest:
                yield policy
                policy, room = [], _MANAGED_CHARACTERS
    yield policy


def _prefixes(resources: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield the prefixes of a list of resources, the longest first."""
    return (resources[:count] for count in range(len(resources), 0, -1))


def _scopes(target: Target, settings: Settings, own_resources: Mapping[Target, str]) -> tuple[_Scope, ...]:
    """Return the resources of a target; none if the configuration leaves the target empty."""
    scopes = _all_scopes(target, settings, settings.account or _ANY_ACCOUNT, own_resources)
    return tuple(scope for scope in scopes if scope.resources)


def _all_scopes(  # noqa: C901, PLR0912 - one case for each target
    target: Target, settings: Settings, account: str, own_resources: Mapping[Target, str]
) -> tuple[_Scope, ...]:
    iam_arn = f"arn:aws:iam::{account}"
    repairing = [cloud for cloud in settings.clouds if cloud.mode is Mode.REPAIR]
    with_profiles = [cloud for cloud in repairing if cloud.instance_profile is InstanceProfileMode.REPAIR]
    match target:
        case Target.WHOLE_ACCOUNT:
            reason = "Read-only. GetAccountAuthorizationDetails can only be granted on *."
            return (_Scope("ReadAccount", ("*",), why_wildcards=reason),)
        case Target.ANY_ROLE:
            reason = "Read-only. A role outside the allow list must be read to be refused with a reason."
            return (_Scope("ReadRoles", (f"{iam_arn}:role/*",), why_wildcards=reason),)
        case Target.ANY_INSTANCE_PROFILE:
            reason = "Read-only. An instance profile with a role's name may have any path."
            return (_Scope("ReadInstanceProfiles", (f"{iam_arn}:instance-profile/*",), why_wildcards=reason),)
        case Target.ENROLLED_ROLES:
            tagged = {"Null": {f"aws:ResourceTag/{settings.enrollment_tag}": "false"}}
            return (_allowed("RepairEnrolledRoles", f"{iam_arn}:role", repairing, tagged),)
        case Target.PASSED_ROLES:
            # Not by their tags: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
            to_ec2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
            return (_allowed("PassRolesToEc2", f"{iam_arn}:role", with_profiles, to_ec2),)
        case Target.REPAIRED_INSTANCE_PROFILES:
            return (_allowed("RepairInstanceProfiles", f"{iam_arn}:instance-profile", with_profiles, {}),)
        case Target.ANY_MANAGED_POLICY:
            reason = "Read-only. A role's access depends on every policy attached to it."
            policies = (f"{iam_arn}:policy/*", "arn:aws:iam::aws:policy/*")
            return (_Scope("ReadManagedPolicies", policies, why_wildcards=reason),)
        case Target.CUSTOMER_POLICIES:
            reason = "Read-only. A change to any policy in the account can affect an enrolled role."
            return (_Scope("FindRolesOfPolicies", (f"{iam_arn}:policy/*",), why_wildcards=reason),)
        case Target.CONFIGURED_BUCKETS:
            return _buckets("ReadBuckets", settings.clouds, account)
        case Target.GRANTING_BUCKETS:
            granting = [cloud for cloud in repairing if cloud.writes_bucket_policies]
            return _buckets("WriteBucketPolicies", granting, account)
        case Target.CONFIGURED_KEYS:
            keys = (bucket.key for cloud in settings.clouds for bucket in cloud.buckets)
            return (_Scope("ReadKeys", tuple(dict.fromkeys(filter(None, keys)))),)
        case Target.HISTORY_TABLE:
            return (_Scope("RecordChanges", (own_resources[target],)),)
        case Target.HISTORY_LISTING:
            return (_Scope("FindWhatIsOpen", (own_resources[target],)),)
        case Target.PAUSE_PARAMETER:
            return (_Scope("ReadWhetherPaused", (own_resources[target],)),)
        case Target.DIGESTER_ITEMS:
            return (_Scope("KeepWhatIsTold", (own_resources[target],), _keys_like("DIGEST*")),)
        case Target.NOTIFIER_ITEMS:
            return (_Scope("KeepWhatWasPosted", (own_resources[target],), _keys_like("NOTIFIER")),)
        case Target.SLACK_WEBHOOK:
            return (_webhook_secret(settings, account),)
        case _ as never:
            assert_never(never)


def _allowed(sid: str, arn: str, clouds: Iterable[Cloud], conditions: Mapping[str, Any]) -> _Scope:
    """Return the resources that the clouds' role patterns match; an instance profile has its role's path and name."""
    patterns = dict.fromkeys(pattern.text for cloud in clouds for pattern in cloud.roles)
    return _Scope(
        sid,
        tuple(f"{arn}/{pattern}" for pattern in patterns),
        conditions,
        "The allow list of the configuration; its wildcards have IAM's meaning.",
    )


def _keys_like(partition_key: str) -> Mapping[str, Any]:
    """Return a condition on the partition key; every call on an item names one.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    """
    return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [partition_key]}}


def _webhook_secret(settings: Settings, account: str) -> _Scope:
    """Return the secret by its ARN, in which six random characters follow the name.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_iam-policies.html
    """
    name = settings.slack_webhook_secret
    if name is None or name.startswith("arn:"):
        return _Scope("ReadWebhook", (name,) if name else ())
    secrets = f"arn:aws:secretsmanager:{settings.region}:{account}:secret"
    return _Scope("ReadWebhook", (f"{secrets}:{name}-??????",))


def _buckets(sid: str, clouds: Iterable[Cloud], account: str) -> tuple[_Scope, ...]:
    """Return the clouds' buckets by owner: after another account takes over a name, it is another bucket.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-resourceaccount
    """
    names: dict[str, dict[str, None]] = defaultdict(dict)
    for cloud in clouds:
        for bucket in cloud.buckets:
            names[bucket.account or account][bucket.name] = None
    return tuple(
        _Scope(
            sid,
            tuple(f"arn:aws:s3:::{name}" for name in owned),
            {"StringEquals": {"aws:ResourceAccount": owner}},
        )
        for owner, owned in names.items()
    )
