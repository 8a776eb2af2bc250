"""Generated policy documents, made of pieces that often meet each other, and of pieces that break them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from remediator.core.model.own_names import BUCKET_POLICY_SID, BUCKET_SID, KEYS_SID, OBJECTS_SID, TRUST_SID
from tests.unit.policy.documents import ACCOUNT, BUCKET_ARN, OTHER_ACCOUNT, ROLE_ARN, ROLE_ID

Json = Any
Statement = dict[str, Any]

S3_ACTIONS = (
    "*",
    "s3:*",
    "s3:Get*",
    "s3:*Object",
    "s3:GetObject",
    "s3:PutObject",
    "s3:List*",
    "s3:ListBucket",
    "ec2:*",
)
RESOURCES = (
    "*",
    BUCKET_ARN,
    f"{BUCKET_ARN}/*",
    f"{BUCKET_ARN}*",
    f"{BUCKET_ARN}/?*",
    "arn:aws:s3:::other",
    "arn:aws:s3:::other/*",
    "arn:aws:s3:::data-*",
)
PARTS = (f"{BUCKET_ARN}/a*", f"{BUCKET_ARN}/a/b", f"{BUCKET_ARN}/${{aws:PrincipalTag/team}}/*", f"{BUCKET_ARN}/")
"""Resources that are some of the objects of the bucket."""
AWS_PRINCIPALS = (
    "*",
    ROLE_ARN,
    ROLE_ID,
    ACCOUNT,
    f"arn:aws:iam::{ACCOUNT}:root",
    OTHER_ACCOUNT,
    f"arn:aws:iam::{ACCOUNT}:role/Admin",
    "AROAOLDOLDOLDOLDOLD01",
)
SERVICES = ("ec2.amazonaws.com", "lambda.amazonaws.com", "spotfleet.amazonaws.com", "ec2.amazonaws.com.cn")
TRUST_ACTIONS = ("*", "sts:*", "sts:AssumeRole", "sts:TagSession", "sts:Assume*", "sts:AssumeRoleWithWebIdentity")
CONDITIONS = (
    ("StringEquals", "aws:PrincipalAccount", (ACCOUNT, OTHER_ACCOUNT)),
    ("StringNotEquals", "aws:PrincipalAccount", (ACCOUNT, OTHER_ACCOUNT)),
    ("StringLike", "aws:PrincipalArn", (ROLE_ARN, "arn:aws:iam::*:role/*", "arn:*:user/*")),
    ("StringNotLike", "aws:PrincipalTag/team", ("ray", "r*", "none")),
    ("StringEqualsIfExists", "aws:SourceVpce", ("vpce-1",)),
    ("StringNotEquals", "aws:SourceVpce", ("vpce-1",)),
    ("Bool", "aws:SecureTransport", ("true", "false")),
    ("Null", "aws:SourceVpce", ("true", "false")),
    ("Null", "aws:PrincipalArn", ("true", "false")),
    ("StringEquals", "s3:x-amz-acl", ("private",)),
)
UNDECIDABLE = (
    ("StringEquals", "aws:Moon", ("full",)),
    ("StringMatches", "aws:PrincipalArn", ("x",)),
    ("IpAddress", "aws:SourceIp", ("203.0.113.0/24",)),
)

OUR_SIDS = (TRUST_SID, BUCKET_SID, OBJECTS_SID, KEYS_SID, BUCKET_POLICY_SID)
sids = st.sampled_from(["", "A", "B", "C", *OUR_SIDS])


def one_or_many(choices: tuple[str, ...]) -> st.SearchStrategy[Json]:
    return st.sampled_from(choices) | st.lists(st.sampled_from(choices), max_size=3, unique=True)


@st.composite
def conditions(draw: st.DrawFn, *, decidable: bool = False) -> Json:
    pool = CONDITIONS if decidable else CONDITIONS + UNDECIDABLE
    held: dict[str, dict[str, Json]] = {}
    for operator, key, values in draw(st.lists(st.sampled_from(pool), max_size=2)):
        held.setdefault(operator, {})[key] = draw(one_or_many(values))
    return held


@st.composite
def statements(draw: st.DrawFn, *, kind: str, decidable: bool = False, parts: bool = True) -> Statement:
    """A statement of a ``trust``, an ``identity`` or a ``bucket`` policy."""
    negations = st.sampled_from([False, False, False, False, True])
    statement: Statement = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"]))}
    if sid := draw(sids):
        statement["Sid"] = sid
    if kind != "identity":
        named: Json = draw(
            st.just("*")
            | st.fixed_dictionaries(
                {},
                optional={"AWS": one_or_many(AWS_PRINCIPALS), "Service": one_or_many(SERVICES)},
            ).filter(bool)
        )
        statement["NotPrincipal" if draw(negations) else "Principal"] = named
    actions = TRUST_ACTIONS if kind == "trust" else S3_ACTIONS
    statement["NotAction" if draw(negations) else "Action"] = draw(one_or_many(actions))
    if kind != "trust":
        statement["NotResource" if draw(negations) else "Resource"] = draw(
            one_or_many(RESOURCES + PARTS if parts else RESOURCES)
        )
    if draw(st.booleans()):
        statement["Condition"] = draw(conditions(decidable=decidable))
    return statement


@st.composite
def documents(draw: st.DrawFn, *, kind: str, decidable: bool = False, parts: bool = True) -> dict[str, Json]:
    """A document as AWS could store it: Sids are unique, and a single statement may be an object."""
    listed: list[Statement] = []
    seen: set[str] = set()
    for statement in draw(st.lists(statements(kind=kind, decidable=decidable, parts=parts), max_size=3)):
        if statement.get("Sid") in seen:
            del statement["Sid"]
        seen.add(statement.get("Sid", ""))
        listed.append(statement)
    written: Json = listed[0] if len(listed) == 1 and draw(st.booleans()) else listed
    document: dict[str, Json] = {"Statement": written}
    version = draw(st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17", None]))
    if version:
        document = {"Version": version, **document} if draw(st.booleans()) else {**document, "Version": version}
    if draw(st.sampled_from([False, False, True])):
        document["Id"] = "policy"
    return document


texts = st.text(max_size=6) | st.sampled_from(
    ["Allow", "Deny", "*", "${", "${*}", "\ud800", "", "arn:aws:s3:::x", "NaN"]
)
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -(2**64), 1e308, float("nan"), float("inf")])
json_values: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            texts | st.sampled_from(["Statement", "Effect", "Action", "Principal", "AWS"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn, *, kind: str) -> Json:
    """A document in which one node was replaced by any JSON value at all."""
    document = draw(documents(kind=kind))
    path: list[tuple[Json, Json]] = []
    node: Json = document
    while isinstance(node, (dict, list)) and node and (not path or draw(st.sampled_from([True, True, True, False]))):
        place = draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        path.append((node, place))
        node = node[place]
    if path:
        holder, place = path[-1]
        holder[place] = draw(json_values)
    return document
