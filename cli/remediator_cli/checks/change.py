"""Check what a file changes: every role in it, and the other roles that it affects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from remediator.core.enrollment.decide import Enrolled
from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, read_mapping
from remediator.core.policy.edit import raw_statements
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.bucket_policy import named_roles
from remediator.core.repair.trust import ec2_trust_statement
from remediator.errors import MalformedArn, RemediatorError
from remediator.settings import Cloud, InstanceProfileMode, Settings
from remediator_cli.checks.buckets import agreed, lost_buckets, said_of_buckets
from remediator_cli.checks.roles import check_role, enrollment_of
from remediator_cli.checks.state import CheckContext, Language, called, granting, is_same_policy, key_of
from remediator_cli.checks.verdicts import (
    FOUND,
    ROLE_DELETED,
    ROLE_NOT_IN_FILE,
    Remark,
    RoleCheck,
    Verdict,
    sorted_by_verdict,
)
from remediator_cli.iac.declared import DeclaredBucket, DeclaredChange, DeclaredPolicy, DeclaredRole, Place

_NO_ACCOUNT = "0" * 12


def check_change(
    change: DeclaredChange, settings: Settings, *, account: str | None, language: Language
) -> tuple[RoleCheck, ...]:
    """What becomes of each role that the file holds, before or after; ``account`` is the one to deploy to, if known.

    Raises RemediatorError where a role has the enrollment tag and its account is unknown.
    """
    account = account or settings.account or change.account
    if account is None and _needs_account(change, settings):
        raise RemediatorError("the account is neither in the file nor in the settings. Use --account")
    after = replace(change.after, lost=lost_buckets(change))
    context = CheckContext(settings, account or _NO_ACCOUNT, language, change.before, after)
    return (*_of_roles(context), *_of_others(context), *_of_lost_buckets(context), *_of_changed_buckets(context))


def _of_roles(context: CheckContext) -> Iterator[RoleCheck]:
    """The roles that the file holds, before or after."""
    after, former = context.after, dict(context.before.roles) if context.before else {}
    names = {role.name for role in after.roles.values()}
    for address, role in after.roles.items():
        was = _taken(former, address, role)
        yield check_role(role, was, context)
        if was is not None and isinstance(role.name, Present) and was.name not in names:
            yield from _deleted(was, context, agreed(was.retention.if_replaced, role.retention.if_replaced))
    for role in former.values():
        yield from _deleted(role, context, role.retention.if_removed)


def _needs_account(change: DeclaredChange, settings: Settings) -> bool:
    return any(
        settings.enrollment_tag in role.tags
        for declared in (change.before, change.after)
        if declared is not None
        for role in declared.roles.values()
    )


def _taken(former: dict[str, DeclaredRole], address: str, role: DeclaredRole) -> DeclaredRole | None:
    """The role as it was: under the same address, else under the same name, since code is moved; taken out of them."""
    if address in former:
        return former.pop(address)
    if isinstance(role.name, Present):
        for other, was in former.items():
            if (was.name, was.path) == (role.name, role.path):
                return former.pop(other)
    return None


def _deleted(was: DeclaredRole, context: CheckContext, stays: bool | None) -> Iterator[RoleCheck]:
    """What is said of a role that the file no longer holds; ``stays`` says whether it is retained, None if unknown."""
    enrollment = enrollment_of(was, context)
    cloud = enrollment.cloud.name if isinstance(enrollment, Enrolled) else None
    if stays:
        if cloud is not None:
            yield RoleCheck(was.place, called(was), cloud, ())
        return
    if enrollment is None:
        verdict, text = Verdict.UNDECIDED, "The role would be deleted; whether it is enrolled is undecided."
    elif cloud is None:
        verdict, text = Verdict.NOT_ENROLLED, "The role would be deleted; it is not enrolled."
    elif stays is None:
        verdict, text = Verdict.UNDECIDED, "Whether the enrolled role would be deleted or retained is not known."
    else:
        verdict, text = Verdict.BREAKS, f"The enrolled role would be deleted, and clusters of cloud {cloud} lose it."
    yield RoleCheck(was.place, called(was), cloud, (Remark(ROLE_DELETED, verdict, was.place, text),))


# Roles that the file does not hold, and that it touches all the same.


def _of_others(context: CheckContext) -> Iterator[RoleCheck]:
    """Roles of which the file changes policies, and says nothing else."""
    before = context.before.elsewhere if context.before else context.after.elsewhere
    after = context.after.elsewhere
    for name in sorted((before.keys() | after.keys()) - _names(context)):
        old = {key_of(policy): policy for policy in before.get(name, ())}
        new = {key_of(policy): policy for policy in after.get(name, ())}
        for key, policy in {**new, **old}.items():
            if key in old and key in new and is_same_policy(old[key].document, new[key].document):
                continue
            text = "The file changes a policy of a role but does not contain the role, so it cannot be checked."
            said = Remark(ROLE_NOT_IN_FILE, Verdict.UNDECIDED, policy.place, text)
            yield RoleCheck(policy.place, name, None, (said,))
            break


def _names(context: CheckContext) -> set[str]:
    """The names of the roles that the file holds, before or after."""
    return {
        role.name.value
        for file in (context.before, context.after)
        if file is not None
        for role in file.roles.values()
        if isinstance(role.name, Present)
    }


def _of_lost_buckets(context: CheckContext) -> Iterator[RoleCheck]:
    """All roles of the clouds whose buckets go away, or may: one line a cloud, whatever roles the file holds."""
    for cloud in context.settings.clouds:
        said = said_of_buckets((bucket.name for bucket in cloud.buckets), context.after)
        if said:
            yield RoleCheck(said[0].place, _every_role_of(cloud), cloud.name, tuple(sorted_by_verdict(said)))


def _every_role_of(cloud: Cloud) -> str:
    return f"every role of cloud {cloud.name}"


def _of_changed_buckets(context: CheckContext) -> Iterator[RoleCheck]:
    """The other roles of the clouds whose buckets stay and get another policy."""
    before = context.before
    if before is None:
        return
    lost = {name for name, each in context.after.lost.items() if each.is_certain}
    context = replace(context, after=replace(context.after, lost={}))
    declared = _names(context)
    for cloud in context.settings.clouds:
        for name in (bucket.name for bucket in cloud.buckets if bucket.name not in lost):
            old, new = before.buckets.get(name), context.after.buckets.get(name)
            changed = new or old
            if changed is not None and not is_same_policy(_policy(old), _policy(new)):
                yield from _named_before(old, changed.place, cloud, declared, context)
                yield from _any_role(changed.place, cloud, context)


def _policy(bucket: DeclaredBucket | None) -> Reading[PolicyDocument]:
    return Absent() if bucket is None else bucket.policy


def _named_before(
    old: DeclaredBucket | None, place: Place, cloud: Cloud, declared: set[str], context: CheckContext
) -> Iterator[RoleCheck]:
    """The roles that the remediator's statement in the previous bucket policy names."""
    if old is None or not isinstance(old.policy, Present):
        return
    for arn in sorted(named_roles(old.policy.value, context.account)):
        role = RoleArn.parse(arn)
        if role.name in declared or not cloud.allows(role.path_and_name):
            continue
        check = _check_twice(_assumed(role, cloud, place, (), context), context)
        if check.verdict in FOUND:
            yield check


