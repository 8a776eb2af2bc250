"""Whether a repair, as it was read back, does what it was written for.

Trust and bucket policies are not compared as text: AWS keeps their meaning, not their spelling, and another principal
may have edited them since.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from remediator.core.access.actions import REQUIRED_ACTIONS
from remediator.core.access.decision import GrantVerdict
from remediator.core.access.grants import evaluate_grants
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.observed import Observed
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentKind, Write
from remediator.core.policy.document import Json, PolicyDocument, read_policy
from remediator.core.policy.reading import Present, Reading, Unreadable
from remediator.core.repair.bucket_policy import is_intact, named_roles
from remediator.core.repair.trust import TrustVerdict, evaluate_trust


def effect_of(
    write: Write, observed: Observed, context: EvaluationContext, *, is_removal: bool = False
) -> Callable[[Reading[Json]], bool] | None:
    """What has to be true of the document when it is read back; None where it has to be what was written.

    A removal takes away what belongs to the remediator from the previous location; the other location grants what the
    role may use.
    """
    match write.document.kind:
        case DocumentKind.TRUST_POLICY:
            return partial(_is_trusted, observed.role, context)
        case DocumentKind.BUCKET_POLICY if is_removal:
            return partial(_is_removed, observed.role)
        case DocumentKind.BUCKET_POLICY:
            return partial(_is_granted, observed, context, write)
        case _:
            return None


def _is_trusted(role: Role, context: EvaluationContext, now: Reading[Json]) -> bool:
    return evaluate_trust(replace(role, trust=_policy(now)), context).verdict is TrustVerdict.OK


def _is_removed(role: Role, now: Reading[Json]) -> bool:
    policy = _policy(now)
    return not isinstance(policy, Unreadable) and not _names(policy, role)


def _is_granted(observed: Observed, context: EvaluationContext, write: Write, now: Reading[Json]) -> bool:
    """Whether the remediator's statement is as it was written, as far as this role goes, and the role may use the
    bucket."""
    policy, written = _policy(now), read_policy(write.after)
    return _names(policy, observed.role) is _names(written, observed.role) and _may_use(
        observed, context, write.document.name, policy
    )


def _may_use(observed: Observed, context: EvaluationContext, name: str, policy: Reading[PolicyDocument]) -> bool:
    """Whether the role may use the bucket under this policy, in which the remediator's statement, if any, is as the
    remediator writes it."""
    role = observed.role
    if isinstance(policy, Present) and not is_intact(policy.value, name, role.arn):
        return False
    verdicts = [
        assessment.verdict
        for bucket_name, reading in observed.buckets
        if bucket_name == name and isinstance(reading, Present)
        for assessment in evaluate_grants(role, observed.policies, replace(reading.value, policy=policy), context)
        if assessment.action in REQUIRED_ACTIONS
    ]
    return bool(verdicts) and all(verdict is GrantVerdict.ALLOWED for verdict in verdicts)


def _names(policy: Reading[PolicyDocument], role: Role) -> bool:
    return isinstance(policy, Present) and str(role.arn) in named_roles(policy.value, role.arn.account)


def _policy(now: Reading[Json]) -> Reading[PolicyDocument]:
    return read_policy(now.value) if isinstance(now, Present) else now
