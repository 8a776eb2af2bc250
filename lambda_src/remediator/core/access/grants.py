"""May the role use the bucket, and its key? The verdicts on what a cluster does.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/security_iam_service-with-iam.html
"""

from __future__ import annotations

from remediator.core.access.actions import (
    KEY_ACTIONS,
    REQUIRED_BUCKET_ACTIONS,
    REQUIRED_OBJECT_ACTIONS,
    WANTED_BUCKET_ACTIONS,
    WANTED_OBJECT_ACTIONS,
)
from remediator.core.access.calls import LISTING_KEYS, kms_context, s3_contexts
from remediator.core.access.decision import GrantEvaluation, GrantVerdict, bucket_access, key_access
from remediator.core.access.policy_sets import cut_off_by_public_access_block, documents_about, policy_set
from remediator.core.model.bucket import Bucket
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.role import Role, RolePolicies
from remediator.core.policy.evaluate import Request, alike, tested
from remediator.core.policy.matching import Resource

_OBJECT_ACTIONS = (*REQUIRED_OBJECT_ACTIONS, *WANTED_OBJECT_ACTIONS)
_BUCKET_ACTIONS = (*REQUIRED_BUCKET_ACTIONS, *WANTED_BUCKET_ACTIONS)
_ORDER = (*_OBJECT_ACTIONS, *_BUCKET_ACTIONS, *KEY_ACTIONS)
_KEY_ARN_PARTS = 6
_ACCOUNT_IN_ARN = 4


def evaluate_grants(
    role: Role,
    policies: RolePolicies,
    bucket: Bucket,
    evaluation_context: EvaluationContext = EvaluationContext(),  # noqa: B008  # it is frozen
) -> tuple[GrantEvaluation, ...]:
    """Decide each of the eight actions that a cluster uses: five on all objects of the bucket, three on the bucket.

    Objects are evaluated as a whole: a grant for a prefix is no grant, and a Deny on a prefix blocks.
    """
    arn = f"arn:{role.arn.partition}:s3:::{bucket.name}"
    objects, itself = Resource(f"{arn}/", family=True), Resource(arn)
    listing, other = s3_contexts(role, bucket, evaluation_context)
    documents = documents_about(role, policies, policy_set("the bucket policy", bucket.policy), evaluation_context)
    sources = documents.sources()
    kinds = [(_OBJECT_ACTIONS, objects, other), (_BUCKET_ACTIONS, itself, other)]
    if tested(sources, LISTING_KEYS):
        # Only requests to list carry these keys, so that ListBucket is evaluated apart.
        kinds[1:] = [(REQUIRED_BUCKET_ACTIONS, itself, listing), (WANTED_BUCKET_ACTIONS, itself, other)]
    crosses = bucket.account != role.arn.account
    cut_off = cut_off_by_public_access_block(bucket) if crosses else (False, "")
    judged: list[GrantEvaluation] = []
    for actions, target, context in kinds:
        resource = f"every object of {bucket.name}" if target.family else bucket.name
        for group in alike(sources, actions):
            request = Request(group, target, context, _words(group, resource))
            judged += bucket_access(documents.about(request, cut_off), crosses_accounts=crosses)
    return _in_order(judged)


def evaluate_key(
    role: Role,
    policies: RolePolicies,
    bucket: Bucket,
    evaluation_context: EvaluationContext = EvaluationContext(),  # noqa: B008  # it is frozen
) -> tuple[GrantEvaluation, ...]:
    """Decide kms:Decrypt and kms:GenerateDataKey on the customer managed key of the bucket; empty where it has none.

    KMS grants (``kms:CreateGrant``) are not looked at.
    """
    key = bucket.key
    if key is None:
        return ()
    parts = key.arn.split(":", _KEY_ARN_PARTS - 1)
    if len(parts) != _KEY_ARN_PARTS or not parts[-1].startswith("key/"):
        because = (f"the encryption of the bucket names {key.arn}, which is not the ARN of a key",)
        return tuple([GrantEvaluation(each, GrantVerdict.UNDECIDED, because) for each in KEY_ACTIONS])
    account = parts[_ACCOUNT_IN_ARN]
    context = kms_context(role, bucket, account, evaluation_context)
    documents = documents_about(role, policies, policy_set("the key policy", key.policy), evaluation_context)
    judged: list[GrantEvaluation] = []
    for actions in alike(documents.sources(), KEY_ACTIONS):
        request = Request(actions, Resource(key.arn), context, _words(actions, f"the key of {bucket.name}"))
        judged += key_access(documents.about(request), crosses_accounts=account != role.arn.account)
    return _in_order(judged)


def _in_order(judged: list[GrantEvaluation]) -> tuple[GrantEvaluation, ...]:
    return tuple(sorted(judged, key=lambda each: _ORDER.index(each.action)))


def _words(actions: tuple[str, ...], resource: str) -> str:
    listed = actions[0] if len(actions) == 1 else f"{', '.join(actions[:-1])} and {actions[-1]}"
    return f"{listed} on {resource}"
