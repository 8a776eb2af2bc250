"""Judge what becomes of one role, with the functions that the deployed remediator judges with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never

from remediator.core.alerts.finding_texts import FINDING_TEXTS
from remediator.core.enrollment.decide import (
    Enrolled,
    Enrollment,
    NotEnrolled,
    Off,
    Refusal,
    Refused,
    decide_enrollment,
)
from remediator.core.enrollment.privilege import refuse_by_policies
from remediator.core.model.evaluation_context import EvaluationContext, Network
from remediator.core.model.finding import REPAIRABLE, Finding, FindingCode
from remediator.core.model.plain_text import plain
from remediator.core.model.role import Role
from remediator.core.policy.document import PolicyDocument, read_mapping, same_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.desired import Desired, desired_of
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.permanent_fix import permanent_fix
from remediator.core.repair.plan import plan_repair
from remediator.core.repair.trust import ec2_trust_statement
from remediator.errors import MalformedArn
from remediator.settings import MODE_TAG, Cloud, Mode, Settings
from remediator_cli.checks.buckets import said_of_buckets
from remediator_cli.checks.state import NAMELESS, Circumstances, Language, Subject, key_of, role_of, subject_of
from remediator_cli.checks.verdicts import (
    ENROLLMENT_UNDECIDED,
    REFUSED,
    UNENROLLED,
    RoleCheck,
    Said,
    Verdict,
    sorted_by_verdict,
)
from remediator_cli.iac.declared import Declared, DeclaredBucket, DeclaredPolicy, DeclaredRole, Place

_ANY_NAMES = ("0-0", "Zz.Zz.Zz")
"""Names that have nothing in common: a pattern that lets both of them through asks for no name."""

_UNSURE = frozenset(
    {
        FindingCode.TRUST_UNDECIDED,
        FindingCode.GRANT_UNDECIDED,
        FindingCode.KEY_UNDECIDED,
        FindingCode.KEY_UNKNOWN,
        FindingCode.PROFILE_UNDECIDED,
        FindingCode.BUCKET_UNREADABLE,
    }
)
_GIVEN_BY_OTHERS = frozenset({FindingCode.GRANT_MISSING, FindingCode.KEY_MISSING, FindingCode.PROFILE_MISSING})
"""What may be missing from the file only, because somebody else gives it to the role."""
_TRUST = frozenset(
    {
        FindingCode.TRUST_MISSING,
        FindingCode.TRUST_CONDITIONAL,
        FindingCode.TRUST_BLOCKED,
        FindingCode.TRUST_UNDECIDED,
    }
)
_PROFILE = frozenset({FindingCode.PROFILE_MISSING, FindingCode.PROFILE_OCCUPIED, FindingCode.PROFILE_UNDECIDED})
_SURROUNDINGS = EvaluationContext(network=Network.UNKNOWN)
_NOT_LOOKED_AT = frozenset({FindingCode.GRANT_LEFTOVER})
"""Nothing is broken by it."""


# Enrolment: whether the remediator looks after the role before and after.


def check_role(now: DeclaredRole, was: DeclaredRole | None, circumstances: Circumstances) -> RoleCheck:
    """What becomes of a role; ``was`` is the same role before, None where there was none or nobody knows."""
    try:
        role = role_of(now, circumstances)
    except MalformedArn as error:
        return _undecided(now, "The role has a name or a path that no role can have.", str(error))
    unknown = _unknown_enrollment(now, circumstances.settings)
    if unknown is not None:
        return _undecided(now, "Whether the remediator looks after the role cannot be decided.", unknown)
    former = None if was is None else enrollment_of(was, circumstances)
    match _enrollment(now, role, circumstances):
        case Enrolled() as enrolled:
            return _check_enrolled(now, was, enrolled, circumstances)
        case Refused() as refused:
            return _refused(now, former, refused)
        case NotEnrolled(why=why) if isinstance(former, Enrolled):
            text = f"The role would no longer be enrolled in cloud {former.cloud.name}, and nobody would repair it."
            said = Said(UNENROLLED, Verdict.BREAKS, now.place, text, (why,))
            return RoleCheck(now.place, called(now), former.cloud.name, (said,))
        case NotEnrolled(why=why) | Off(why=why):
            said = Said(UNENROLLED, Verdict.NOT_ENROLLED, now.place, "The remediator does not look after it.", (why,))
            return RoleCheck(now.place, called(now), None, (said,))
        case _ as never:
            assert_never(never)


def _enrollment(declared: DeclaredRole, role: Role, circumstances: Circumstances) -> Enrollment:
    if isinstance(declared.trust, Unreadable):
        # It may let EC2 in, or not; that is told as such, and is no reason to pass over all the rest.
        statement = ec2_trust_statement(role.arn.partition)
        role = replace(role, trust=Present(read_mapping({"Version": "2012-10-17", "Statement": [statement]})))
    return decide_enrollment(role, circumstances.settings, account=circumstances.account)


def enrollment_of(was: DeclaredRole, circumstances: Circumstances) -> Enrollment | None:
    """Whether the role was enrolled, by its tags, its name and its trust policy; None where that cannot be said."""
    if _unknown_enrollment(was, circumstances.settings) is not None:
        return None
    try:
        return _enrollment(was, role_of(was, circumstances), circumstances)
    except MalformedArn:
        return None


def _unknown_enrollment(role: DeclaredRole, settings: Settings) -> str | None:
    """What keeps from saying whether the role is enrolled, None where nothing does."""
    tag = role.tags.get(settings.enrollment_tag)
    if tag is None:
        return role.tags_unknown
    for reading in (tag, role.tags.get(MODE_TAG), role.path):
        if isinstance(reading, Unreadable):
            return reading.why
    if isinstance(role.name, Unreadable):
        cloud = settings.cloud(tag.value) if isinstance(tag, Present) else None
        path = role.path.value if isinstance(role.path, Present) else "/"
        if cloud is not None and not all(cloud.allows(f"{path}{name}"[1:]) for name in (NAMELESS, *_ANY_NAMES)):
            return role.name.why
    return None


def _undecided(role: DeclaredRole, text: str, because: str) -> RoleCheck:
    said = Said(ENROLLMENT_UNDECIDED, Verdict.UNDECIDED, role.place, text, (because,))
    return RoleCheck(role.place, called(role), None, (said,))


def _refused(now: DeclaredRole, former: Enrollment | None, refused: Refused, place: Place | None = None) -> RoleCheck:
    """What is said of a role that is refused; ``place`` is the resource to blame, None where it is the role."""
    if refused.refusal is Refusal.POWER_UNKNOWN:
        verdict, text = Verdict.UNDECIDED, "Whether the remediator would look after the role cannot be decided."
    elif isinstance(former, Refused) and former.refusal is refused.refusal:
        verdict, text = Verdict.NOT_ENROLLED, "The remediator refuses to look after the role, before and after."
    else:
        verdict, text = Verdict.BREAKS, "The remediator would refuse to look after the role, which carries its tag."
    said = Said(f"{REFUSED}-{refused.refusal}", verdict, place or now.place, text, (refused.why,))
    return RoleCheck(now.place, called(now), refused.cloud, (said,))


# What is wrong with an enrolled role, before and after.


@dataclass(frozen=True, slots=True)
class _Comparison:
    """An enrolled role after the change, and what was wrong before it; ``prior`` is None where nobody knows."""

    subject: Subject
    enrolled: Enrolled
    was: DeclaredRole | None
    desired: Desired
    findings: tuple[Finding, ...]
    prior: tuple[Finding, ...] | None

    @property
    def now(self) -> DeclaredRole:
        return self.subject.declared

    @property
    def circumstances(self) -> Circumstances:
        return self.subject.circumstances


def _check_enrolled(
    now: DeclaredRole, was: DeclaredRole | None, enrolled: Enrolled, circumstances: Circumstances
) -> RoleCheck:
    cloud = enrolled.cloud
    if cloud.required_boundary is not None and isinstance(now.boundary, Unreadable):
        text = f"Cloud {cloud.name} requires a permissions boundary, and which one the role has is not known."
        return replace(_undecided(now, text, now.boundary.why), cloud=cloud.name)
    after = subject_of(now, was, cloud, circumstances.after, circumstances)
    before = _former_subject(now, was, cloud, circumstances)
    refused = refuse_by_policies(after.role, after.policies(), cloud)
    if refused is not None:
        former = None if was is None else enrollment_of(was, circumstances)
        if before is not None and isinstance(former, Enrolled):
            former = refuse_by_policies(before.role, before.policies(), former.cloud) or former
        return _refused(now, former, refused, _of_power(after, was, refused))
    desired = desired_of(cloud)
    comparison = _Comparison(
        subject=after,
        enrolled=enrolled,
        was=was,
        desired=desired,
        findings=_findings(after, desired),
        prior=None if before is None else _findings(before, desired),
    )
    lost = said_of_buckets((bucket.name for bucket in cloud.buckets), circumstances.after)
    said = sorted_by_verdict((*_said_beside_strays(comparison), *lost))
    return RoleCheck(now.place, called(now), cloud.name, tuple(said), _fix(comparison, said))


def _former_subject(
    now: DeclaredRole, was: DeclaredRole | None, cloud: Cloud, circumstances: Circumstances
) -> Subject | None:
    """The role before the change, by what its present cloud needs."""
    if was is None or circumstances.before is None:
        return None
    try:
        return subject_of(was, now, cloud, circumstances.before, circumstances)
    except MalformedArn:
        return None


def _findings(subject: Subject, desired: Desired) -> tuple[Finding, ...]:
    return tuple(
        each for each in diagnose(subject.observed(), _SURROUNDINGS, desired) if each.code not in _NOT_LOOKED_AT
    )


def _say(finding: Finding, comparison: _Comparison) -> Said | None:
    """What is said of a finding; None where the file neither knows nor changes it, or it is said of the bucket."""
    if finding.code is FindingCode.BUCKET_ABSENT:
        return None
    prior = next((each for each in comparison.prior or () if each.subject == finding.subject), None)
    if prior is not None and prior.code is finding.code and finding.code in _PROFILE:
        return None
    verdict, more, because = _verdict(finding, prior, comparison)
    text = f"{FINDING_TEXTS[finding.code].meaning} {more}".rstrip()
    place = _to_blame(finding, comparison)
    return Said(str(finding.code), verdict, place, text, (*finding.because, *because), finding.actions)


def _verdict(finding: Finding, prior: Finding | None, comparison: _Comparison) -> tuple[Verdict, str, tuple[str, ...]]:
    """The verdict on a finding, what else is said of it, and the reasons for that."""
    code = finding.code
    if code in _UNSURE:
        return Verdict.UNDECIDED, "", ()
    if prior is not None and prior.code in _UNSURE and code in _GIVEN_BY_OTHERS:
        return Verdict.UNDECIDED, "Whether it was so before cannot be decided.", prior.because
    if prior is not None and _is_no_worse(prior, finding):
        return Verdict.UNDECIDED, "By what the file knows it was so before; this change is not the cause.", ()
    if comparison.prior is None and code in _GIVEN_BY_OTHERS and not _is_known_to_all(finding, comparison):
        return Verdict.UNDECIDED, "Nothing in the file gives it; whether something outside of it does is unknown.", ()
    if code not in REPAIRABLE:
        return Verdict.BREAKS, "The remediator cannot repair that and would ask a person.", ()
    if comparison.enrolled.mode is not Mode.REPAIR:
        return Verdict.BREAKS, "The remediator only observes the role and would not repair it.", ()
    plan = plan_repair(comparison.subject.observed(), comparison.findings, comparison.desired)
    for withheld in plan.withheld:
        if withheld.finding == finding:
            return Verdict.BREAKS, "The remediator could not repair it.", withheld.because
    if code is FindingCode.GRANT_ALTERED:
        return Verdict.REPAIRED_BY_US, f"{_UNDONE}: leave the remediator's own policy out of your code.", ()
    return Verdict.REPAIRED_BY_US, f"{_UNDONE}: add this statement.", ()


_UNDONE = "This apply will be undone by the remediator each time"


def _is_no_worse(prior: Finding, finding: Finding) -> bool:
    """Whether the change takes nothing away beyond what was wrong before it."""
    if finding.code in _GIVEN_BY_OTHERS and prior.code not in _GIVEN_BY_OTHERS:
        return True
    return prior.code is finding.code and set(finding.actions) <= set(prior.actions)


def _is_known_to_all(finding: Finding, comparison: _Comparison) -> bool:
    """Whether nobody else can give it: the change creates the role, and the bucket's policy is in the file."""
    return (
        finding.code is FindingCode.GRANT_MISSING
        and comparison.was is None
        and comparison.circumstances.before is not None
        and finding.subject in comparison.circumstances.after.buckets
    )


