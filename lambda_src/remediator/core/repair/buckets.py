"""May the role use the buckets of its cloud? A grant is put into the remediator's inline policy or into the bucket
policies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from remediator.core.access.actions import REQUIRED_ACTIONS
from remediator.core.access.decision import GrantEvaluation, GrantVerdict
from remediator.core.access.grants import evaluate_grants
from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.observed import Observed
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable

_CODES = {
    GrantVerdict.BLOCKED: FindingCode.GRANT_BLOCKED,
    GrantVerdict.UNDECIDED: FindingCode.GRANT_UNDECIDED,
    GrantVerdict.MISSING: FindingCode.GRANT_MISSING,
}


def assess(observed: Observed, context: EvaluationContext) -> Iterable[Finding]:
    """At most one finding per bucket, for the worst that is to be said of it."""
    for name, reading in observed.buckets:
        yield from _findings(observed, name, reading, context)


def _findings(
    observed: Observed, name: str, reading: Reading[Bucket], context: EvaluationContext
) -> tuple[Finding, ...]:
    match reading:
        case Absent():
            return (Finding(FindingCode.BUCKET_ABSENT, name),)
        case Unreadable(why=why):
            return (Finding(FindingCode.BUCKET_UNREADABLE, name, (why,)),)
        case Present(value=bucket):
            assessments = evaluate_grants(observed.role, observed.policies, bucket, context)
            return _grant_findings(name, [j for j in assessments if j.action in REQUIRED_ACTIONS])
        case _ as never:
            assert_never(never)


def _grant_findings(bucket: str, required: list[GrantEvaluation]) -> tuple[Finding, ...]:
    hit = worst_of(required)
    if not hit:
        return ()
    code = _CODES[hit[0].verdict]
    if code is FindingCode.GRANT_MISSING and not all("identity" in assessment.fix_by for assessment in hit):
        code = FindingCode.GRANT_BEYOND_ROLE
    return (Finding(code, bucket, reasons_of(hit), tuple(sorted(assessment.action for assessment in hit))),)


def worst_of(assessments: Iterable[GrantEvaluation]) -> tuple[GrantEvaluation, ...]:
    """Those with the worst verdict; empty where all is allowed.

    Where one required action is blocked or undecided, granting the others would not make the cluster work, and would
    pre-empt the operator who has to check it anyway.
    """
    judged = tuple(assessments)
    for verdict in (GrantVerdict.BLOCKED, GrantVerdict.UNDECIDED, GrantVerdict.MISSING):
        if hit := tuple(assessment for assessment in judged if assessment.verdict is verdict):
            return hit
    return ()


def reasons_of(assessments: Iterable[GrantEvaluation]) -> tuple[str, ...]:
    """All their reasons, each once."""
    return tuple(dict.fromkeys(reason for assessment in assessments for reason in assessment.because))
