"""The verdicts on the bucket and its key: what cannot be read, what is unknown, and the reasons."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from remediator.core.access.decision import GrantEvaluation, GrantVerdict
from remediator.core.access.grants import evaluate_grants, evaluate_key
from remediator.core.model.bucket import PublicAccessBlock
from remediator.core.model.evaluation_context import EvaluationContext, Network
from remediator.core.model.role import InlinePolicy, ManagedPolicy, RolePolicies
from remediator.core.policy.evaluate import Source, allowed_at_all
from remediator.core.policy.explain import conditions_in_words
from remediator.core.policy.reading import Absent, Present, Unreadable
from tests.unit.policy.documents import (
    BOTH,
    BUCKET_ARN,
    KEY_ARN,
    OTHER_ACCOUNT,
    ROLE_ARN,
    allow,
    bucket,
    deny,
    document,
    policies,
    role,
    trust,
)

DENIED = Unreadable("access denied")
EC2_ONLY = document(allow(Action="ec2:*", Resource="*"))


def verdicts(*args: object, **kwargs: object) -> dict[str, str]:
    return {each.action: str(each.verdict) for each in evaluate_grants(*args, **kwargs)}  # type: ignore[arg-type]  # as given


def only(*args: object, **kwargs: object) -> str:
    found = set(verdicts(*args, **kwargs).values())
    assert len(found) == 1, found
    return found.pop()


def named(action: str, assessments: tuple[GrantEvaluation, ...]) -> GrantEvaluation:
    return next(each for each in assessments if each.action == action)


def test_the_eight_actions_come_in_a_fixed_order() -> None:
    orders = {tuple(verdicts(role(trust()), held, bucket())) for held in (policies(), policies(document(allow())))}
    assert orders == {
        (
            "s3:GetObject",
            "s3:PutObject",
            "s3:DeleteObject",
            "s3:AbortMultipartUpload",
            "s3:ListMultipartUploadParts",
            "s3:ListBucket",
            "s3:ListBucketMultipartUploads",
            "s3:GetBucketLocation",
        )
    }


@pytest.mark.parametrize(
    "held",
    [
        RolePolicies(DENIED, Present(())),
        RolePolicies(Present(()), DENIED),
        RolePolicies(Present((InlinePolicy("p", DENIED),)), Present(())),
        RolePolicies(Present(()), Present((ManagedPolicy("arn:aws:iam::aws:policy/X", DENIED),))),
    ],
)
def test_an_identity_policy_that_could_not_be_read_leaves_the_verdict_open(held: RolePolicies) -> None:
    assert only(role(), held, bucket()) == "undecided"
    assert only(role(), held, bucket(document(allow(Principal={"AWS": ROLE_ARN})))) == "undecided"
    assert only(role(), held, bucket(document(deny(Principal="*")))) == "blocked"
    reason = evaluate_grants(role(), held, bucket())[0].because[0]
    assert str(reason).endswith("could not be read: access denied")


def test_a_bucket_policy_that_could_not_be_read_leaves_the_verdict_open() -> None:
    unread = dataclasses.replace(bucket(), policy=DENIED)
    assert only(role(), policies(document(allow())), unread) == "undecided"
    assert only(role(), policies(), unread) == "undecided"
    assert only(role(), policies(document(deny())), unread) == "blocked"


def test_a_boundary_that_could_not_be_read_leaves_the_verdict_open() -> None:
    held = policies(document(allow()))
    assert only(role(), dataclasses.replace(held, boundary=DENIED), bucket()) == "undecided"
    assert only(role(boundary="arn:aws:iam::111111111111:policy/Limit"), held, bucket()) == "undecided"
    unread = Present(ManagedPolicy("arn:aws:iam::111111111111:policy/Limit", DENIED))
    assert only(role(), dataclasses.replace(held, boundary=unread), bucket()) == "undecided"


def test_absent_lists_of_policies_are_empty_lists() -> None:
    assert only(role(), RolePolicies(Absent(), Absent()), bucket()) == "missing"


def test_a_boundary_blocks_even_where_other_things_cannot_be_read() -> None:
    held = dataclasses.replace(policies(boundary=EC2_ONLY), inline=DENIED)
    assert only(role(), held, bucket()) == "blocked"


def test_a_boundary_that_may_allow_leaves_a_missing_grant_open() -> None:
    moon = document(allow(Condition={"StringEquals": {"aws:Moon": "full"}}))
    assert only(role(), policies(boundary=moon), bucket()) == "undecided"


def test_requests_to_list_come_with_every_prefix() -> None:
    def judged(**elements: object) -> dict[str, str]:
        secret = {"StringLike": {"s3:prefix": "secret/*"}}
        return verdicts(role(), policies(document(allow(), deny(Condition=secret, **elements))), bucket())

    assert {action for action, verdict in judged().items() if verdict == "blocked"} == {"s3:ListBucket"}
    assert set(judged(Action="s3:Put*").values()) == {"allowed"}


def test_requests_to_list_come_with_every_prefix_though_other_keys_are_tested_as_well() -> None:
    both = {"StringLike": {"s3:prefix": "secret/*"}, "Bool": {"aws:SecureTransport": "true"}}
    judged = verdicts(role(), policies(document(allow(), deny(Condition=both))), bucket())
    assert {action for action, verdict in judged.items() if verdict == "blocked"} == {"s3:ListBucket"}


def test_public_access_block_that_was_not_looked_at_matters_only_across_accounts() -> None:
    public = document(allow(Principal="*"))
    held = policies(document(allow()))
    assert only(role(), held, bucket(public, block=None)) == "allowed"
    assert only(role(), held, bucket(public, block=None, account=OTHER_ACCOUNT)) == "undecided"
    assert only(role(), held, bucket(public, account=OTHER_ACCOUNT)) == "allowed"
    restricted = PublicAccessBlock(restrict_public_buckets=True)
    assert only(role(), held, bucket(public, block=restricted, account=OTHER_ACCOUNT)) == "blocked"


def test_public_access_block_that_was_not_looked_at_is_the_reason_of_an_open_verdict() -> None:
    open_to_all = bucket(document(allow(Principal="*")), block=None, account=OTHER_ACCOUNT)
    for judged in evaluate_grants(role(), policies(document(allow())), open_to_all):
        (reason,) = judged.because
        assert str(reason).startswith("Block Public Access was not checked; it may be that it keeps other accounts")


@pytest.mark.parametrize(
    ("issued_before", "verdict"),
    [
        ("2021-03-04T10:00:00Z", "allowed"),
        ("2026-03-04T09:30:00Z", "undecided"),
        ("2027-03-04T10:00:00Z", "blocked"),
    ],
)
def test_credentials_in_use_were_issued_lately_where_the_time_is_known(issued_before: str, verdict: str) -> None:
    old_sessions = deny(Principal="*", Condition={"DateLessThan": {"aws:TokenIssueTime": issued_before}})
    now = EvaluationContext(context={"aws:CurrentTime": ("2026-03-04T10:00:00Z",)})
    assert only(role(), policies(document(allow())), bucket(document(old_sessions)), now) == verdict


def test_public_access_block_that_was_not_looked_at_is_no_reason_where_something_else_blocks() -> None:
    held = policies(document(allow()), boundary=EC2_ONLY)
    open_to_all = bucket(document(allow(Principal="*")), block=None, account=OTHER_ACCOUNT)
    judged = evaluate_grants(role(), held, open_to_all)
    assert {each.verdict for each in judged} == {GrantVerdict.BLOCKED}
    assert not any("Block Public Access" in str(each) for each in judged)


def test_a_canonical_user_may_be_our_account() -> None:
    canonical = {"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}
    held = policies(document(allow()))
    named_by_it = document(allow(Principal=canonical))
    assert only(role(), held, bucket(named_by_it, account=OTHER_ACCOUNT)) == "undecided"
    assert only(role(), policies(), bucket(named_by_it)) == "missing"
    assert only(role(), held, bucket(document(deny(Principal=canonical)))) == "undecided"


def test_a_statement_that_cannot_be_understood_grants_nothing_and_may_deny() -> None:
    assert only(role(), policies(document(allow(Action=7))), bucket()) == "missing"
    assert only(role(), policies(document({"Effect": "Allow", "Action": "s3:*"})), bucket()) == "missing"
    assert only(role(), policies(document(allow(), deny(Action=7))), bucket()) == "undecided"
    assert only(role(), policies(document(allow(), deny(Resource=7))), bucket()) == "undecided"
    assert only(role(), policies(document(allow())), bucket(document(deny()))) == "undecided"
    assert only(role(), policies(document(allow(), deny(Effect="deny"))), bucket()) == "allowed"


def test_unknown_variables_are_undecided() -> None:
    moon = [f"{BUCKET_ARN}${{aws:Moon, 'x'}}", f"{BUCKET_ARN}/*"]
    assert verdicts(role(), policies(document(allow(Resource=moon))), bucket())["s3:ListBucket"] == "undecided"
    untagged = document(allow(), {"Effect": "Deny", "Action": "s3:*", "NotResource": "${aws:PrincipalTag/x}"})
    assert only(role(), policies(untagged), bucket()) == "undecided"


def test_reasons_name_document_statement_and_condition() -> None:
    unencrypted = deny(
        Sid="DenyUnencrypted",
        Principal="*",
        Action="s3:PutObject",
        Condition={"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}},
    )
    judged = evaluate_grants(role(), policies(document(allow())), bucket(document(unencrypted)))
    assert str(named("s3:PutObject", judged)) == (
        "blocked: statement `DenyUnencrypted` of the bucket policy denies s3:PutObject on every object of data-bucket "
        "unless s3:x-amz-server-side-encryption is `aws:kms`"
    )
    assert str(named("s3:ListBucket", judged)).startswith("allowed: statement 1 of inline policy `p1` allows s3:ListBu")


def test_a_reason_for_several_actions_names_them_all() -> None:
    shut = deny(Principal="*", Action=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"])
    judged = evaluate_grants(role(), policies(document(allow())), bucket(document(shut)))
    listed = "denies s3:GetObject, s3:PutObject and s3:DeleteObject on every object of data-bucket"
    assert str(named("s3:GetObject", judged).because[0]).endswith(listed)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"Null": {"aws:TokenIssueTime": "true"}}, "when aws:TokenIssueTime is absent"),
        ({"Null": {"aws:TokenIssueTime": "false"}}, "when aws:TokenIssueTime is present"),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::b"}}, "when aws:SourceArn is `arn:aws:s3:::b`"),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}, "when any aws:TagKeys is `a`"),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}, "when every aws:TagKeys is `a` or `b`"),
        ({"StringNotEqualsIfExists": {"aws:SourceVpc": "v-1"}}, "unless aws:SourceVpc is `v-1` (if it is present)"),
    ],
)
def test_a_condition_is_put_into_words(condition: dict[str, Any], words: str) -> None:
    (statement,) = document(allow(Condition=condition)).statements
    assert conditions_in_words(statement) == f" {words}"


@pytest.mark.parametrize(
    ("operator", "words"),
    [
        ("StringEqualsIgnoreCase", "is, in any case,"),
        ("StringLike", "is like"),
        ("ArnLike", "is like"),
        ("Bool", "is"),
        ("BinaryEquals", "is"),
        ("IpAddress", "is in"),
        ("NumericEquals", "is"),
        ("NumericLessThan", "is below"),
        ("NumericLessThanEquals", "is at most"),
        ("NumericGreaterThan", "is above"),
        ("NumericGreaterThanEquals", "is at least"),
        ("DateEquals", "is"),
        ("DateLessThan", "is before"),
        ("DateLessThanEquals", "is not after"),
        ("DateGreaterThan", "is after"),
        ("DateGreaterThanEquals", "is not before"),
    ],
)
def test_every_operator_has_its_words(operator: str, words: str) -> None:
    (statement,) = document(allow(Condition={operator: {"aws:Moon": "7"}})).statements
    assert conditions_in_words(statement) == f" when aws:Moon {words} `7`"


def test_a_condition_without_values_is_put_into_words() -> None:
    (statement,) = document(allow(Condition={"StringEquals": {"aws:username": []}})).statements
    assert conditions_in_words(statement) == " when aws:username is nothing"


def test_only_what_an_allow_is_about_is_allowed_at_all() -> None:
    held = document(allow(Action="s3:Get*"), deny(Action="s3:Put*"), {"Effect": "Allow", "Resource": "*"})
    asked = ("s3:GetObject", "s3:PutObject", "iam:PassRole")
    assert allowed_at_all((Source("policy", held),), asked) == {"s3:GetObject"}


def test_variables_of_an_old_document_are_plain_text() -> None:
    resources = ["arn:aws:s3:::${aws:username, 'data-bucket'}", "arn:aws:s3:::${aws:username, 'data-bucket'}/*"]
    text = allow(Resource=resources)
    assert only(role(), policies(document(text)), bucket()) == "allowed"
    assert only(role(), policies(document(text, version="2008-10-17")), bucket()) == "missing"


def test_a_reason_names_a_managed_policy_without_its_path() -> None:
    shared = ManagedPolicy("arn:aws:iam::aws:policy/job-function/Shared", Present(document(allow(Sid="All"))))
    held = RolePolicies(Present(()), Present((shared,)))
    judged = named("s3:GetObject", evaluate_grants(role(), held, bucket()))
    assert "statement `All` of managed policy `Shared` allows" in str(judged)


def test_the_reason_for_a_missing_grant_shows_the_near_misses() -> None:
    held = policies(
        document(
            allow(Sid="Team", Action="s3:GetObject", Resource=f"{BUCKET_ARN}/team/*"),
            allow(Sid="Other", Action="s3:GetObject", Resource="arn:aws:s3:::other/*"),
            allow(Sid="Vpc", Action="s3:GetObject", Condition={"StringEquals": {"aws:SourceVpc": "v-1"}}),
        )
    )
    because = named("s3:GetObject", evaluate_grants(role(), held, bucket())).because
    where = "of inline policy `p1`"
    assert [str(each) for each in because] == [
        "no policy allows s3:GetObject on every object of data-bucket",
        f"statement `Team` {where} allows a part of it only",
        f"statement `Other` {where} allows it on other resources only",
        f"statement `Vpc` {where} allows it only when aws:SourceVpc is `v-1`, which these requests do not meet",
    ]


def test_the_reason_of_a_boundary_and_of_an_scp_names_it() -> None:
    blocked = evaluate_grants(role(), policies(document(allow()), boundary=EC2_ONLY), bucket())[5]
    assert str(blocked.because[0]).startswith("the permissions boundary `Limit` does not allow s3:ListBucket")
    levels = ((document(allow(Action="*", Resource="*")),), (EC2_ONLY,))
    controlled = EvaluationContext(service_control_policies=levels)
    blocked = evaluate_grants(role(), policies(document(allow())), bucket(), controlled)[0]
    assert str(blocked.because[0]).startswith("level 2 of the service control policies does not allow s3:GetObject")


def test_a_level_without_scps_allows_nothing() -> None:
    assert (
        only(role(), policies(document(allow())), bucket(), EvaluationContext(service_control_policies=((),)))
        == "blocked"
    )
    assert (
        only(role(), policies(document(allow())), bucket(), EvaluationContext(service_control_policies=())) == "allowed"
    )


def test_both_sides_are_needed_across_accounts() -> None:
    ours, theirs = policies(document(allow())), document(allow(Principal={"AWS": ROLE_ARN}))
    fixes = [
        {each.fix_by for each in evaluate_grants(role(), held, bucket(policy, account=OTHER_ACCOUNT))}
        for held, policy in ((ours, None), (policies(), theirs), (policies(), None), (ours, theirs))
    ]
    assert fixes == [{("bucket_policy",)}, {("identity",)}, {("identity+bucket_policy",)}, {()}]


def test_a_bucket_without_a_customer_managed_key_has_no_verdict_on_one() -> None:
    assert evaluate_key(role(), policies(), bucket()) == ()


def test_a_key_policy_that_could_not_be_read_is_undecided() -> None:
    held = bucket(key_policy=document())
    assert held.key is not None
    unread = dataclasses.replace(held, key=dataclasses.replace(held.key, policy=DENIED))
    assert {each.verdict for each in evaluate_key(role(), policies(), unread)} == {GrantVerdict.UNDECIDED}


def test_the_key_policy_has_the_first_word() -> None:
    silent = evaluate_key(
        role(), policies(document(allow(Action="kms:*", Resource="*"))), bucket(key_policy=document())
    )
    assert str(silent[0]) == (
        "blocked: the key policy does not let the role's own policies decide on kms:Decrypt and kms:GenerateDataKey "
        "on the key of data-bucket"
    )
    root = document({**allow(Action="kms:*", Resource="*"), "Principal": {"AWS": "111111111111"}})
    missing = evaluate_key(role(), policies(), bucket(key_policy=root))
    assert {(each.action, each.verdict, each.fix_by) for each in missing} == {
        ("kms:Decrypt", GrantVerdict.MISSING, ("identity",)),
        ("kms:GenerateDataKey", GrantVerdict.MISSING, ("identity",)),
    }


@pytest.mark.parametrize(
    "arn", ["alias/x", "key/x", "", KEY_ARN.replace(":key/", ":alias/"), "1234abcd-12ab-34cd-56ef"]
)
def test_a_key_that_is_not_named_by_its_arn_is_undecided(arn: str) -> None:
    judged = evaluate_key(role(), policies(), bucket(key_policy=document(), key_arn=arn))
    assert {each.verdict for each in judged} == {GrantVerdict.UNDECIDED}


def test_a_statement_may_write_what_it_means_in_many_ways() -> None:
    spelled = [
        document({"Effect": "Allow", "Action": "s3:*", "Resource": [BUCKET_ARN, f"{BUCKET_ARN}/*"]}),
        document({"Effect": "Allow", "Action": ["S3:*"], "Resource": BOTH[::-1]}),
        document({"Resource": "arn:aws:s3:::data-bucket*", "Action": "*", "Effect": "Allow"}),
        document({"Effect": "Allow", "NotAction": "ec2:*", "NotResource": "arn:aws:s3:::other"}),
    ]
    assert {only(role(), policies(each), bucket()) for each in spelled} == {"allowed"}


@pytest.mark.parametrize(
    ("condition", "over_nat", "by_any_way"),
    [
        ({"StringEquals": {"aws:SourceVpce": "vpce-1"}}, False, None),
        ({"StringNotEquals": {"aws:SourceVpce": "vpce-1"}}, True, None),
        ({"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}}, True, None),
        ({"Null": {"aws:SourceVpce": "true"}}, True, None),
        ({"Null": {"aws:SourceVpce": "false"}}, False, None),
        ({"StringLike": {"aws:SourceVpce": "*"}}, False, None),
        ({"StringLikeIfExists": {"aws:SourceVpce": "*"}}, True, True),
        ({"IpAddress": {"aws:VpcSourceIp": "10.0.0.0/8"}}, False, None),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True, None),
        ({"NotIpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, False, None),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, True, True),
        ({"NotIpAddressIfExists": {"aws:SourceIp": "10.0.0.0/8"}}, True, True),
        ({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, None, None),
        ({"Bool": {"aws:SecureTransport": "true"}}, True, True),
    ],
)
def test_what_depends_on_the_way_to_s3_is_decided_only_where_the_way_is_known(
    condition: dict[str, Any], over_nat: bool | None, by_any_way: bool | None
) -> None:
    def judged(network: Network) -> tuple[str, str]:
        evaluation_context = EvaluationContext(network=network)
        allowing = policies(document(allow(Condition=condition)))
        denying = bucket(document(deny(Principal="*", Condition=condition)))
        return (
            only(role(), allowing, bucket(), evaluation_context),
            only(role(), policies(document(allow())), denying, evaluation_context),
        )

    words = {True: ("allowed", "blocked"), False: ("missing", "allowed"), None: ("undecided", "undecided")}
    assert judged(Network.NAT) == words[over_nat]
    assert judged(Network.UNKNOWN) == words[by_any_way]


def test_an_endpoint_that_is_given_is_the_way_to_s3() -> None:
    through = policies(document(allow(Condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}})))
    given = EvaluationContext(context={"aws:SourceVpce": ("vpce-1",)}, network=Network.UNKNOWN)
    assert only(role(), through, bucket(), given) == "allowed"
    public = EvaluationContext(context={"aws:SourceIp": ("203.0.113.9",)}, network=Network.UNKNOWN)
    assert only(role(), through, bucket(), public) == "missing"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aws:userid", "AROAEXAMPLECLUSTER001:i-0abc"),
        ("AWS:UserId", "AROAEXAMPLECLUSTER001:i-0abc"),
        ("ec2:SourceInstanceARN", "arn:aws:ec2:us-west-2:111111111111:instance/i-0abc"),
    ],
)
def test_a_grant_to_one_session_counts_where_the_surroundings_name_its_instance(key: str, value: str) -> None:
    session = ROLE_ARN.replace(":iam:", ":sts:").replace("role/anyscale/", "assumed-role/")
    for instance, verdict in (("i-0abc", "allowed"), ("i-0def", "missing")):
        there = bucket(document(allow(Principal={"AWS": f"{session}/{instance}"})))
        assert only(role(), policies(), there, EvaluationContext(context={key: (value,)})) == verdict
        assert only(role(), policies(), there) == "missing"
