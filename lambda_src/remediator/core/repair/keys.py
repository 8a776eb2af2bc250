"""May the role use the keys of its buckets? What is wrong with a key, and what its policy needs.

A grant on a key is a part of the remediator's inline policy (``role_policy``). Key policies are never written by us.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from remediator.core.access.actions import KEY_ACTIONS
from remediator.core.access.decision import GrantVerdict
from remediator.core.access.grants import evaluate_key
from remediator.core.model.bucket import Bucket, CustomerKey, KeyState
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.observed import Observed
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, read_mapping
from remediator.core.policy.edit import raw_statements
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.core.repair.buckets import reasons_of, worst_of
from remediator.core.repair.infrastructure_code import PermanentFix, hcl, subjects_of, yaml

_CODES = {
    GrantVerdict.BLOCKED: FindingCode.KEY_BLOCKED,
    GrantVerdict.UNDECIDED: FindingCode.KEY_UNDECIDED,
    GrantVerdict.MISSING: FindingCode.KEY_MISSING,
}


def keys_of(observed: Observed) -> tuple[tuple[CustomerKey, tuple[Bucket, ...]], ...]:
    """The keys that the configuration names, each with the buckets that it encrypts and that are there, by their ARNs.

    Where several buckets show the same key, it is as the first one shows it.
    """
    keys: dict[str, tuple[CustomerKey, tuple[Bucket, ...]]] = {}
    for _, reading in observed.buckets:
        if isinstance(reading, Present) and reading.value.key is not None:
            key, buckets = keys.get(reading.value.key.arn, (reading.value.key, ()))
            keys[key.arn] = (key, (*buckets, reading.value))
    return tuple(keys[arn] for arn in sorted(keys))


def assess(observed: Observed, evaluation_context: EvaluationContext) -> Iterable[Finding]:
    """One finding per key that the role cannot use, and one per bucket that turns to a key that nobody configured."""
    for key, buckets in keys_of(observed):
        yield from _key_finding(observed, key, buckets, evaluation_context)
    for _, reading in observed.buckets:
        if isinstance(reading, Present):
            yield from _encryption_findings(reading.value)


def _key_finding(
    observed: Observed, key: CustomerKey, buckets: tuple[Bucket, ...], evaluation_context: EvaluationContext
) -> tuple[Finding, ...]:
    """One finding per key, for the worst that is to be said of it."""
    unusable = _state_finding(key)
    if unusable is not None:
        return (unusable,)
    judged = (
        each
        for bucket in buckets
        for each in evaluate_key(observed.role, observed.policies, bucket, evaluation_context)
    )
    hit = worst_of(judged)
    if not hit:
        return ()
    code = _CODES[hit[0].verdict]
    if code is FindingCode.KEY_BLOCKED and _would_help(observed, buckets, evaluation_context):
        code = FindingCode.KEY_BEYOND_ROLE  # the more specific word for it
    return (Finding(code, key.arn, reasons_of(hit), tuple(sorted({assessment.action for assessment in hit}))),)


def _state_finding(key: CustomerKey) -> Finding | None:
    match key.state:
        case Present(value=KeyState.ENABLED):
            return None
        case Present(value=state):
            return Finding(FindingCode.KEY_UNUSABLE, key.arn, (f"the key is {state}",))
        case Absent():
            return Finding(FindingCode.KEY_UNUSABLE, key.arn, ("the key does not exist",))
        case Unreadable(why=why):
            return Finding(FindingCode.KEY_UNDECIDED, key.arn, (f"the state of the key could not be read: {why}",))
        case _ as never:
            assert_never(never)


def _would_help(observed: Observed, buckets: tuple[Bucket, ...], evaluation_context: EvaluationContext) -> bool:
    """Whether nothing but a statement in the key policy is missing: with it, the role could use the key."""
    for bucket in buckets:
        key = bucket.key
        if key is None or not isinstance(key.policy, Present):
            return False
        better = replace(key, policy=Present(_with_key_statement(key.policy.value, observed.role.arn)))
        judged = evaluate_key(observed.role, observed.policies, replace(bucket, key=better), evaluation_context)
        if any(each.verdict is not GrantVerdict.ALLOWED for each in judged):
            return False
    return True


def _encryption_findings(bucket: Bucket) -> tuple[Finding, ...]:
    match bucket.encryption:
        case Present(value=key) if key and (bucket.key is None or key != bucket.key.arn):
            configured = "none is configured" if bucket.key is None else f"the configuration names {bucket.key.arn}"
            because = f"new objects are encrypted with {key}, and {configured}"
            return (Finding(FindingCode.KEY_UNKNOWN, f"encryption of {bucket.name}", (because,)),)
        case Unreadable(why=why):
            because = f"which key the bucket is encrypted with could not be read: {why}"
            return (Finding(FindingCode.KEY_UNDECIDED, f"encryption of {bucket.name}", (because,)),)
        case _:
            return ()


def key_policy_statement(role: RoleArn) -> dict[str, object]:
    """The statement that lets the role use a key, for the one who manages the key policy to add.

    In a key policy ``*`` means the key that the policy belongs to.
    https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html
    """
    return {
        "Sid": "AllowAnyscaleRole",
        "Effect": "Allow",
        "Principal": {"AWS": str(role)},
        "Action": [*KEY_ACTIONS],
        "Resource": "*",
    }


def _with_key_statement(document: PolicyDocument, role: RoleArn) -> PolicyDocument:
    """The key policy as it would be with that statement; for evaluation, never for writing."""
    return read_mapping({**document.raw, "Statement": [*raw_statements(document), key_policy_statement(role)]})


def permanent_fix(role: RoleArn, findings: tuple[Finding, ...]) -> Iterable[PermanentFix]:
    """What the policies of keys need that no grant on the role can make usable."""
    for key in subjects_of(findings, FindingCode.KEY_BEYOND_ROLE):
        statement = key_policy_statement(role)
        yield PermanentFix(
            f"# Add this to the Statement list of the policy (jsonencode) of the aws_kms_key {key}:\n{hcl(statement)}",
            f"# AWS::KMS::Key {key}: add this to KeyPolicy.Statement, next to the existing ones\n{yaml([statement])}",
        )
