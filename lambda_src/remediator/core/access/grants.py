"""May the role use the bucket, and its key? The verdicts on what a cluster does.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/security_iam_service-with-iam.html
"""

from __future__ import annotations

from dataclasses import dataclass

from remediator.core.access.actions import (
    KEY_ACTIONS,
    REQUIRED_BUCKET_ACTIONS,
    REQUIRED_OBJECT_ACTIONS,
    WANTED_BUCKET_ACTIONS,
    WANTED_OBJECT_ACTIONS,
)
from remediator.core.access.calls import LISTING_KEYS, kms_context, s3_contexts
from remediator.core.access.decision import Decision, GrantVerdict, bucket_access, key_access
from remediator.core.access.sides import cut_off_by_public_access_block, documents_about, resource_side
from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.role import Role, RolePolicies
from remediator.core.policy.evaluate import Request, alike, tested
from remediator.core.policy.explain import Reason
from remediator.core.policy.matching import Target

__all__ = ["GrantJudgement", "GrantVerdict", "judge_grants", "judge_key"]

_OBJECT_ACTIONS = (*REQUIRED_OBJECT_ACTIONS, *WANTED_OBJECT_ACTIONS)
_BUCKET_ACTIONS = (*REQUIRED_BUCKET_ACTIONS, *WANTED_BUCKET_ACTIONS)
_ORDER = (*_OBJECT_ACTIONS, *_BUCKET_ACTIONS, *KEY_ACTIONS)
_KEY_ARN_PARTS = 6
_ACCOUNT_IN_ARN = 4


@dataclass(frozen=True, slots=True)
class GrantJudgement:
    """The verdict on one action of the role on a bucket (for a KMS action: on the key of the bucket).

    ``fix_by`` holds the sides where an Allow would help: ``identity``, ``bucket_policy`` or
    ``identity+bucket_policy`` where both are needed; several where any of them will do; empty unless it is missing.
    """

    action: str
    verdict: GrantVerdict
    because: tuple[Reason, ...]
    fix_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.verdict}: {'; '.join(str(each) for each in self.because)}"


def judge_grants(
    role: Role,
    policies: RolePolicies,
    bucket: Bucket,
    surroundings: EvaluationContext = EvaluationContext(),  # noqa: B008  # it is frozen
) -> tuple[GrantJudgement, ...]:
    """Decide each of the eight actions that a cluster uses: five on all objects of the bucket, three on the bucket.

    Objects are judged as a whole: a grant for a prefix is no grant, and a Deny on a prefix blocks.
    """
    arn = f"arn:{role.arn.partition}:s3:::{bucket.name}"
    objects, itself = Target(f"{arn}/", family=True), Target(arn)
    listing, other = s3_contexts(role, bucket, surroundings)
    documents = documents_about(role, policies, resource_side("the bucket policy", bucket.policy), surroundings)
    sources = documents.sources()
    kinds = [(_OBJECT_ACTIONS, objects, other), (_BUCKET_ACTIONS, itself, other)]
    if tested(sources, LISTING_KEYS):
        # Only requests to list carry these keys, so that ListBucket is judged apart.
        kinds[1:] = [(REQUIRED_BUCKET_ACTIONS, itself, listing), (WANTED_BUCKET_ACTIONS, itself, other)]
    crosses = bucket.account != role.arn.account
    cut_off = cut_off_by_public_access_block(bucket) if crosses else (False, None)
    decisions = []
    for actions, target, context in kinds:
        resource = f"every object of {bucket.name}" if target.family else bucket.name
        for group in alike(sources, actions):
            request = Request(group, target, context, _words(group, resource))
            decisions.append((request, bucket_access(documents.about(request, cut_off), crosses_accounts=crosses)))
    return _judgements(decisions)


def judge_key(
    role: Role,
    policies: RolePolicies,
    bucket: Bucket,
    surroundings: EvaluationContext = EvaluationContext(),  # noqa: B008  # it is frozen
) -> tuple[GrantJudgement, ...]:
    """Decide kms:Decrypt and kms:GenerateDataKey on the customer managed key of the bucket; empty where it has none.

    KMS grants (``kms:CreateGrant``) are not looked at.
    """
    key = bucket.key
    if key is None:
        return ()
    parts = key.arn.split(":", _KEY_ARN_PARTS - 1)
    if len(parts) != _KEY_ARN_PARTS or not parts[-1].startswith("key/"):
        because = (Reason("the encryption of the bucket", None, f"names {key.arn}, which is not the ARN of a key"),)
        return tuple([GrantJudgement(each, GrantVerdict.UNDECIDED, because) for each in KEY_ACTIONS])
    account = parts[_ACCOUNT_IN_ARN]
    context = kms_context(role, bucket, account, surroundings)
    documents = documents_about(role, policies, resource_side("the key policy", key.policy), surroundings)
    decisions = []
    for actions in alike(documents.sources(), KEY_ACTIONS):
        request = Request(actions, Target(key.arn), context, _words(actions, f"the key of {bucket.name}"))
        access = key_access(documents.about(request), crosses_accounts=account != role.arn.account)
        decisions.append((request, access))
    return _judgements(decisions)


def _judgements(decisions: list[tuple[Request, Decision]]) -> tuple[GrantJudgement, ...]:
    judged = {
        action: GrantJudgement(action, decision.verdict, decision.because, decision.fix_by)
        for request, decision in decisions
        for action in request.actions
    }
    return tuple([judged[action] for action in _ORDER if action in judged])


def _words(actions: tuple[str, ...], resource: str) -> str:
    listed = actions[0] if len(actions) == 1 else f"{', '.join(actions[:-1])} and {actions[-1]}"
    return f"{listed} on {resource}"