@dataclass(frozen=True, slots=True)
class _Stray:
    """What is known only to belong to some role or bucket, and what would be wrong if it belonged to this one."""

    place: Place
    because: str
    kinds: frozenset[tuple[str, str]]


def _said_beside_strays(comparison: _Comparison) -> list[Said]:
    """What is said of the findings, as far as it does not depend on what nobody can tell the owner of yet."""
    usual, strays = _kinds(comparison.findings), tuple(_strays(comparison))
    listed: list[Said] = []
    for finding in comparison.findings:
        said = _say(finding, comparison)
        if said is None:
            continue
        for stray in strays:
            if (finding.code, finding.subject) not in stray.kinds:
                said = replace(said, verdict=Verdict.UNDECIDED, because=(*said.because, stray.because))
        listed.append(said)
    for stray in strays:
        if not stray.kinds <= usual:
            text = "Something may be this role's or its bucket's, and would make it unusable."
            listed.append(
                Said(FindingCode.GRANT_UNDECIDED, Verdict.UNDECIDED, stray.place, text, (stray.because,)),
            )
    return listed


def _strays(comparison: _Comparison) -> Iterator[_Stray]:
    subject, now = comparison.subject, comparison.now
    policies = subject.file.stray_policies
    # Together they may grant what none of them does alone.
    for some in (*((each,) for each in policies), *((policies,) if len(policies) > 1 else ())):
        mine = replace(subject, declared=replace(now, policies=(*now.policies, *some)))
        kinds = _kinds(_findings(mine, comparison.desired))
        if refuse_by_policies(mine.role, mine.policies(), mine.cloud) is not None:
            kinds |= {(REFUSED, "")}
        place = some[0].place
        yield _Stray(place, f"which role {place.address} belongs to is not known yet", kinds)
    for bucket in subject.file.stray_buckets:
        named = {each.name: bucket for each in subject.cloud.buckets if each.name not in subject.file.buckets}
        theirs = replace(subject, file=replace(subject.file, buckets={**subject.file.buckets, **named}))
        because = f"which bucket {bucket.place.address} belongs to is not known yet"
        yield _Stray(bucket.place, because, _kinds(_findings(theirs, comparison.desired)))


