"""What is to be said of one case: the verdicts with their reasons, and what the reconciler would write or leave."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from remediator.core.access.decision import GrantEvaluation
from remediator.core.access.grants import evaluate_grants, evaluate_key
from remediator.core.enrollment.decide import sign_of_others
from remediator.core.enrollment.privilege import sign_of_privilege
from remediator.core.model.bucket import Bucket
from remediator.core.model.finding import REPAIRABLE, Finding, FindingCode
from remediator.core.model.observed import Observed
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentKind, Write
from remediator.core.policy.document import read_mapping
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.core.repair.bucket_policy import bucket_policy_statement
from remediator.core.repair.diagnose import diagnose
from remediator.core.repair.keys import key_policy_statement
from remediator.core.repair.plan import RepairPlan, plan_repair
from remediator.core.repair.trust import TrustEvaluation, evaluate_trust
from remediator_cli.evaluation.cases import Case


class Edit(StrEnum):
    """How a document would be changed."""

    CREATED = "created"
    """It does not exist yet."""
    APPENDED = "appended"
    """A statement of the remediator at its end; the others stay as they are."""
    REPLACED = "replaced"
    """The remediator's statements, in their place; the others stay as they are."""
    MERGED = "merged"
    """The smaller edit, where a new statement would not fit: EC2 joins the services of a plain statement."""


@dataclass(frozen=True, slots=True)
class CaseWrite:
    """A document that a repair writes, with the call, and how the document is edited."""

    write: Write
    call: str
    edit: Edit


@dataclass(frozen=True, slots=True)
class NotRepaired:
    """Something wrong that the reconciler would leave as it is, and why.

    ``statements`` are those that another owner must add, to the policy of the bucket or of its key, where they are
    known.
    """

    finding: FindingCode
    subject: str
    actions: tuple[str, ...]
    because: tuple[str, ...]
    statements: tuple[dict[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All that is said of one case.

    ``key`` is empty where the bucket has no customer managed key. ``writes`` are made by the reconciler only where
    ``refused``, the reason to leave such a role alone, is None.
    """

    id: str
    role: Role
    bucket: Bucket
    trust: TrustEvaluation
    grants: tuple[GrantEvaluation, ...]
    key: tuple[GrantEvaluation, ...]
    writes: tuple[CaseWrite, ...]
    blocked: tuple[NotRepaired, ...]
    refused: str | None

    @property
    def is_usable(self) -> bool:
        """Nothing is wrong: EC2 may assume the role, and it may do all that a cluster requires."""
        return not self.writes and not self.blocked

    @property
    def because(self) -> tuple[str, ...]:
        """Every reason once, after its verdict: trust first, then the bucket, then its key."""
        evaluations: tuple[TrustEvaluation | GrantEvaluation, ...] = (self.trust, *self.grants, *self.key)
        return tuple(dict.fromkeys(f"{each.verdict}: {reason}" for each in evaluations for reason in each.because))


def evaluate_case(case: Case) -> Evaluation:
    """Evaluate a case, and plan its repair with the functions of the reconciler."""
    observed = Observed(case.role, case.policies, ((case.bucket.name, Present(case.bucket)),))
    findings = diagnose(observed, case.evaluation_context)
    plan = plan_repair(observed, findings)
    return Evaluation(
        id=case.id,
        role=case.role,
        bucket=case.bucket,
        trust=evaluate_trust(case.role, case.evaluation_context),
        grants=evaluate_grants(case.role, case.policies, case.bucket, case.evaluation_context),
        key=evaluate_key(case.role, case.policies, case.bucket, case.evaluation_context),
        writes=tuple(map(_write, plan.writes)),
        blocked=tuple(_blocked(case, findings, plan)),
        refused=_refusal(case),
    )


def _refusal(case: Case) -> str | None:
    """Why the remediator would refuse this role, whatever its tags are; None where its policies give no reason.

    What depends on a deployment's configuration (patterns, accounts, a required boundary) is not known here.
    """
    role = case.role
    match role.trust:
        case Present(value=document):
            privilege = sign_of_privilege(role, case.policies)
            return sign_of_others(document, account=role.arn.account) or (None if privilege is None else privilege[1])
        case Absent():
            return "The role has no trust policy."
        case Unreadable(why=why):
            return f"The role's trust policy cannot be read: {why}"
        case _ as never:
            assert_never(never)


def _write(write: Write) -> CaseWrite:
    replaced = Edit.CREATED if write.before is None else Edit.REPLACED
    match write.document.kind:
        case DocumentKind.TRUST_POLICY:
            return CaseWrite(write, "iam:UpdateAssumeRolePolicy", _trust_edit(write))
        case DocumentKind.INLINE_POLICY:
            return CaseWrite(write, "iam:PutRolePolicy", replaced)
        case DocumentKind.BUCKET_POLICY:
            return CaseWrite(write, "s3:PutBucketPolicy", replaced)
        case DocumentKind.INSTANCE_PROFILE:
            raise ValueError("a case has no instance profiles, so none is planned")
        case _ as never:
            assert_never(never)


def _trust_edit(write: Write) -> Edit:
    if write.note:
        return Edit.MERGED
    before, after = (len(read_mapping(each or {}).statements) for each in (write.before, write.after))
    return Edit.APPENDED if after > before else Edit.REPLACED


def _blocked(case: Case, findings: Iterable[Finding], plan: RepairPlan) -> Iterable[NotRepaired]:
    in_the_way = {blocked.finding: blocked.because for blocked in plan.blocked}
    for finding in findings:
        why = finding.because
        if finding.code in REPAIRABLE:
            why = in_the_way.get(finding, ())
            if not why:
                continue
        yield NotRepaired(finding.code, finding.subject, finding.actions, why, _statements(case, finding))


def _statements(case: Case, finding: Finding) -> tuple[dict[str, object], ...]:
    match finding.code:
        case FindingCode.GRANT_BEYOND_ROLE:
            arn = case.role.arn
            return (bucket_policy_statement(case.bucket.name, (str(arn),), arn.partition),)
        case FindingCode.KEY_BEYOND_ROLE:
            return (key_policy_statement(case.role.arn),)
        case _:
            return ()
