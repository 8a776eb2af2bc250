"""Read a Terraform plan: what it says of roles, policies, buckets and instance profiles, before and after."""

from __future__ import annotations

import re

from remediator.core.model.bucket import PublicAccessBlock
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator_cli.iac.declared import (
    Declared,
    DeclaredBucket,
    DeclaredChange,
    DeclaredProfile,
    DeclaredRole,
    Place,
    PlannedBucket,
    Retention,
    or_root,
)
from remediator_cli.iac.json_members import Members, object_of
from remediator_cli.iac.terraform_moment import Moment
from remediator_cli.iac.terraform_policies import policies_elsewhere, policies_of
from remediator_cli.iac.terraform_references import Plan
from remediator_cli.iac.terraform_resources import PlannedResource, checked_plan, resources_of

_ACCOUNT_IN_ARN = re.compile(r"arn:[^:]+:iam::([0-9]{12}):.*", re.DOTALL)


def read_plan(value: object, file: str, *, partition: str, account: str | None = None) -> DeclaredChange:
    """What a plan changes; ``value`` is what ``terraform show -json`` printed, ``file`` its name.

    ``account`` is the one to deploy to, where it is known. Raises NotReadable, saying what to do, for what is no plan.
    """
    checked = checked_plan(value)
    plan = Plan(file, resources_of(checked), object_of(checked, "configuration", "root_module"))
    found = account or _account(plan)
    before = Moment(plan, found, partition)
    return DeclaredChange(_declared(before), _declared(Moment(plan, found, partition, former=before)), found)


def _account(plan: Plan) -> str | None:
    """The account that the plan is about, by the caller's identity or else by the ARN of a role."""
    for resource in plan.resources:
        number = object_of(resource.after or resource.before).get("account_id")
        if resource.type == "aws_caller_identity" and isinstance(number, str):
            return number
    roles = [each for each in plan.resources if each.type == "aws_iam_role"]
    found = (_account_of(values) for role in roles for values in (role.before, role.after))
    return next(filter(None, found), None)


def _account_of(values: Members | None) -> str | None:
    arn = object_of(values).get("arn")
    match = _ACCOUNT_IN_ARN.fullmatch(arn) if isinstance(arn, str) else None
    return None if match is None else match[1]


def _declared(moment: Moment) -> Declared:
    buckets, stray_buckets = _buckets(moment)
    return Declared(
        roles={each.address: _role(moment, each) for each in moment.of("aws_iam_role")},
        buckets=buckets,
        profiles=tuple(_profile(moment, each) for each in moment.of("aws_iam_instance_profile")),
        stray_policies=policies_of(moment, None),
        stray_buckets=stray_buckets,
        elsewhere=policies_elsewhere(moment),
        held={each.address: _held(moment, each) for each in moment.of("aws_s3_bucket") if each.is_managed},
    )


def _role(moment: Moment, role: PlannedResource) -> DeclaredRole:
    tags, tags_unknown = _tags(moment, role)
    boundary = moment.text(role, "permissions_boundary")
    document: Reading[PolicyDocument] = Absent()
    place: Place | None = None
    if isinstance(boundary, Present):
        document, place = moment.managed(boundary.value)
    elif isinstance(boundary, Unreadable) and (policy := moment.referenced_policy(role, "permissions_boundary")):
        boundary, document, place = Present(policy[0]), policy[1], policy[2]
    role_id = moment.values(role).get("unique_id")
    return DeclaredRole(
        place=moment.place(role),
        name=moment.name(role),
        path=or_root(moment.text(role, "path")),
        trust=moment.document(role, "assume_role_policy"),
        tags=tags,
        tags_unknown=tags_unknown,
        boundary=boundary,
        boundary_document=document,
        boundary_place=place,
        policies=policies_of(moment, role),
        account=_account_of(moment.values(role)),
        role_id=role_id if isinstance(role_id, str) else None,
        retention=Retention(if_replaced=role.is_forgotten),
    )