def _kinds(findings: tuple[Finding, ...]) -> frozenset[tuple[str, str]]:
    return frozenset((str(each.code), each.subject) for each in findings)


def _fix(comparison: _Comparison, said: list[Said]) -> str:
    """The code that keeps what is said from happening, for this very role; empty where there is none."""
    codes = {each.code for each in said}
    findings = tuple(each for each in comparison.findings if each.code in codes)
    cloud, role = comparison.enrolled.cloud, comparison.subject.role
    fix = permanent_fix(str(role.arn), findings, tuple(bucket.name for bucket in cloud.buckets), cloud.grant)
    if fix is None:
        return ""
    address = plain(comparison.now.place.address)
    match comparison.circumstances.language:
        case Language.TERRAFORM:
            return fix.terraform.replace(f'"{NAMELESS}"', f"{address}.name")
        case Language.CLOUDFORMATION:
            return fix.cloudformation.replace(f'"{NAMELESS}"', f"!Ref {address}").replace(NAMELESS, address)
        case _ as never:
            assert_never(never)


# The resource to blame.


def _to_blame(finding: Finding, comparison: _Comparison) -> Place:
    """The resource that makes the finding: one that its reasons name, else one that was taken away or changed."""
    now = comparison.now
    if finding.code in _TRUST:
        return now.place
    if finding.code in _PROFILE:
        return next(_profiles_to_blame(finding, comparison), now.place)
    named = _named(finding, comparison)
    if named is not None:
        return named
    changed = tuple(_changed(finding, comparison))
    # Of several changes it is the one without which there is no such finding; where that takes more of them, the first.
    for place, undone in changed:
        left = _findings(undone, comparison.desired)
        if not any((each.code, each.subject) == (finding.code, finding.subject) for each in left):
            return place
    return changed[0][0] if changed else now.place


