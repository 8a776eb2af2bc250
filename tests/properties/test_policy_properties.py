"""What holds for every policy document, not only for the named ones."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterable
from random import Random
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from remediator.core.access.actions import REQUIRED_OBJECT_ACTIONS, WANTED_OBJECT_ACTIONS
from remediator.core.access.grants import evaluate_grants, evaluate_key
from remediator.core.model.bucket import Bucket, CustomerKey, PublicAccessBlock
from remediator.core.model.own_names import BUCKET_POLICY_SID, OWN_POLICY_NAME, TRUST_SID
from remediator.core.model.role import InlinePolicy, ManagedPolicy, Role, RolePolicies
from remediator.core.policy.document import PolicyDocument, policy_size, policy_text, read_policy, same_policy
from remediator.core.policy.edit import append_statement, raw_statements
from remediator.core.policy.extent import ALWAYS, NEVER
from remediator.core.policy.matching import Resource, glob, glob_extent
from remediator.core.policy.public import public_statements
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.bucket_policy import (
    bucket_policy_write_blockers,
    granting_bucket_policy,
    is_intact,
    named_roles,
)
from remediator.core.repair.role_policy import inline_write_blockers, own_grant_statements
from remediator.core.repair.trust import (
    TrustVerdict,
    add_ec2_trust,
    ec2_trust_statement,
    evaluate_trust,
    merged_ec2_trust,
    trust_write_blockers,
)
from tests.properties import naive
from tests.properties.policy_strategies import (
    AWS_PRINCIPALS,
    SERVICES,
    damaged,
    documents,
    json_values,
    one_or_many,
)
from tests.unit.policy.documents import (
    ACCOUNT,
    BUCKET,
    BUCKET_ARN,
    KEY_ARN,
    ROLE_ARN,
    our_bucket_statement,
    our_policy,
    role,
    upserted,
)

QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
HALF = 0.5

TAGS = {"team": "a"}
CONTEXT = {
    "aws:principalaccount": ACCOUNT,
    "aws:principalarn": ROLE_ARN,
    "aws:principaltag/team": "a",
    "aws:securetransport": "true",
}
OBJECT_ACTIONS = (*REQUIRED_OBJECT_ACTIONS, *WANTED_OBJECT_ACTIONS)
# One key for each way in which the generated patterns tell objects apart.
OBJECTS = tuple(f"{BUCKET_ARN}/{key}" for key in ("x", "xx", "a", "a/b", "a/c", "ax"))
Json = Any


def parsed(value: Json) -> PolicyDocument:
    reading = read_policy(value)
    assert isinstance(reading, Present)
    assert reading.value.faults == ()
    return reading.value


def trusting(value: Json) -> Role:
    return Role(role().arn, role().role_id, TAGS, read_policy(value))


def holding(*identity: Json, boundary: Json = None) -> RolePolicies:
    inline = tuple(InlinePolicy(f"p{number}", read_policy(each)) for number, each in enumerate(identity))
    limit: Reading[ManagedPolicy] = Absent()
    if boundary is not None:
        limit = Present(ManagedPolicy("arn:aws:iam::111111111111:policy/Limit", read_policy(boundary)))
    return RolePolicies(Present(inline), Present(()), limit)


def bucket(policy: Json = None, *, account: str = ACCOUNT, key_policy: Json = None) -> Bucket:
    key = None if key_policy is None else CustomerKey(KEY_ARN, read_policy(key_policy))
    return Bucket(BUCKET, account, "us-west-2", read_policy(policy), PublicAccessBlock(), key)


def verdicts(held: RolePolicies, of: Bucket) -> dict[str, str]:
    return {each.action: str(each.verdict) for each in evaluate_grants(trusting(None), held, of)}


# --- edits


@QUICK
@given(documents(kind="trust"))
def test_every_statement_of_others_survives_the_repair_of_trust_in_its_place(raw: Json) -> None:
    before = parsed(raw)
    snapshot = copy.deepcopy(raw)
    after = add_ec2_trust(before, "aws")
    assert raw == snapshot
    old, new = raw_statements(before), raw_statements(after)
    assert len(new) - len(old) in (0, 1)
    ours = ec2_trust_statement("aws")
    for one, other in itertools.zip_longest(old, new):
        if one != other:
            assert {**(one or ours), "Sid": "", "Condition": 0} == {**ours, "Sid": "", "Condition": 0}
            assert {**other, "Sid": TRUST_SID} == ours
    assert {key: value for key, value in after.raw.items() if key != "Statement"} == {
        key: value for key, value in before.raw.items() if key != "Statement"
    }
    assert after.faults == ()
    sids = [each["Sid"] for each in new if "Sid" in each]
    assert len(sids) == len(set(sids))


@QUICK
@given(documents(kind="trust"), st.integers(0, 3), one_or_many(SERVICES[1:]).filter(bool))
def test_the_smaller_edit_adds_ec2_to_one_list_of_services_and_changes_nothing_else(
    raw: Json, place: int, services: Json
) -> None:
    statements = naive.statements_of(raw)
    plain = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    before = parsed({**raw, "Statement": [*statements[:place], plain, *statements[place:]]})
    after = merged_ec2_trust(before, "aws")
    assert after is not None
    pairs = zip(raw_statements(before), raw_statements(after), strict=True)
    ((one, other),) = [(one, other) for one, other in pairs if one != other]
    one, other = dict[str, Any](one), dict[str, Any](other)
    services = one["Principal"]["Service"]
    # The statement that was touched is one that lets services, and nobody else, do just this, without condition.
    assert naive.listed(one["Action"]) == ["sts:AssumeRole"]
    assert set(one["Principal"]) == {"Service"}
    assert one["Effect"] == "Allow"
    assert not one.get("Condition")
    assert other == {**one, "Principal": {"Service": [*naive.listed(services), "ec2.amazonaws.com"]}}


@QUICK
@given(documents(kind="identity"), st.lists(st.sampled_from(["a", "b", BUCKET]), min_size=1, max_size=3))
def test_every_statement_of_others_survives_the_repair_of_the_grant_in_order(raw: Json, names: list[str]) -> None:
    before = parsed(raw)
    ours = own_grant_statements(tuple(names), "aws")
    after = upserted(before, ours)
    own_sids = {each["Sid"] for each in ours}

    def foreign(of: PolicyDocument) -> list[Json]:
        return [each for each in raw_statements(of) if each.get("Sid") not in own_sids]

    assert foreign(after) == foreign(before)
    assert [each for each in raw_statements(after) if each.get("Sid") in own_sids] in (
        list(ours),
        list(reversed(ours)),
    )
    again = upserted(after, ours)
    assert json.dumps(again.raw) == json.dumps(after.raw)


@QUICK
@given(documents(kind="bucket"))
def test_edits_and_what_is_sent_survive_the_way_to_aws_and_back(raw: Json) -> None:
    after = upserted(parsed(raw), (our_bucket_statement(),))
    back = parsed(policy_text(after))
    assert same_policy(back, after)
    assert policy_size(back) == policy_size(after)
    assert append_statement(after, {"Sid": "X", "Effect": "Deny", "Action": "*"}) is not after


@QUICK
@given(documents(kind="trust"))
def test_repairing_twice_writes_nothing_the_second_time(raw: Json) -> None:
    after = add_ec2_trust(parsed(raw), "aws")
    assert same_policy(add_ec2_trust(after, "aws"), after)


# --- after the repair


@QUICK
@given(documents(kind="trust"))
def test_after_the_repair_ec2_may_assume_the_role_unless_a_deny_stands_against_it(raw: Json) -> None:
    before = evaluate_trust(trusting(raw)).verdict
    edits = [add_ec2_trust(parsed(raw), "aws"), merged_ec2_trust(parsed(raw), "aws")]
    for after in [each for each in edits if each is not None]:
        verdict = evaluate_trust(trusting(dict(after.raw))).verdict
        if before in (TrustVerdict.BLOCKED, TrustVerdict.UNDECIDED):
            assert verdict is before
        else:
            assert verdict is TrustVerdict.OK


@QUICK
@given(documents(kind="identity"), documents(kind="bucket"), st.none() | documents(kind="identity"))
def test_after_the_repair_of_the_role_what_was_missing_is_allowed(raw: Json, policy: Json, boundary: Json) -> None:
    ours = our_policy(Absent(), BUCKET)
    of = bucket(policy)
    before = verdicts(holding(raw, boundary=boundary), of)
    after = verdicts(holding(raw, dict(ours.raw), boundary=boundary), of)
    for action, verdict in before.items():
        if verdict in ("missing", "allowed"):
            assert after[action] == "allowed"
        elif verdict == "blocked":
            assert after[action] == "blocked"


@QUICK
@given(documents(kind="identity"), documents(kind="bucket"))
def test_the_repair_across_accounts_is_on_the_sides_that_are_named(raw: Json, policy: Json) -> None:
    of = bucket(policy, account="222222222222")
    ours = our_policy(Absent(), BUCKET)
    theirs = upserted(parsed(policy), (our_bucket_statement(),))
    for each in evaluate_grants(trusting(None), holding(raw), of):
        if each.verdict == "missing":
            (fix,) = each.fix_by
            held = holding(raw, dict(ours.raw)) if "identity" in fix else holding(raw)
            opened = bucket(dict(theirs.raw), account="222222222222") if "bucket_policy" in fix else of
            assert verdicts(held, opened)[each.action] == "allowed"


# --- against the second evaluator


def tried(identity: list[Json], boundary: Json) -> dict[str, str]:
    """The verdicts of the second evaluator."""
    found = {}
    for action in judged_actions():
        resources = OBJECTS if action in OBJECT_ACTIONS else (BUCKET_ARN,)
        found[action] = naive.verdict(identity, boundary, action, resources, CONTEXT)
    return found


def judged_actions() -> list[str]:
    return list(verdicts(holding(), bucket()))


@settings(QUICK, max_examples=150)
@given(
    st.lists(documents(kind="identity", decidable=True, parts=False), max_size=2),
    st.none() | documents(kind="identity", decidable=True, parts=False),
)
def test_verdicts_are_what_trying_each_request_finds(identity: list[Json], boundary: Json) -> None:
    assert verdicts(holding(*identity, boundary=boundary), bucket()) == tried(identity, boundary)


@settings(QUICK, max_examples=150)
@given(
    st.lists(documents(kind="identity", decidable=True), max_size=2),
    st.none() | documents(kind="identity", decidable=True),
)
def test_where_statements_share_the_objects_between_them_the_verdict_is_never_too_kind(
    identity: list[Json], boundary: Json
) -> None:
    kindness = {"blocked": 0, "undecided": 0, "missing": 1, "allowed": 2}
    found = tried(identity, boundary)
    for action, verdict in verdicts(holding(*identity, boundary=boundary), bucket()).items():
        assert kindness[verdict] <= kindness[found[action]]
        if action not in OBJECT_ACTIONS:
            assert verdict == found[action]


@settings(QUICK, max_examples=150)
@given(
    st.text(alphabet="ab/*?", max_size=6),
    st.sampled_from(["a/", "ab/", "a"]),
)
@example("a/?*", "a/")
@example("*?", "a/")
@example("a/", "a/")
def test_the_share_of_a_family_is_what_trying_all_short_keys_finds(pattern: str, start: str) -> None:
    keys = ["".join(key) for length in range(1, 6) for key in itertools.product("abc", repeat=length)]
    keys.append("abcabcabcabc/abc")
    found = [naive.wildcard(pattern, start + key) for key in keys]
    extent = glob_extent(glob(pattern), Resource(start, family=True))
    assert (extent is ALWAYS) == all(found)
    if extent is NEVER:
        assert not any(found)
    elif not any(found):
        # Only keys with a slash, which were not tried one by one, can match.
        assert "/" in pattern


# --- nothing but what was asked


@QUICK
@given(documents(kind="trust"))
def test_the_repair_of_trust_lets_nobody_in_but_ec2(raw: Json) -> None:
    actions = ("sts:AssumeRole", "sts:TagSession", "sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML")
    callers = [("Service", each) for each in SERVICES] + [("AWS", each) for each in AWS_PRINCIPALS if each != "*"]

    def granted(document: Json, effect: str) -> set[tuple[str, str, str, str]]:
        found = set()
        for statement in naive.statements_of(document):
            negated = "NotPrincipal" in statement
            named = statement["NotPrincipal" if negated else "Principal"]
            for kind, caller in callers:
                listed = (
                    named == "*"
                    or caller in naive.listed(named.get(kind, []))
                    or "*" in naive.listed(named.get("AWS", []))
                )
                for action in actions:
                    about = naive.covers({**statement, "Resource": "*", "Condition": {}}, action, "*", {}, "2012-10-17")
                    if listed is not negated and about and statement["Effect"] == effect:
                        found.add((kind, caller, action, json.dumps(statement.get("Condition") or {}, sort_keys=True)))
        return found

    ec2 = ("Service", "ec2.amazonaws.com", "sts:AssumeRole", "{}")
    for after in (add_ec2_trust(parsed(raw), "aws"), merged_ec2_trust(parsed(raw), "aws")):
        if after is None:
            continue
        added = granted(after.raw, "Allow") - granted(raw, "Allow")
        assert added <= {ec2}
        assert granted(after.raw, "Deny") == granted(raw, "Deny")
        lost = granted(raw, "Allow") - granted(after.raw, "Allow")
        # All that may go is the Condition that somebody added to our own statement.
        assert all(each[:3] == ec2[:3] for each in lost)


@QUICK
@given(documents(kind="identity"), st.sets(st.sampled_from(["mine", BUCKET]), min_size=1))
def test_the_repair_of_the_grant_allows_eight_actions_on_the_named_buckets_and_nothing_else(
    raw: Json, names: set[str]
) -> None:
    asked_objects = {
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
    }
    asked_bucket = {"s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"}
    others = {"s3:DeleteBucket", "s3:PutBucketPolicy", "s3:GetObjectVersion", "s3:PutObjectAcl", "iam:PassRole"}
    resources = [
        f"arn:aws:s3:::{name}{end}" for name in ("mine", "mine2", BUCKET, "other") for end in ("", "/x", "/a/b")
    ]
    document = parsed(raw)
    foreign = [each for each in raw_statements(document) if not str(each.get("Sid")).startswith("AnyscaleRemediator")]
    before = {**raw, "Statement": foreign}
    after = our_policy(Present(parsed(before)), *names).raw
    for action in asked_objects | asked_bucket | others:
        for resource in resources:
            bucket_name, slash, _ = resource.removeprefix("arn:aws:s3:::").partition("/")
            asked = bucket_name in names and action in (asked_objects if slash else asked_bucket)
            was = naive.says(before, "Allow", action, resource, CONTEXT)
            assert naive.says(after, "Allow", action, resource, CONTEXT) is (was or asked)
            assert naive.says(after, "Deny", action, resource, CONTEXT) is naive.says(
                before, "Deny", action, resource, CONTEXT
            )


@QUICK
@given(documents(kind="bucket"), st.sets(st.sampled_from(["a", "b", "c"])))
def test_our_statement_in_a_bucket_policy_names_exactly_the_asked_roles_and_all_else_stays(
    raw: Json, names: set[str]
) -> None:
    asked = {f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in names}
    before = parsed(raw)
    after = granting_bucket_policy(Present(before), BUCKET, asked, "aws")
    foreign = [each for each in raw_statements(before) if each.get("Sid") != BUCKET_POLICY_SID]
    if after is None:
        assert not foreign
        assert not asked
        return
    kept = [each for each in raw_statements(after) if each.get("Sid") != BUCKET_POLICY_SID]
    assert kept == foreign
    assert named_roles(after, ACCOUNT) == asked
    assert is_intact(after, BUCKET, role().arn)
    assert len(public_statements(after)) <= len(public_statements(before))
    assert granting_bucket_policy(Present(after), BUCKET, asked, "aws") == after


# --- spelling


def respelled(raw: Json, random: Random) -> Json:
    """The same policy in other words: lists for texts, other orders, other cases where case means nothing."""

    def shuffled(values: Iterable[Json]) -> list[Json]:
        listed = list(values)
        random.shuffle(listed)
        return listed

    def again(value: Json) -> Json:
        values = shuffled(naive.listed(value))
        return values[0] if len(values) == 1 and random.random() < HALF else values

    def recased(text: str) -> str:
        return random.choice([text, text.upper(), text.lower(), text.swapcase()])

    def element_again(element: str, value: Json) -> Json:
        if element in ("Action", "NotAction"):
            return again([recased(each) for each in naive.listed(value)])
        if element in ("Resource", "NotResource"):
            return again(value)
        if element in ("Principal", "NotPrincipal"):
            return {"AWS": "*"} if value == "*" else {kind: again(names) for kind, names in value.items()}
        if element == "Condition":
            return {
                recased(operator): {recased(key): again(values) for key, values in tests.items()}
                for operator, tests in value.items()
            }
        return value

    written = [
        {element: element_again(element, statement[element]) for element in shuffled(statement)}
        for statement in shuffled(naive.statements_of(raw))
    ]
    single = len(written) == 1 and random.random() < HALF
    return {**raw, "Statement": written[0] if single else written}


@QUICK
@given(
    documents(kind="trust"),
    documents(kind="identity"),
    documents(kind="bucket"),
    documents(kind="identity"),
    documents(kind="bucket"),
    st.randoms(use_true_random=True),
)
def test_no_verdict_depends_on_spelling(
    trust: Json, identity: Json, policy: Json, boundary: Json, key_policy: Json, random: Random
) -> None:
    raw = (trust, identity, policy, boundary, key_policy)
    new = [respelled(each, random) for each in raw]
    for each in new:
        assert read_policy(json.dumps(each)) == read_policy(each)

    def judged(trust: Json, identity: Json, policy: Json, boundary: Json, key_policy: Json) -> list[str]:
        of = bucket(policy, key_policy=key_policy)
        held = holding(identity, boundary=boundary)
        grants = evaluate_grants(trusting(trust), held, of) + evaluate_key(trusting(trust), held, of)
        return [
            str(evaluate_trust(trusting(trust)).verdict),
            *[f"{each.action} {each.verdict} {each.fix_by}" for each in grants],
        ]

    assert judged(*raw) == judged(*new)


# --- any JSON value at all


def everything(value: Json) -> None:
    """Run all that can be run on a document; an answer or Unreadable is fine, an exception is not."""
    reading = read_policy(value)
    held_by = Role(role().arn, role().role_id, TAGS, reading)
    held = RolePolicies(
        Present((InlinePolicy(OWN_POLICY_NAME, reading), InlinePolicy("other", reading))),
        Present((ManagedPolicy("arn:aws:iam::aws:policy/X", reading),)),
        Absent() if isinstance(reading, Absent) else Present(ManagedPolicy("arn:aws:iam::aws:policy/Y", reading)),
    )
    of = Bucket(BUCKET, ACCOUNT, "us-west-2", reading, None, CustomerKey(KEY_ARN, reading))
    assert str(evaluate_trust(held_by))
    for each in (*evaluate_grants(held_by, held, of), *evaluate_key(held_by, held, of)):
        assert each.because
        assert str(each)
    if isinstance(reading, Unreadable):
        assert reading.why
        assert evaluate_trust(held_by).verdict is TrustVerdict.UNDECIDED
    if isinstance(reading, Present):
        document = reading.value
        assert read_policy(policy_text(document)) != Absent()
        assert policy_size(document) > 0
        assert same_policy(document, document)
        after = [add_ec2_trust(document, "aws"), our_policy(reading, BUCKET)]
        merged = merged_ec2_trust(document, "aws")
        after += [merged] if merged is not None else []
        for edited in after:
            trust_write_blockers(held_by, edited)
            inline_write_blockers(held_by, held, edited)
            bucket_policy_write_blockers(held_by, of, edited)
            assert edited.faults == document.faults
            if document.faults:
                assert edited is document


@settings(QUICK, max_examples=150)
@given(json_values)
def test_any_json_value_has_a_verdict(value: Json) -> None:
    everything(value)


@settings(QUICK, max_examples=150)
@given(st.sampled_from(["trust", "identity", "bucket"]).flatmap(lambda kind: damaged(kind=kind)))
def test_any_damaged_document_has_a_verdict(value: Json) -> None:
    everything(value)


@QUICK
@given(st.text() | json_values.map(lambda value: json.dumps(value, default=str) if _is_small(value) else "{}"))
@example("[" * 100_000)
@example('{"Statement":' * 100_000)
@example('{"Statement":[' + '{"a":' * 50_000)
@example("\ud800")
@example("\ufeff{}")
def test_any_text_has_a_verdict(text: str) -> None:
    everything(text)


def _is_small(value: Json) -> bool:
    try:
        json.dumps(value)
    except ValueError:
        return False
    return True
