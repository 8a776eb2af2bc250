"""Check the effect on one role, with the functions of the deployed remediator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never

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
from remediator.core.model.finding import REPAIRABLE, Finding, FindingCode
from remediator.core.model.plain_text import plain
from remediator.core.model.role import Role
from remediator.core.policy.document import read_mapping
from remediator.core.policy.reading import Present, Unreadable
from remediator.core.repair.desired import desired_of
from remediator.core.repair.finding_texts import FINDING_TEXTS
from remediator.core.repair.permanent_fix import permanent_fix
from remediator.core.repair.plan import plan_repair
from remediator.core.repair.trust import ec2_trust_statement
from remediator.errors import MalformedArn
from remediator.settings import MODE_TAG, Cloud, Mode, Settings
from remediator_cli.checks.blame import PROFILE, policy_to_blame, to_blame
from remediator_cli.checks.buckets import said_of_buckets
from remediator_cli.checks.state import (
    NAMELESS,
    CheckContext,
    Comparison,
    Language,
    Subject,
    called,
    findings_of,
    role_of,
    subject_of,
)
from remediator_cli.checks.verdicts import (
    ENROLLMENT_UNDECIDED,
    REFUSED,
    UNENROLLED,
    Remark,
    RoleCheck,
    Verdict,
    sorted_by_verdict,
)
from remediator_cli.iac.declared import DeclaredRole, Place

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
"""What may be missing from the file only, because another file gives it to the role."""


# Enrollment: whether the remediator manages the role before and after.


def check_role(now: DeclaredRole, was: DeclaredRole | None, context: CheckContext) -> RoleCheck:
    """The effect on a role; ``was`` is the same role before, None where there was none or it is unknown."""
    try:
        role = role_of(now, context)
    except MalformedArn as error:
        return _undecided(now, "The role has an invalid name or path.", str(error))
    unknown = _unknown_enrollment(now, context.settings)
    if unknown is not None:
        return _undecided(now, "Whether the remediator manages the role is undecided.", unknown)
    former = None if was is None else enrollment_of(was, context)
    match _enrollment(now, role, context):
        case Enrolled() as enrolled:
            return _check_enrolled(now, was, enrolled, context)
        case Refused() as refused:
            return _refused(now, former, refused)
        case NotEnrolled(why=why) if isinstance(former, Enrolled):
            text = f"The role would no longer be enrolled in cloud {former.cloud.name}, and would not be repaired."
            said = Remark(UNENROLLED, Verdict.BREAKS, now.place, text, (why,))
            return RoleCheck(now.place, called(now), former.cloud.name, (said,))
        case NotEnrolled(why=why) | Off(why=why):
            said = Remark(UNENROLLED, Verdict.NOT_ENROLLED, now.place, "The remediator does not manage it.", (why,))
            return RoleCheck(now.place, called(now), None, (said,))
        case _ as never:
            assert_never(never)


def _enrollment(declared: DeclaredRole, role: Role, context: CheckContext) -> Enrollment:
    if isinstance(declared.trust, Unreadable):
        # It may let EC2 in; that is reported as undecided, and the rest is still checked.
        statement = ec2_trust_statement(role.arn.partition)
        role = replace(role, trust=Present(read_mapping({"Version": "2012-10-17", "Statement": [statement]})))
    return decide_enrollment(role, context.settings, account=context.account)


def enrollment_of(was: DeclaredRole, context: CheckContext) -> Enrollment | None:
    """Whether the role was enrolled, by its tags, its name and its trust policy; None where that cannot be said."""
    if _unknown_enrollment(was, context.settings) is not None:
        return None
    try:
        return _enrollment(was, role_of(was, context), context)
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
    said = Remark(ENROLLMENT_UNDECIDED, Verdict.UNDECIDED, role.place, text, (because,))
    return RoleCheck(role.place, called(role), None, (said,))


def _refused(now: DeclaredRole, former: Enrollment | None, refused: Refused, place: Place | None = None) -> RoleCheck:
    """What is said of a role that is refused; ``place`` is the resource to blame, None where it is the role."""
    if refused.refusal is Refusal.PRIVILEGES_UNKNOWN:
        verdict, text = Verdict.UNDECIDED, "Whether the remediator would manage the role is undecided."
    elif isinstance(former, Refused) and former.refusal is refused.refusal:
        verdict, text = Verdict.NOT_ENROLLED, "The remediator refuses to manage the role, before and after the change."
    else:
        verdict, text = Verdict.BREAKS, "The remediator would refuse to manage the role, which has the enrollment tag."
    said = Remark(f"{REFUSED}-{refused.refusal}", verdict, place or now.place, text, (refused.why,))
    return RoleCheck(now.place, called(now), refused.cloud, (said,))


# What is wrong with an enrolled role, before and after.


def _check_enrolled(
    now: DeclaredRole, was: DeclaredRole | None, enrolled: Enrolled, context: CheckContext
) -> RoleCheck:
    cloud = enrolled.cloud
    if cloud.required_boundary is not None and isinstance(now.boundary, Unreadable):
        text = f"Cloud {cloud.name} requires a permissions boundary, and the role's boundary is not known."
        return replace(_undecided(now, text, now.boundary.why), cloud=cloud.name)
    after = subject_of(now, was, cloud, context.after, context)
    before = _former_subject(now, was, cloud, context)
    refused = refuse_by_policies(after.role, after.policies(), cloud)
    if refused is not None:
        former = None if was is None else enrollment_of(was, context)
        if before is not None and isinstance(former, Enrolled):
            former = refuse_by_policies(before.role, before.policies(), former.cloud) or former
        return _refused(now, former, refused, policy_to_blame(after, was, refused))
    desired = desired_of(cloud)
    comparison = Comparison(
        subject=after,
        enrolled=enrolled,
        was=was,
        desired=desired,
        findings=findings_of(after, desired),
        prior=None if before is None else findings_of(before, desired),
    )
    lost = said_of_buckets((bucket.name for bucket in cloud.buckets), context.after)
    said = sorted_by_verdict((*_reported_with_strays(comparison), *lost))
    return RoleCheck(now.place, called(now), cloud.name, tuple(said), _fix(comparison, said))


def _former_subject(now: DeclaredRole, was: DeclaredRole | None, cloud: Cloud, context: CheckContext) -> Subject | None:
    """The role before the change, by what its present cloud needs."""
    if was is None or context.before is None:
        return None
    try:
        return subject_of(was, now, cloud, context.before, context)
    except MalformedArn:
        return None


def _say(finding: Finding, comparison: Comparison) -> Remark | None:
    """What is said of a finding; None where the file neither knows nor changes it, or it is said of the bucket."""
    if finding.code is FindingCode.BUCKET_ABSENT:
        return None
    prior = next((each for each in comparison.prior or () if each.subject == finding.subject), None)
    if prior is not None and prior.code is finding.code and finding.code in PROFILE:
        return None
    verdict, more, because = _verdict(finding, prior, comparison)
    text = f"{FINDING_TEXTS[finding.code].meaning} {more}".rstrip()
    place = to_blame(finding, comparison)
    return Remark(str(finding.code), verdict, place, text, (*finding.because, *because), finding.actions)


def _verdict(finding: Finding, prior: Finding | None, comparison: Comparison) -> tuple[Verdict, str, tuple[str, ...]]:
    """The verdict on a finding, what else is said of it, and the reasons for that."""
    undecided = _undecided_because(finding, prior, comparison)
    if undecided is not None:
        return Verdict.UNDECIDED, *undecided
    if finding.code not in REPAIRABLE:
        return Verdict.BREAKS, "The remediator cannot repair that; manual action would be required.", ()
    if comparison.enrolled.mode is not Mode.REPAIR:
        return Verdict.BREAKS, "The remediator only observes the role and would not repair it.", ()
    plan = plan_repair(comparison.subject.observed(), comparison.findings, comparison.desired)
    for blocked in plan.blocked:
        if blocked.finding == finding:
            return Verdict.BREAKS, "The remediator could not repair it.", blocked.because
    advice = "leave the remediator's own policy out of your code" if finding.code is FindingCode.GRANT_ALTERED else ""
    return Verdict.REPAIRED_BY_US, f"{_UNDONE}: {advice or 'add this statement'}.", ()


def _undecided_because(
    finding: Finding, prior: Finding | None, comparison: Comparison
) -> tuple[str, tuple[str, ...]] | None:
    """Why it is undecided whether the change is to blame, with the reasons; None where that is decided."""
    is_given_by_others = finding.code in _GIVEN_BY_OTHERS
    if finding.code in _UNSURE:
        return "", ()
    if prior is not None and prior.code in _UNSURE and is_given_by_others:
        return "Whether this was the case before is undecided.", prior.because
    if prior is not None and _is_no_worse(prior, finding):
        return "According to the file, this was the case before; this change is not the cause.", ()
    if comparison.prior is None and is_given_by_others and not _is_known_to_all(finding, comparison):
        return "Nothing in the file grants it; whether something outside the file does is unknown.", ()
    return None


_UNDONE = "This apply will be undone by the remediator each time"


def _is_no_worse(prior: Finding, finding: Finding) -> bool:
    """Whether the change takes nothing away beyond what was wrong before it."""
    if finding.code in _GIVEN_BY_OTHERS and prior.code not in _GIVEN_BY_OTHERS:
        return True
    return prior.code is finding.code and set(finding.actions) <= set(prior.actions)


def _is_known_to_all(finding: Finding, comparison: Comparison) -> bool:
    """Whether no other file can give it: the change creates the role, and the bucket policy is in the file."""
    return (
        finding.code is FindingCode.GRANT_MISSING
        and comparison.was is None
        and comparison.context.before is not None
        and finding.subject in comparison.context.after.buckets
    )


@dataclass(frozen=True, slots=True)
class _Stray:
    """What is known only to belong to some role or bucket, and what would be wrong if it belonged to this one."""

    place: Place
    because: str
    kinds: frozenset[tuple[str, str]]


def _reported_with_strays(comparison: Comparison) -> list[Remark]:
    """The remarks on the findings that do not depend on documents of an unknown owner."""
    usual, strays = _kinds(comparison.findings), tuple(_strays(comparison))
    listed: list[Remark] = []
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
            text = "A resource may belong to this role or its bucket, and would make the role unusable."
            listed.append(Remark(FindingCode.GRANT_UNDECIDED, Verdict.UNDECIDED, stray.place, text, (stray.because,)))
    return listed


def _strays(comparison: Comparison) -> Iterator[_Stray]:
    subject, now = comparison.subject, comparison.now
    policies = subject.file.stray_policies
    # Together they may grant what none of them does alone.
    for some in (*((each,) for each in policies), *((policies,) if len(policies) > 1 else ())):
        mine = replace(subject, declared=replace(now, policies=(*now.policies, *some)))
        kinds = _kinds(findings_of(mine, comparison.desired))
        if refuse_by_policies(mine.role, mine.policies(), mine.cloud) is not None:
            kinds |= {(REFUSED, "")}
        place = some[0].place
        yield _Stray(place, f"which role {place.address} belongs to is not known yet", kinds)
    for bucket in subject.file.stray_buckets:
        named = {each.name: bucket for each in subject.cloud.buckets if each.name not in subject.file.buckets}
        theirs = replace(subject, file=replace(subject.file, buckets={**subject.file.buckets, **named}))
        because = f"which bucket {bucket.place.address} belongs to is not known yet"
        yield _Stray(bucket.place, because, _kinds(findings_of(theirs, comparison.desired)))


def _kinds(findings: tuple[Finding, ...]) -> frozenset[tuple[str, str]]:
    return frozenset((str(each.code), each.subject) for each in findings)


def _fix(comparison: Comparison, said: list[Remark]) -> str:
    """The code that keeps what is said from happening, for this very role; empty where there is none."""
    codes = {each.code for each in said}
    findings = tuple(each for each in comparison.findings if each.code in codes)
    cloud, role = comparison.enrolled.cloud, comparison.subject.role
    fix = permanent_fix(str(role.arn), findings, tuple(bucket.name for bucket in cloud.buckets), cloud.grant)
    if fix is None:
        return ""
    address = plain(comparison.now.place.address)
    match comparison.context.language:
        case Language.TERRAFORM:
            return fix.terraform.replace(f'"{NAMELESS}"', f"{address}.name")
        case Language.CLOUDFORMATION:
            return fix.cloudformation.replace(f'"{NAMELESS}"', f"!Ref {address}").replace(NAMELESS, address)
        case _ as never:
            assert_never(never)