def _of_power(subject: Subject, was: DeclaredRole | None, refused: Refused) -> Place:
    """The policy that a role is refused for: one that the reason names, else one without which it would not be."""
    now = subject.declared
    for policy in now.policies:
        if policy.label in refused.why:
            return _place_of(policy, was)
    for policy in now.policies:
        less = replace(subject, declared=replace(now, policies=tuple(each for each in now.policies if each != policy)))
        if refuse_by_policies(less.role, less.policies(), less.cloud) is None:
            return _place_of(policy, was)
    return now.place


def _place_of(policy: DeclaredPolicy, was: DeclaredRole | None) -> Place:
    """Where a policy is written if the role had it before, else where the role is given it."""
    had = was is not None and any(key_of(each) == key_of(policy) for each in was.policies)
    return policy.written_at or policy.place if had else policy.place


def _place_of_boundary(now: DeclaredRole, was: DeclaredRole | None) -> Place:
    had = was is not None and was.boundary == now.boundary
    return now.boundary_place or now.place if had else now.place


def _named(finding: Finding, comparison: _Comparison) -> Place | None:
    """The resource that a reason names: the first of those that changed, else the first."""
    now, was = comparison.now, comparison.was
    former = {key_of(policy): policy.document for policy in was.policies} if was else {}
    places: list[tuple[str, Place, bool]] = []
    for policy in now.policies:
        is_kept = is_same_policy(policy.document, former.get(key_of(policy), Absent()))
        places.append((policy.label, _place_of(policy, was), is_kept))
    is_kept = was is not None and is_same_policy(now.boundary_document, was.boundary_document)
    places.append(("permissions boundary", _place_of_boundary(now, was), is_kept))
    old, new = _bucket_before(finding, comparison), comparison.circumstances.after.buckets.get(finding.subject)
    if new is not None:
        is_kept = old is not None and is_same_policy(new.policy, old.policy)
        places.append(("the bucket policy", new.place, is_kept))
    because = "\n".join(finding.because)
    found = [(is_kept, because.index(label), place) for label, place, is_kept in places if label in because]
    return min(found, key=lambda each: each[:2])[2] if found else None


