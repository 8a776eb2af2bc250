"""What holds for every repair, from diagnosis to the state that it leaves behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from remediator.core.diagnose import REPAIRABLE, FindingCode, Observed, diagnose
from remediator.core.grants import OWN_POLICY_NAME
from remediator.core.plan import InlinePolicyStep, RepairPlan, TrustStep, plan_repair
from remediator.core.policy.document import read_policy
from remediator.core.policy.edit import raw_statements
from remediator.core.reading import Absent, Present, Reading, Unreadable
from remediator.core.state import Bucket, InlinePolicy, ManagedPolicy, PublicAccessBlock, Role, RolePolicies
from tests.properties.policy_strategies import documents
from tests.unit.policy.documents import ACCOUNT, BUCKET, OTHER_ACCOUNT, role

QUICK = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
Json = Any

BUCKETS = (BUCKET, "other")
unreadable = st.just(Unreadable("denied"))


@st.composite
def observed_roles(draw: st.DrawFn) -> Observed:
    """A role with any trust, policies, boundary and buckets; now and then a part of it cannot be read."""
    trust = draw(documents(kind="trust").map(read_policy) | unreadable)
    named = draw(st.lists(documents(kind="identity"), max_size=2))
    inline = [InlinePolicy(f"theirs{number}", read_policy(each)) for number, each in enumerate(named)]
    own = draw(st.none() | documents(kind="identity"))
    if own is not None:
        inline.append(InlinePolicy(OWN_POLICY_NAME, read_policy(own)))
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
    return Observed(replace(role(), trust=trust), policies, buckets)


def bucket_readings(name: str) -> st.SearchStrategy[Reading[Bucket]]:
    policy = st.none() | documents(kind="bucket")
    owner = st.sampled_from([ACCOUNT, ACCOUNT, ACCOUNT, OTHER_ACCOUNT])
    present = st.builds(
        lambda raw, account: Present(Bucket(name, account, "us-west-2", read_policy(raw), PublicAccessBlock())),
        policy,
        owner,
    )
    return st.one_of(present, present, present, st.just(Absent()), unreadable)


def after(observed: Observed, plan: RepairPlan) -> Observed:
    """The state that the steps of a plan leave behind."""
    for step in plan.steps:
        match step:
            case TrustStep(after=document):
                changed: Role = replace(observed.role, trust=read_policy(document.raw))
                observed = replace(observed, role=changed)
            case InlinePolicyStep(name=name, after=document):
                assert isinstance(observed.policies.inline, Present)
                others = tuple(policy for policy in observed.policies.inline.value if policy.name != name)
                written = Present((*others, InlinePolicy(name, read_policy(document.raw))))
                observed = replace(observed, policies=replace(observed.policies, inline=written))
    return observed


def planned(observed: Observed) -> RepairPlan:
    return plan_repair(observed, diagnose(observed))


@QUICK
@given(observed_roles())
def test_a_repair_leaves_nothing_to_repair(observed: Observed) -> None:
    assert planned(after(observed, planned(observed))).steps == ()


@QUICK
@given(observed_roles())
def test_every_repairable_finding_is_repaired_or_withheld_with_a_reason(observed: Observed) -> None:
    findings = diagnose(observed)
    plan = plan_repair(observed, findings)
    held = {withheld.finding for withheld in plan.withheld}
    left = {(f.code, f.subject) for f in diagnose(after(observed, plan))}
    for finding in findings:
        if finding.code in REPAIRABLE and finding not in held:
            assert (finding.code, finding.subject) not in left
    assert all(withheld.because for withheld in plan.withheld)


@QUICK
@given(observed_roles())
def test_each_document_is_written_at_most_once_and_only_the_two_that_may_be(observed: Observed) -> None:
    steps = planned(observed).steps
    assert len({type(step) for step in steps}) == len(steps)
    assert all(step.name == OWN_POLICY_NAME for step in steps if isinstance(step, InlinePolicyStep))


@QUICK
@given(observed_roles())
def test_nothing_is_written_over_what_could_not_be_read(observed: Observed) -> None:
    for step in planned(observed).steps:
        match step:
            case TrustStep():
                assert isinstance(observed.role.trust, Present)
            case InlinePolicyStep():
                assert isinstance(observed.policies.inline, Present)


@QUICK
@given(observed_roles())
def test_a_repair_never_turns_to_a_bucket_that_is_blocked_undecided_absent_or_unreadable(observed: Observed) -> None:
    hopeless = {
        finding.subject
        for finding in diagnose(observed)
        if finding.code not in REPAIRABLE and finding.subject in BUCKETS
    }
    for step in planned(observed).steps:
        if isinstance(step, InlinePolicyStep) and step.before is None:
            named = {
                resource.removeprefix("arn:aws:s3:::").removesuffix("/*")
                for statement in raw_statements(step.after)
                for resource in statement["Resource"]  # type: ignore[attr-defined]  # our own statements
            }
            assert not named & hopeless


@QUICK
@given(observed_roles())
def test_every_bucket_has_at_most_one_finding_and_trust_has_at_most_one(observed: Observed) -> None:
    subjects = [finding.subject for finding in diagnose(observed)]
    assert len(subjects) == len(set(subjects))


@QUICK
@given(observed_roles())
def test_a_condition_or_a_deny_on_the_trust_never_leads_to_a_write(observed: Observed) -> None:
    codes = {finding.code for finding in diagnose(observed)}
    if codes & {FindingCode.TRUST_BLOCKED, FindingCode.TRUST_CONDITIONAL, FindingCode.TRUST_UNDECIDED}:
        assert not any(isinstance(step, TrustStep) for step in planned(observed).steps)


@QUICK
@given(observed_roles())
def test_no_deny_is_ever_removed_or_changed_wherever_it_stands_and_whatever_it_is_called(observed: Observed) -> None:
    for step in planned(observed).steps:
        if step.before is not None:
            kept = raw_statements(step.after)
            assert all(deny in kept for deny in raw_statements(step.before) if deny.get("Effect") == "Deny")
