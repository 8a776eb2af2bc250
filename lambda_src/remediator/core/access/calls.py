"""The calls that are evaluated, with what is known about their condition keys.

Three kinds: EC2 assumes the role; the role's session on an instance calls S3; S3 calls KMS for that session. Unless
the surroundings say otherwise, the session calls S3 over HTTPS and through a NAT gateway, with the headers that the
SDKs send by themselves, and its objects carry no tags.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""

from __future__ import annotations

from collections.abc import Mapping

from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext, Network
from remediator.core.model.role import Role
from remediator.core.policy.arn import ec2_service_principal, service_by_s3
from remediator.core.policy.comparing import seconds_of
from remediator.core.policy.context import Choice, Context, Gap, Prefixed, Span, Value
from remediator.core.policy.principals import RoleSession

EARLIEST = 1_735_689_600.0
"""2025-01-01. There is no clock here; but no request that is evaluated was made before this code was written …"""
LATEST = 3_313_526_400.0
"""… and 2075-01-01: none will be made half a century after."""
_LONGEST_CREDENTIALS = 86_400.0
"""Seconds that an instance may use the same credentials of its role; EC2 replaces them after some six hours."""

_NOW = frozenset({"aws:currenttime", "aws:epochtime"})
_ANY_TIME: dict[str, Value] = dict.fromkeys((*_NOW, "aws:tokenissuetime"), Span(EARLIEST, LATEST))

_UNNAMED_INSTANCE = "i-0" + "\N{REPLACEMENT CHARACTER}" * 16
"""An instance that no policy has named: clusters come and go, so that a grant to one instance is no grant."""

_NOT_SENT: dict[str, Value] = dict.fromkeys(
    (
        *("aws:assumedroot", "aws:chatbotsourcearn", "aws:federatedprovider", "aws:referer", "aws:username"),
        *("aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "aws:tagkeys"),
        *("aws:multifactorauthage", "aws:multifactorauthpresent"),
        *("aws:sourceaccount", "aws:sourcearn", "aws:sourceidentity", "aws:sourceorgid", "aws:sourceorgpaths"),
        *("aws:sourcevpc", "aws:sourcevpcarn", "aws:sourcevpce", "aws:vpcsourceip"),
        *("aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths"),
    ),
    Gap.ABSENT,
)

_Families = tuple[tuple[str, Value], ...]


def _absent(*starts: str) -> _Families:
    """No request carries a key that begins so."""
    return tuple((start, Gap.ABSENT) for start in starts)


# Keys that belong to other services, or to other ways of signing in, are in no request evaluated here.
_FOREIGN: _Families = _absent(
    *("aws:requesttag/", "aws::", "saml:", "cognito-identity.amazonaws.com:", "accounts.google.com:"),
    *("graph.facebook.com:", "www.amazon.com:", "token.actions.githubusercontent.com:", "oidc.eks."),
    *("autoscaling:", "cloudformation:", "dynamodb:", "ec2:", "ecr:", "ecs:", "elasticloadbalancing:", "glue:"),
    *("iam:", "kms:", "lambda:", "organizations:", "rds:", "s3:", "secretsmanager:", "sns:", "sqs:", "ssm:", "sts:"),
)

_SESSION: dict[str, Value] = _NOT_SENT | {
    "aws:principalisawsservice": ("false",),
    "aws:principalservicename": Gap.ABSENT,
    "aws:principalservicenameslist": Gap.ABSENT,
    "aws:principaltype": ("AssumedRole",),
    "aws:useragent": Gap.PRESENT,
    "aws:viaawsservice": ("false",),
    "ec2:roledelivery": Gap.PRESENT,
    "ec2:sourceinstancearn": Gap.PRESENT,
    "aws:ec2instancesourcevpc": Gap.PRESENT,
    "aws:ec2instancesourceprivateipv4": Gap.PRESENT,
}

_TO_S3: dict[str, Value] = _SESSION | {
    "aws:securetransport": ("true",),
    "aws:sourceip": Gap.PUBLIC_ADDRESS,
    "s3:authtype": ("REST-HEADER",),
    "s3:signatureversion": ("AWS4-HMAC-SHA256",),
    "s3:tlsversion": Choice((("1.2",), ("1.3",))),
    "s3:signatureage": Gap.UNKNOWN,
    "s3:x-amz-content-sha256": Gap.UNKNOWN,
}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies-vpc-endpoint.html
_TO_S3_BY_ENDPOINT: dict[str, Value] = _TO_S3 | {
    "aws:sourceip": Gap.ABSENT,
    "aws:sourcevpc": Gap.PRESENT,
    "aws:sourcevpcarn": Gap.PRESENT,
    "aws:sourcevpce": Gap.PRESENT,
    "aws:vpceaccount": Gap.UNKNOWN,
    "aws:vpceorgid": Gap.UNKNOWN,
    "aws:vpceorgpaths": Gap.UNKNOWN,
    "aws:vpcsourceip": Gap.PRESENT,
}
_TO_S3_BY_EITHER: dict[str, Value] = (
    _TO_S3_BY_ENDPOINT
    | dict.fromkeys(("aws:sourcevpc", "aws:sourcevpcarn", "aws:sourcevpce", "aws:vpcsourceip"), Gap.UNKNOWN)
    | {"aws:sourceip": Choice((Gap.PUBLIC_ADDRESS, Gap.ABSENT))}
)
LISTING_KEYS = frozenset({"s3:prefix", "s3:delimiter", "s3:max-keys"})
_LISTING: dict[str, Value] = dict.fromkeys(LISTING_KEYS, Gap.VARYING)
"""One role lists under many prefixes, and without one."""

_S3_FAMILIES: _Families = (
    *_absent("s3:x-amz-", "s3:existingobjecttag/", "s3:requestobjecttag", "s3:object-lock-", "s3:dataaccesspoint"),
    *_absent("s3:accesspoint", "s3:accessgrants", "s3:versionid", "s3:locationconstraint"),
    *_absent("s3:prefix", "s3:delimiter", "s3:max-keys"),
    ("s3:", Gap.UNKNOWN),
    *_absent("aws:principaltag/"),
    *_FOREIGN,
)

# https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
_TO_KMS: dict[str, Value] = _SESSION | {
    "aws:securetransport": ("true",),
    "aws:viaawsservice": ("true",),
    "aws:calledvia": Gap.UNKNOWN,
    "aws:calledviafirst": Gap.UNKNOWN,
    "aws:calledvialast": Gap.UNKNOWN,
    "aws:sourceip": Gap.UNKNOWN,
    "aws:sourcevpc": Gap.UNKNOWN,
    "aws:sourcevpce": Gap.UNKNOWN,
    "aws:vpcsourceip": Gap.UNKNOWN,
    "kms:encryptioncontextkeys": ("aws:s3:arn",),
    "kms:encryptionalgorithm": ("SYMMETRIC_DEFAULT",),
}
_KMS_FAMILIES: _Families = (
    *_absent("kms:encryptioncontext:", "kms:grant", "kms:recipientattestation:"),
    ("kms:", Gap.UNKNOWN),
    *_absent("aws:principaltag/"),
    *_FOREIGN,
)

# EC2 calls as itself: it has no account, no organization, no address of the customer's and no MFA. Whether it would
# send aws:SourceAccount and aws:SourceArn is not documented, and reported not to be so.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html
_TO_STS: dict[str, Value] = _NOT_SENT | {
    "aws:principalaccount": Gap.ABSENT,
    "aws:principalarn": Gap.ABSENT,
    "aws:principalisawsservice": ("true",),
    "aws:principalorgid": Gap.ABSENT,
    "aws:principalorgpaths": Gap.ABSENT,
    "aws:principalservicenameslist": Gap.PRESENT,
    "aws:requestedregion": Gap.PRESENT,
    "aws:securetransport": ("true",),
    "aws:sourceip": Gap.ABSENT,
    "aws:tokenissuetime": Gap.ABSENT,
    "aws:useragent": Gap.PRESENT,
    "aws:viaawsservice": ("false",),
    "sts:rolesessionname": (_UNNAMED_INSTANCE,),
}
_STS_FAMILIES: _Families = (*_absent("aws:resourcetag/", "iam:resourcetag/", "aws:principaltag/"), *_FOREIGN)


def ec2_assumes(role: Role, evaluation_context: EvaluationContext) -> Context:
    """What is known when EC2 calls ``sts:AssumeRole`` to give an instance the credentials of its role.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/iam-roles-for-amazon-ec2.html
    """
    values: dict[str, Value] = {
        "aws:principalservicename": (ec2_service_principal(role.arn.partition),),
        "aws:resourceaccount": (role.arn.account,),
        "aws:resourceorgid": _organization(evaluation_context),
    }
    for key, tag in role.tags.items():
        values[f"aws:resourcetag/{key.lower()}"] = values[f"iam:resourcetag/{key.lower()}"] = (tag,)
    times = {
        key: value for key, value in _times(evaluation_context).items() if key in _NOW
    }  # EC2 has no token of the remediator
    return Context((_given(evaluation_context), values, times, _TO_STS), _STS_FAMILIES)


def session_of(role: Role, evaluation_context: EvaluationContext, *, is_bounded: bool) -> RoleSession:
    """The names that a policy can give to the role's session on an instance.

    Its name is the id of the instance. Only where the surroundings give ``ec2:SourceInstanceARN`` or ``aws:userid``
    is it known; else it is an instance that no policy has named.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#principaltable
    """
    arn = role.arn
    session = f"arn:{arn.partition}:sts::{arn.account}:assumed-role/{arn.name}/{_instance(evaluation_context)}"
    return RoleSession(
        accounts=frozenset({arn.account, f"arn:{arn.partition}:iam::{arn.account}:root"}),
        roles=frozenset({str(arn), role.role_id}),
        session=session,
        is_bounded=is_bounded,
    )


def s3_contexts(role: Role, bucket: Bucket, evaluation_context: EvaluationContext) -> tuple[Context, Context]:
    """What is known when the role's session calls S3: for ``s3:ListBucket``, and for the other actions."""
    given = _given(evaluation_context)
    values = _role_values(role, evaluation_context)
    values["aws:requestedregion"] = (bucket.region,)
    values["aws:resourceaccount"] = values["s3:resourceaccount"] = (bucket.account,)
    values["aws:resourceorgid"] = (
        _organization(evaluation_context) if bucket.account == role.arn.account else Gap.UNKNOWN
    )
    network = _TO_S3
    if "aws:sourceip" not in given:
        if not given.keys().isdisjoint(("aws:sourcevpce", "aws:sourcevpc")):
            network = _TO_S3_BY_ENDPOINT
        elif evaluation_context.network is Network.UNKNOWN:
            network = _TO_S3_BY_EITHER
    times = _times(evaluation_context)
    return (
        Context((given, values, times, _LISTING, network), _S3_FAMILIES),
        Context((given, values, times, network), _S3_FAMILIES),
    )