def _bucket_before(finding: Finding, comparison: _Comparison) -> DeclaredBucket | None:
    before: Declared | None = comparison.circumstances.before
    return None if before is None else before.buckets.get(finding.subject)


def _changed(finding: Finding, comparison: _Comparison) -> Iterator[tuple[Place, Subject]]:
    """What is no longer what it was, each with the role as if that had stayed: its policies, then its bucket's."""
    subject, now = comparison.subject, comparison.now
    present: dict[tuple[bool, str], DeclaredPolicy] = {key_of(policy): policy for policy in now.policies}
    for policy in comparison.was.policies if comparison.was else ():
        left = present.get(key_of(policy))
        if left is None or not is_same_policy(left.document, policy.document):
            kept = tuple(each for each in now.policies if key_of(each) != key_of(policy))
            place = policy.place if left is None else _place_of(policy, comparison.was)
            yield place, replace(subject, declared=replace(now, policies=(*kept, policy)))
    old = _bucket_before(finding, comparison)
    new = comparison.circumstances.after.buckets.get(finding.subject)
    if old is not None and (new is None or not is_same_policy(new.policy, old.policy)):
        buckets = {**subject.file.buckets, finding.subject: old}
        yield old.place, replace(subject, file=replace(subject.file, buckets=buckets))


def _profiles_to_blame(finding: Finding, comparison: _Comparison) -> Iterator[Place]:
    """The instance profiles of the role that changed, or that its name belongs to, or that a reason names."""
    now, file = comparison.now, comparison.circumstances.after
    after = {profile.place.address: profile for profile in file.profiles}
    before = comparison.circumstances.before
    for profile in before.profiles if before else ():
        left = after.get(profile.place.address)
        is_changed = left is None or (left.name, left.role) != (profile.name, profile.role)
        is_its_own = now.name in (profile.name, profile.role) or profile.role_address == now.place.address
        if is_changed and is_its_own:
            yield profile.place
    for profile in file.profiles:
        if profile.name == now.name or any(profile.place.address in reason for reason in finding.because):
            yield profile.place


def is_same_policy(one: Reading[PolicyDocument], other: Reading[PolicyDocument]) -> bool:
    """Whether two readings certainly show one and the same document, or none."""
    match one, other:
        case Present(value=mine), Present(value=theirs):
            return same_policy(mine, theirs)
        case Absent(), Absent():
            return True
        case _:
            return False


def called(role: DeclaredRole) -> str:
    """The role's name, or its address where it has no name yet."""
    return role.name.value if isinstance(role.name, Present) else role.place.address
