"""What holds for every repair, from diagnosis to the state that it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from remediator.core.model.bucket import Bucket, CustomerKey, KeyState, PublicAccessBlock
from remediator.core.model.finding import REPAIRABLE, FindingCode
from remediator.core.model.instance_profile import InstanceProfile, InstanceProfiles
from remediator.core.model.observed import Observed
from remediator.core.model.own_names import BUCKET_POLICY_SID, OWN_POLICY_NAME
from remediator.core.model.role import InlinePolicy, ManagedPolicy, Role, RolePolicies
from remediator.core.model.write import DocumentKind, Write
from remediator.core.policy.document import PolicyDocument, read_mapping, read_policy
from remediator.core.policy.edit import raw_statements
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.desired import Desired
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.plan import RepairPlan, plan_repair
from remediator.settings import GrantLocation, InstanceProfileMode, RolePattern
from tests.properties.policy_strategies import OUR_SIDS, documents
from tests.unit.policy.documents import (
    ACCOUNT,
    BUCKET,
    KEY_ARN,
    OTHER_ACCOUNT,
    ROLE_ARN,
    our_bucket_policy,
    our_policy,
    role,
)
from tests.writes import after_of, before_of

QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
Json = Any

BUCKETS = (BUCKET, "other")
OTHER_ROLE_ARN = f"{ROLE_ARN}-2"
unreadable = st.just(Unreadable("denied"))

desires = st.builds(
    Desired,
    grant=st.sampled_from(GrantLocation),
    writes_bucket_policies=st.booleans(),
    instance_profile=st.sampled_from(InstanceProfileMode),
    instance_profiles=st.just((RolePattern("anyscale/*"),)),
).map(lambda d: replace(d, writes_bucket_policies=True) if d.grant is GrantLocation.BUCKET_POLICY else d)


@st.composite
def observed_roles(draw: st.DrawFn) -> Observed:
    """A role with any trust, policies, boundary, buckets and instance profile; some of it cannot be read."""
    trust = draw(documents(kind="trust").map(read_policy) | unreadable)
    named = draw(st.lists(documents(kind="identity"), max_size=2))
    inline = [InlinePolicy(f"theirs{number}", read_policy(each)) for number, each in enumerate(named)]
    own = draw(
        st.none() | documents(kind="identity").map(read_policy) | st.just(Present(our_policy(Absent(), *BUCKETS)))
    )
    if own is not None:
        inline.append(InlinePolicy(OWN_POLICY_NAME, own))
    boundary: Reading[ManagedPolicy] = Absent()
    if draw(st.sampled_from([False, False, True])):
        document = read_policy(draw(documents(kind="identity")))
        boundary = Present(ManagedPolicy(f"arn:aws:iam::{ACCOUNT}:policy/Limit", document))
    policies = RolePolicies(
        inline=draw(st.sampled_from([Present(tuple(inline))] * 5 + [Unreadable("denied")])),
        attached=Present(()),
        boundary=boundary,
    )
    buckets = tuple((name, draw(bucket_readings(name))) for name in BUCKETS)
    return Observed(replace(role(), trust=trust), policies, buckets, draw(st.none() | instance_profiles()))


def bucket_readings(name: str) -> st.SearchStrategy[Reading[Bucket]]:
    ours = st.sampled_from(
        [
            (),
            (ROLE_ARN,),
            (ROLE_ARN, OTHER_ROLE_ARN),
            ("AROAOLDOLDOLDOLDOLD01",),
            (OTHER_ROLE_ARN, "*"),
            (OTHER_ROLE_ARN, f"arn:aws:iam::{ACCOUNT}:root"),
            (OTHER_ROLE_ARN, f"arn:aws:iam::{ACCOUNT}:user/alice"),
            (OTHER_ROLE_ARN, f"arn:aws:iam::{OTHER_ACCOUNT}:role/Admin"),
        ]
    ).map(lambda roles: Present(our_bucket_policy(Absent(), *roles)) if roles else Absent())
    policy = st.none().map(read_policy) | documents(kind="bucket").map(read_policy) | ours
    owner = st.sampled_from([ACCOUNT, ACCOUNT, ACCOUNT, OTHER_ACCOUNT])
    encryption = st.sampled_from([None, Present(None), Present(KEY_ARN), Unreadable("denied")])
    present = st.builds(
        lambda reading, account, key, encryption: Present(
            Bucket(name, account, "us-west-2", reading, PublicAccessBlock(), key, encryption)
        ),
        policy,
        owner,
        st.none() | customer_keys(),
        encryption,
    )
    return st.one_of(present, present, present, st.just(Absent()), unreadable)


def customer_keys() -> st.SearchStrategy[CustomerKey]:
    delegating = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:*", "Resource": "*"},
        ],
    }
    policies = st.sampled_from([delegating, {"Version": "2012-10-17", "Statement": []}]).map(read_policy) | unreadable
    states = st.sampled_from(KeyState).map(Present) | st.just(Absent()) | unreadable
    return st.builds(CustomerKey, st.just(KEY_ARN), policies, st.just(Present(KeyState.ENABLED)) | states)


def held(profiles: tuple[InstanceProfile, ...]) -> Reading[tuple[InstanceProfile, ...]]:
    return Present(profiles)


@st.composite
def instance_profiles(draw: st.DrawFn) -> InstanceProfiles:
    name = role().arn.name
    path = draw(st.sampled_from([role().arn.path, "/"]))
    profile = InstanceProfile(f"arn:aws:iam::{ACCOUNT}:instance-profile{path}{name}", name, ())
    holding: Reading[tuple[InstanceProfile, ...]] = draw(
        st.sampled_from([(), (replace(profile, role_names=(name,)),)]).map(held) | unreadable | st.just(Absent())
    )
    namesake = draw(
        st.sampled_from([None, Absent(), Present(profile), Present(replace(profile, role_names=("x",)))]) | unreadable
    )
    return InstanceProfiles(holding, namesake)


def after(observed: Observed, steps: Iterable[Write]) -> Observed:
    """The state that the steps leave behind."""
    for step in steps:
        match step.document.kind:
            case DocumentKind.TRUST_POLICY:
                changed: Role = replace(observed.role, trust=read_policy(step.after))
                observed = replace(observed, role=changed)
            case DocumentKind.INLINE_POLICY:
                name = step.document.name
                assert isinstance(observed.policies.inline, Present)
                others = tuple(policy for policy in observed.policies.inline.value if policy.name != name)
                ours = () if step.after is None else (InlinePolicy(name, read_policy(step.after)),)
                observed = replace(observed, policies=replace(observed.policies, inline=Present((*others, *ours))))
            case DocumentKind.BUCKET_POLICY:
                bucket, policy = step.document.name, read_policy(step.after)
                observed = replace(
                    observed,
                    buckets=tuple(
                        (name, Present(replace(reading.value, policy=policy)))
                        if name == bucket and isinstance(reading, Present)
                        else (name, reading)
                        for name, reading in observed.buckets
                    ),
                )
            case DocumentKind.INSTANCE_PROFILE:
                name = step.document.name
                arn = f"arn:aws:iam::{ACCOUNT}:instance-profile{step.document.path}{name}"
                holder = InstanceProfile(arn, name, (name,))
                observed = replace(observed, profiles=InstanceProfiles(Present((holder,))))
    return observed


def of_kind(kind: DocumentKind, writes: Iterable[Write]) -> list[Write]:
    return [each for each in writes if each.document.kind is kind]


def planned(observed: Observed, desired: Desired) -> RepairPlan:
    return plan_repair(observed, diagnose(observed, None, desired), desired)


def documents_of(step: Write) -> tuple[PolicyDocument | None, PolicyDocument | None]:
    """The document before and after a step; an instance profile has none."""
    if step.document.kind is DocumentKind.INSTANCE_PROFILE:
        return None, None
    before, written = (None if each is None else read_mapping(each) for each in (step.before, step.after))
    return before, written


@QUICK
@given(observed_roles(), desires)
def test_a_repair_leaves_nothing_to_repair(observed: Observed, desired: Desired) -> None:
    plan = planned(observed, desired)
    again = planned(after(observed, (*plan.writes, *plan.removals)), desired)
    assert again.writes == ()
    assert again.removals == ()


@QUICK
@given(observed_roles(), desires)
def test_what_is_taken_back_in_a_later_look_is_what_was_planned_at_first(observed: Observed, desired: Desired) -> None:
    plan = planned(observed, desired)
    again = planned(after(observed, plan.writes), desired)
    assert again.writes == ()
    assert again.removals == plan.removals


@QUICK
@given(observed_roles(), desires)
def test_every_repairable_finding_is_repaired_or_withheld_with_a_reason(observed: Observed, desired: Desired) -> None:
    findings = diagnose(observed, None, desired)
    plan = plan_repair(observed, findings, desired)
    held = {blocked.finding for blocked in plan.blocked}
    left = {(f.code, f.subject) for f in diagnose(after(observed, (*plan.writes, *plan.removals)), None, desired)}
    for finding in findings:
        if finding.code in REPAIRABLE and finding not in held:
            assert (finding.code, finding.subject) not in left
    assert all(blocked.because for blocked in plan.blocked)


@QUICK
@given(observed_roles(), desires)
def test_no_bucket_that_could_be_used_is_lost_whatever_is_taken_back(observed: Observed, desired: Desired) -> None:
    def usable(state: Observed) -> set[str]:
        return set(BUCKETS) - {finding.subject for finding in diagnose(state, None, Desired())}

    plan = planned(observed, desired)
    assert usable(observed) <= usable(after(observed, plan.writes))
    assert usable(observed) <= usable(after(observed, (*plan.writes, *plan.removals)))


@pytest.mark.parametrize(
    "wanted",
    [
        lambda plan: any(
            each.document.kind is DocumentKind.BUCKET_POLICY and each.before is None for each in plan.writes
        ),
        lambda plan: any(
            each.document.kind is DocumentKind.BUCKET_POLICY and each.before is not None for each in plan.writes
        ),
        lambda plan: any(step.document.kind is DocumentKind.INLINE_POLICY for step in plan.removals),
        lambda plan: any(
            each.document.kind is DocumentKind.INLINE_POLICY and each.after is None for each in plan.removals
        ),
        lambda plan: any(step.document.kind is DocumentKind.BUCKET_POLICY for step in plan.removals),
        lambda plan: any(step.document.kind is DocumentKind.INSTANCE_PROFILE for step in plan.writes),
        lambda plan: bool(plan.writes) and bool(plan.removals),
    ],
)
def test_the_generated_roles_lead_to_every_kind_of_step(wanted: Callable[[RepairPlan], bool]) -> None:
    find(
        st.tuples(observed_roles(), desires),
        lambda drawn: wanted(planned(*drawn)),
        settings=settings(QUICK, max_examples=1_500, derandomize=True, database=None, phases=[Phase.generate]),
    )


@QUICK
@given(observed_roles(), desires)
def test_each_document_is_written_at_most_once_by_the_steps_and_only_those_that_may_be(
    observed: Observed, desired: Desired
) -> None:
    plan = planned(observed, desired)
    subjects = [step.document for step in plan.writes]
    assert len(set(subjects)) == len(subjects)
    for step in (*plan.writes, *plan.removals):
        match step.document.kind:
            case DocumentKind.INLINE_POLICY:
                assert step.document.name == OWN_POLICY_NAME
            case DocumentKind.BUCKET_POLICY:
                assert desired.writes_bucket_policies
            case DocumentKind.INSTANCE_PROFILE:
                assert desired.instance_profile is InstanceProfileMode.REPAIR
            case DocumentKind.TRUST_POLICY:
                pass


@QUICK
@given(observed_roles(), desires)
def test_nothing_is_written_over_what_could_not_be_read(observed: Observed, desired: Desired) -> None:
    plan = planned(observed, desired)
    for step in (*plan.writes, *plan.removals):
        match step.document.kind:
            case DocumentKind.TRUST_POLICY:
                assert isinstance(observed.role.trust, Present)
            case DocumentKind.INLINE_POLICY:
                assert isinstance(observed.policies.inline, Present)
            case DocumentKind.BUCKET_POLICY:
                reading = dict(observed.buckets)[step.document.name]
                assert isinstance(reading, Present)
                assert not isinstance(reading.value.policy, Unreadable)
            case DocumentKind.INSTANCE_PROFILE:
                assert observed.profiles is not None
                assert not isinstance(observed.profiles.holding, Unreadable)


@QUICK
@given(observed_roles(), desires)
def test_a_repair_never_turns_to_a_bucket_that_is_blocked_undecided_absent_or_unreadable(
    observed: Observed, desired: Desired
) -> None:
    hopeless = {
        finding.subject
        for finding in diagnose(observed, None, desired)
        if finding.code not in REPAIRABLE and finding.subject in BUCKETS
    }
    for step in planned(observed, desired).writes:
        if step.document.kind is DocumentKind.BUCKET_POLICY:
            assert step.document.name not in hopeless
        if step.document.kind is DocumentKind.INLINE_POLICY and step.before is None and step.after is not None:
            named = {
                resource.removeprefix("arn:aws:s3:::").removesuffix("/*")
                for statement in raw_statements(after_of(step))
                for resource in statement["Resource"]  # type: ignore[attr-defined]  # our own statements
            }
            assert not named & hopeless


@QUICK
@given(observed_roles(), desires)
def test_no_two_findings_are_about_the_same_subject(observed: Observed, desired: Desired) -> None:
    subjects = [
        finding.subject
        for finding in diagnose(observed, None, desired)
        if finding.code is not FindingCode.GRANT_LEFTOVER  # may stand beside a statement that was altered
    ]
    assert len(subjects) == len(set(subjects))


@QUICK
@given(observed_roles(), desires)
def test_a_condition_or_a_deny_on_the_trust_never_leads_to_a_write(observed: Observed, desired: Desired) -> None:
    codes = {finding.code for finding in diagnose(observed, None, desired)}
    if codes & {FindingCode.TRUST_BLOCKED, FindingCode.TRUST_CONDITIONAL, FindingCode.TRUST_UNDECIDED}:
        assert not any(step.document.kind is DocumentKind.TRUST_POLICY for step in planned(observed, desired).writes)


@QUICK
@given(observed_roles(), desires)
def test_no_deny_is_ever_removed_or_changed_wherever_it_stands_and_whatever_it_is_called(
    observed: Observed, desired: Desired
) -> None:
    plan = planned(observed, desired)
    for step in (*plan.writes, *plan.removals):
        before, written = documents_of(step)
        if before is not None:
            kept = () if written is None else raw_statements(written)
            assert all(deny in kept for deny in raw_statements(before) if deny.get("Effect") == "Deny")


@QUICK
@given(observed_roles(), desires)
def test_what_others_wrote_stays_as_it_was_and_in_order(observed: Observed, desired: Desired) -> None:
    plan = planned(observed, desired)
    for step in (*plan.writes, *plan.removals):
        before, written = documents_of(step)
        if before is not None and not (step.document.kind is DocumentKind.TRUST_POLICY and step.note):
            kept = () if written is None else raw_statements(written)
            foreign = [each for each in raw_statements(before) if each.get("Sid") not in OUR_SIDS]
            assert [each for each in kept if each.get("Sid") not in OUR_SIDS][: len(foreign)] == foreign


@QUICK
@given(observed_roles(), desires)
def test_our_statement_in_a_bucket_policy_never_names_anybody_but_the_role_and_roles_that_it_named(
    observed: Observed, desired: Desired
) -> None:
    plan = planned(observed, desired)
    for step in (*plan.writes, *plan.removals):
        if step.document.kind is DocumentKind.BUCKET_POLICY and step.after is not None:
            before = set() if step.before is None else names_in_our_statement(before_of(step))
            names = names_in_our_statement(after_of(step))
            assert names <= before | {ROLE_ARN}
            assert all(name.startswith(f"arn:aws:iam::{ACCOUNT}:role/") for name in names)


def names_in_our_statement(policy: PolicyDocument) -> set[str]:
    return {
        name
        for statement in policy.statements
        if statement.sid == BUCKET_POLICY_SID and statement.principals is not None
        for name in statement.principals.aws
    }