def kms_context(role: Role, bucket: Bucket, account: str, evaluation_context: EvaluationContext) -> Context:
    """What is known when S3 calls KMS, in the name of the session that reads or writes an object.

    ``account`` is the one that owns the key.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
    """
    bucket_arn = f"arn:{role.arn.partition}:s3:::{bucket.name}"
    values = _role_values(role, evaluation_context)
    values["aws:requestedregion"] = (bucket.region,)
    values["aws:resourceaccount"] = (account,)
    values["aws:resourceorgid"] = _organization(evaluation_context) if account == role.arn.account else Gap.UNKNOWN
    values["kms:calleraccount"] = (role.arn.account,)
    values["kms:viaservice"] = (service_by_s3(bucket.region, role.arn.partition),)
    # The bucket's ARN where the bucket uses a bucket key, else the object's.
    values["kms:encryptioncontext:aws:s3:arn"] = Choice(((bucket_arn,), Prefixed(f"{bucket_arn}/")))
    return Context((_given(evaluation_context), values, _times(evaluation_context), _TO_KMS), _KMS_FAMILIES)


_UNTAGGED: _Families = _absent("aws:resourcetag/", "iam:resourcetag/", "aws:principaltag/")

# The way that a call takes: straight to AWS or through a service such as CloudFormation, and from which network.
_CHOSEN_BY_THE_CALLER: dict[str, Value] = dict.fromkeys(
    (
        *("aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "aws:tagkeys", "aws:viaawsservice"),
        *("aws:sourcevpc", "aws:sourcevpcarn", "aws:sourcevpce", "aws:vpcsourceip"),
        *("aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths"),
    ),
    Gap.UNKNOWN,
)


def session_context(
    role: Role,
    evaluation_context: EvaluationContext,
    more: Mapping[str, Value] = {},  # it is only read
) -> Context:
    """What is known when the role's session makes any other call, on something that carries no tags.

    ``more`` are further keys, in lower case. What the caller itself chooses is UNKNOWN, as every key not named here.
    """
    values = _CHOSEN_BY_THE_CALLER | _role_values(role, evaluation_context) | dict(more)
    values["aws:resourceaccount"] = (role.arn.account,)
    values["aws:resourceorgid"] = _organization(evaluation_context)
    values["aws:requestedregion"] = Gap.PRESENT
    values["aws:sourceip"] = Gap.PUBLIC_ADDRESS
    values["aws:securetransport"] = ("true",)
    return Context((_given(evaluation_context), values, _times(evaluation_context), _SESSION), _UNTAGGED)


def _role_values(role: Role, evaluation_context: EvaluationContext) -> dict[str, Value]:
    organization = evaluation_context.organization
    values: dict[str, Value] = {
        "aws:principalaccount": (role.arn.account,),
        "aws:principalarn": (str(role.arn),),
        "aws:principalorgid": _organization(evaluation_context),
        "aws:principalorgpaths": Prefixed(f"{organization}/") if organization else Gap.UNKNOWN,
        "aws:userid": (f"{role.role_id}:{_instance(evaluation_context)}",),
    }
    for key, tag in role.tags.items():
        values[f"aws:principaltag/{key.lower()}"] = (tag,)
    return values


def _organization(evaluation_context: EvaluationContext) -> Value:
    return (evaluation_context.organization,) if evaluation_context.organization else Gap.UNKNOWN


def _times(evaluation_context: EvaluationContext) -> dict[str, Value]:
    for key, given in evaluation_context.context.items():
        if key.lower() in _NOW and len(given) == 1 and (now := seconds_of(given[0])) is not None:
            span, issued = Span(now, now), Span(now - _LONGEST_CREDENTIALS, now)
            return {"aws:currenttime": span, "aws:epochtime": span, "aws:tokenissuetime": issued}
    return _ANY_TIME


def _instance(evaluation_context: EvaluationContext) -> str:
    for key, given in evaluation_context.context.items():
        if key.lower() == "ec2:sourceinstancearn" and given:
            return given[0].rpartition("/")[2]
        if key.lower() == "aws:userid" and given:
            return given[0].rpartition(":")[2]
    return _UNNAMED_INSTANCE


def _given(evaluation_context: EvaluationContext) -> dict[str, Value]:
    context: Mapping[str, tuple[str, ...]] = evaluation_context.context
    if not context:
        return {}
    return {key.lower(): value for key, value in context.items() if key.lower() not in _NOW}