def _any_role(place: Place, cloud: Cloud, context: CheckContext) -> Iterator[RoleCheck]:
    """Any role of a cloud whose own policy grants all that it needs, so that only the bucket can keep it out."""
    path, _, name = f"/{cloud.roles[0]}".replace("*", "x").replace("?", "x").rpartition("/")
    try:
        role = RoleArn.parse(f"arn:aws:iam::{context.account}:role{path}/{name}")
    except MalformedArn:
        return
    granted = granting(cloud)
    own = DeclaredPolicy(place, OWN_POLICY_NAME, False, Absent() if granted is None else Present(granted))
    assumed = _assumed(role, cloud, place, (own,), context)
    check = _check_twice(assumed, context)
    if check.verdict not in FOUND:
        return
    said = check.said
    if _check_twice(assumed, _without_exceptions(context)).verdict not in FOUND:
        text = "A bucket policy denies roles of the cloud, but may exempt some; the file does not say which."
        said = tuple(replace(each, verdict=Verdict.UNDECIDED, text=text) for each in said)
    yield replace(check, role=_every_role_of(cloud), said=said, fix="")


def _assumed(
    role: RoleArn, cloud: Cloud, place: Place, policies: tuple[DeclaredPolicy, ...], context: CheckContext
) -> DeclaredRole:
    """A role of the cloud that is not in the file, with nothing wrong about it but what its bucket may do to it."""
    trust = read_mapping({"Version": "2012-10-17", "Statement": [ec2_trust_statement(role.partition)]})
    required = cloud.required_boundary
    return DeclaredRole(
        place=place,
        name=Present(role.name),
        path=Present(role.path),
        trust=Present(trust),
        tags={context.settings.enrollment_tag: Present(cloud.name)},
        boundary=Absent() if required is None else Present(required),
        boundary_document=Absent() if required is None else Unreadable("it is not in the file"),
        policies=policies,
        account=role.account,
    )


def _check_twice(role: DeclaredRole, context: CheckContext) -> RoleCheck:
    """What becomes of a role that itself stays as it is."""
    without_profiles = replace(
        context,
        settings=replace(
            context.settings,
            clouds=tuple(
                replace(cloud, instance_profile=InstanceProfileMode.IGNORE) for cloud in context.settings.clouds
            ),
        ),
    )
    return check_role(role, role, without_profiles)


def _without_exceptions(context: CheckContext) -> CheckContext:
    """The same without each Deny in a bucket policy that distinguishes principals."""
    buckets = {
        name: replace(bucket, policy=_without_exception(bucket.policy))
        for name, bucket in context.after.buckets.items()
    }
    return replace(context, after=replace(context.after, buckets=buckets))


def _without_exception(policy: Reading[PolicyDocument]) -> Reading[PolicyDocument]:
    if not isinstance(policy, Present):
        return policy
    kept = [
        raw
        for raw, statement in zip(raw_statements(policy.value), policy.value.statements, strict=True)
        if statement.effect != "Deny" or not _distinguishes_principals(raw)
    ]
    return Present(read_mapping({**policy.value.raw, "Statement": kept}))


def _distinguishes_principals(statement: Mapping[str, object]) -> bool:
    if statement.get("Principal") not in ("*", {"AWS": "*"}, {"AWS": ["*"]}):
        return True
    conditions = statement.get("Condition")
    keys = [key for each in conditions.values() for key in each] if isinstance(conditions, Mapping) else []
    return any(key.lower().startswith(("aws:principal", "aws:userid", "aws:username")) for key in keys)