def _tags(moment: Moment, role: PlannedResource) -> tuple[dict[str, Reading[str]], str | None]:
    """The tags, with those that the provider adds to all resources, and why there may be others."""
    tags: dict[str, Reading[str]] = {}
    why: str | None = None
    for attribute in ("tags", "tags_all"):
        match moment.raw(role, attribute):
            case Present(value=dict() as listed):
                tags |= {key: Present(value) for key, value in listed.items() if isinstance(value, str)}
            case Unreadable(why=because):
                why = because
            case _:
                pass
        for key, is_unknown in object_of(moment.unknown(role, attribute)).items():
            if is_unknown is True:
                tags[key] = Unreadable(role.why_unknown(f"tag {key}"))
    return tags, why


def _profile(moment: Moment, profile: PlannedResource) -> DeclaredProfile:
    place, name, role = moment.place(profile), moment.name(profile), moment.text(profile, "role")
    if isinstance(role, Unreadable):
        source = moment.plan.referenced(profile, "role", "aws_iam_role")
        if source is not None:
            return DeclaredProfile(place, name, moment.name(source), source.address)
    return DeclaredProfile(place, name, role)


# Buckets.


def _buckets(moment: Moment) -> tuple[dict[str, DeclaredBucket], tuple[DeclaredBucket, ...]]:
    """The buckets with a policy, by their names, and those whose names are unknown."""
    blocks = _blocks(moment)
    buckets: dict[str, DeclaredBucket] = {}
    strays: list[DeclaredBucket] = []
    for each in moment.of("aws_s3_bucket_policy"):
        name = _bucket_name(moment, each)
        found = DeclaredBucket(moment.place(each), moment.document(each, "policy"), blocks.get(name or ""))
        if name is None:
            strays.append(found)
        else:
            buckets[name] = found
    given = frozenset() if moment.former is None else _given_policies(moment.former)
    for each in moment.of("aws_s3_bucket"):
        own, policy = moment.text(each, "bucket"), _policy_within(moment, each, given)
        if isinstance(own, Present) and not isinstance(policy, Absent):
            buckets.setdefault(own.value, DeclaredBucket(moment.place(each), policy, blocks.get(own.value)))
    return buckets, tuple(strays)


def _blocks(moment: Moment) -> dict[str, PublicAccessBlock]:
    blocks: dict[str, PublicAccessBlock] = {}
    for each in moment.of("aws_s3_bucket_public_access_block"):
        name, values = _bucket_name(moment, each), moment.values(each)
        if name is not None:
            blocks[name] = PublicAccessBlock(
                values.get("block_public_policy") is True, values.get("restrict_public_buckets") is True
            )
    return blocks


def _held(moment: Moment, bucket: PlannedResource) -> PlannedBucket:
    name = moment.text(bucket, "bucket")
    return PlannedBucket(
        place=moment.place(bucket),
        name=Unreadable(bucket.why_unknown("bucket")) if isinstance(name, Absent) else name,
        retention=Retention(if_replaced=bucket.is_forgotten),
        is_new=bucket.before is None or bucket.is_replaced,
        unsure=None if not moment.is_after or bucket.put_off is None else bucket.why_unknown("bucket"),
    )


def _policy_within(moment: Moment, bucket: PlannedResource, given: frozenset[str]) -> Reading[PolicyDocument]:
    """The policy in the bucket resource itself: one that is set there, else the one that was read.

    ``given`` are the buckets that got theirs from a resource of its own: where that is gone, so is the policy.
    """
    is_there_before = bucket.before is not None and not bucket.is_replaced
    is_hidden = is_there_before and moment.unknown(bucket, "policy") is True
    if moment.former is None or moment.manages(bucket, "policy") or is_hidden:
        return Absent() if moment.raw(bucket, "policy") == Present("") else moment.document(bucket, "policy")
    name = moment.text(bucket, "bucket")
    if not is_there_before or (isinstance(name, Present) and name.value in given):
        return Absent()
    return _policy_within(moment.former, bucket, frozenset())


def _given_policies(moment: Moment) -> frozenset[str]:
    """The names of the buckets to which resources of their own give their policies."""
    names = (_bucket_name(moment, each) for each in moment.of("aws_s3_bucket_policy"))
    return frozenset(name for name in names if name is not None)


def _bucket_name(moment: Moment, resource: PlannedResource) -> str | None:
    name = moment.text(resource, "bucket")
    if not isinstance(name, Present):
        source = moment.plan.referenced(resource, "bucket", "aws_s3_bucket")
        name = name if source is None else moment.text(source, "bucket")
    return name.value if isinstance(name, Present) else None
