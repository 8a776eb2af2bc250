"""What each finding means to a person, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from remediator.core.model.finding import FindingCode


@dataclass(frozen=True, slots=True)
class FindingText:
    """What a finding means in one sentence, and what a person can do about it where we cannot."""

    meaning: str
    to_do: str


FINDING_TEXTS: Mapping[FindingCode, FindingText] = MappingProxyType(
    {
        FindingCode.TRUST_MISSING: FindingText(
            "EC2 may not assume the role: its trust policy does not name EC2, so clusters cannot start.",
            "Add a statement to the trust policy that allows EC2 sts:AssumeRole; it stands below.",
        ),
        FindingCode.TRUST_CONDITIONAL: FindingText(
            "EC2 may assume the role only under a condition, so that clusters may fail to start.",
            "Decide whether the condition is intended. If it is not, remove it, or add the statement below beside it.",
        ),
        FindingCode.TRUST_BLOCKED: FindingText(
            "The trust policy denies EC2 the role, so clusters cannot start. An Allow does not help against a Deny.",
            "Remove or narrow the Deny named above, if it is not intended.",
        ),
        FindingCode.TRUST_UNDECIDED: FindingText(
            "Whether EC2 may assume the role cannot be decided from its trust policy.",
            "Look at the trust policy, and simplify what is named above.",
        ),
        FindingCode.GRANT_MISSING: FindingText(
            "The role may not use the bucket: nothing grants it what Anyscale needs.",
            "Grant the actions through the role's policies or through the bucket's policy; a policy stands below.",
        ),
        FindingCode.GRANT_BLOCKED: FindingText(
            "The role is kept from using the bucket, and another Allow does not help.",
            "Change what is named above so that it lets this role through, if it is not intended.",
        ),
        FindingCode.GRANT_UNDECIDED: FindingText(
            "Whether the role may use the bucket cannot be decided from its policies.",
            "Look at what is named above. Nothing is written while it cannot be decided.",
        ),
        FindingCode.GRANT_ALTERED: FindingText(
            "What we keep in a policy of our own grants more or less than it should, or to somebody else.",
            "Where somebody changed it: to grant more or less, use a policy of your own instead of ours.",
        ),
        FindingCode.GRANT_BEYOND_ROLE: FindingText(
            "The role may not use the bucket, and a policy on the role alone cannot change that.",
            "The bucket belongs to another account: let its owner add this role to the bucket's policy.",
        ),
        FindingCode.GRANT_LEFTOVER: FindingText(
            "What we granted on the other side, before the configuration was changed, is still there.",
            "Nothing is broken. Remove what is named above when the role works with the new grant.",
        ),
        FindingCode.BUCKET_ABSENT: FindingText(
            "The bucket of the cloud does not exist. Nothing is granted on a name that anybody could take.",
            "Create the bucket, or correct its name in the remediator's configuration and deploy again.",
        ),
        FindingCode.BUCKET_UNREADABLE: FindingText(
            "The bucket's policy could not be read, so that a Deny in it cannot be excluded.",
            "Check that the bucket belongs to the configured account, and that its policy lets the remediator's role "
            "call s3:GetBucketPolicy.",
        ),
        FindingCode.KEY_MISSING: FindingText(
            "The role may not use the key of its bucket, so that it can neither read nor write objects.",
            "Grant the actions on the key through the role's policies; a policy stands below.",
        ),
        FindingCode.KEY_BLOCKED: FindingText(
            "The role is kept from using the key of its bucket, and another Allow does not help.",
            "Change what is named above so that it lets this role through, if it is not intended.",
        ),
        FindingCode.KEY_UNDECIDED: FindingText(
            "Whether the role may use the key of its bucket cannot be decided.",
            "Look at what is named above. Nothing is written while it cannot be decided.",
        ),
        FindingCode.KEY_BEYOND_ROLE: FindingText(
            "The role may not use the key of its bucket, and only the key policy can change that.",
            "Add the statement below to the key policy, or let the key policy leave it to IAM; we never edit one.",
        ),
        FindingCode.KEY_UNUSABLE: FindingText(
            "Nobody can use the key of the bucket, so that its objects can neither be read nor written.",
            "Enable the key, or cancel its deletion, before it is gone for good; or give the bucket another key.",
        ),
        FindingCode.KEY_UNKNOWN: FindingText(
            "The bucket is encrypted with a customer managed key that the configuration does not name.",
            "If it is intended, name the key's ARN as `key` of the bucket in the remediator's configuration and "
            "deploy, so that its use is looked at as well; else set the bucket's default encryption back.",
        ),
        FindingCode.PROFILE_MISSING: FindingText(
            "No instance profile of the role's own name holds the role; Anyscale looks for that one by default.",
            "Put the role into it, and create it first if it does not exist, as below; or name another instance "
            "profile in the compute configuration.",
        ),
        FindingCode.PROFILE_OCCUPIED: FindingText(
            "The instance profile of the role's own name holds another role, so that instances would get that one.",
            "Put the role into it in place of the other one, or name another instance profile in the compute "
            "configuration. Nothing is taken out of an instance profile automatically.",
        ),
        FindingCode.PROFILE_UNDECIDED: FindingText(
            "Whether instances can get the role through an instance profile could not be found out.",
            "Let the remediator's role call iam:ListInstanceProfilesForRole and iam:GetInstanceProfile.",
        ),
        FindingCode.QUARANTINED: FindingText(
            "Somebody has shut this role, as is done in an incident; nothing at all is repaired until that ends.",
            "If the incident is over, remove what is named above; then the role is looked at again by itself.",
        ),
    }
)
