"""What each finding means to an operator, and what an operator can do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.plain_text import foreign


@dataclass(frozen=True, slots=True)
class FindingText:
    """How alerts, reports and the command line describe a finding.

    ``problem`` completes a subject line ("head-node cannot be assumed by EC2"), ``meaning`` is one sentence, ``to_do``
    the remedy where the remediator does not repair it. ``{subject}`` in ``problem`` stands for the finding's subject.
    """

    problem: str
    meaning: str
    to_do: str


_CANNOT_USE_BUCKET = "cannot use s3://{subject}"
_CANNOT_USE_KEY = "cannot use the KMS key of its bucket"

FINDING_TEXTS: Mapping[FindingCode, FindingText] = MappingProxyType(
    {
        FindingCode.TRUST_MISSING: FindingText(
            "cannot be assumed by EC2",
            "EC2 cannot assume the role: its trust policy does not allow EC2. Clusters cannot start.",
            "Add a statement to the trust policy that allows ec2.amazonaws.com sts:AssumeRole.",
        ),
        FindingCode.TRUST_CONDITIONAL: FindingText(
            "can be assumed by EC2 only under a condition",
            "EC2 can assume the role only under a condition. Clusters may fail to start.",
            "If the condition is not intended, remove it, or add a statement that allows ec2.amazonaws.com "
            "sts:AssumeRole without a condition.",
        ),
        FindingCode.TRUST_BLOCKED: FindingText(
            "cannot be assumed by EC2",
            "The trust policy denies EC2 the role, and an Allow cannot override a Deny. Clusters cannot start.",
            "If the Deny is not intended, remove it from the trust policy or narrow it so that EC2 is not denied.",
        ),
        FindingCode.TRUST_UNDECIDED: FindingText(
            "may not be assumable by EC2",
            "The trust policy does not show with certainty whether EC2 can assume the role.",
            "Simplify the statement named above, or confirm that a cluster starts and set the role to observe.",
        ),
        FindingCode.GRANT_MISSING: FindingText(
            _CANNOT_USE_BUCKET,
            "The role cannot use the bucket: no policy grants the actions that Anyscale needs.",
            "Grant the actions in a policy of the role, or in the bucket policy.",
        ),
        FindingCode.GRANT_BLOCKED: FindingText(
            _CANNOT_USE_BUCKET,
            "The role cannot use the bucket, and a new Allow cannot change that.",
            "If this is not intended, change the policy named above so that it does not block this role.",
        ),
        FindingCode.GRANT_UNDECIDED: FindingText(
            "may not be able to use s3://{subject}",
            "The policies do not show with certainty whether the role can use the bucket.",
            "Check the condition named above. Nothing is written while access is undecided.",
        ),
        FindingCode.GRANT_ALTERED: FindingText(
            "has an altered grant",
            "The remediator's own policy statements grant more or less than they should, or name another principal.",
            "To grant more or less, use a policy of your own. Do not edit the remediator's statements.",
        ),
        FindingCode.GRANT_BEYOND_ROLE: FindingText(
            _CANNOT_USE_BUCKET,
            "The role cannot use the bucket, and a policy of the role alone cannot grant it.",
            "Ask the owner of the bucket's account to allow this role in the bucket policy.",
        ),
        FindingCode.GRANT_LEFTOVER: FindingText(
            "still has a grant at the previous location",
            "The grant at the previous location still exists. Nothing is broken.",
            "Once the role works with the new grant, remove the grant named above.",
        ),
        FindingCode.BUCKET_ABSENT: FindingText(
            "has no bucket: s3://{subject} does not exist",
            "The cloud's bucket does not exist. The remediator grants nothing on a name that anyone could register.",
            "Create the bucket, or correct its name in the remediator's configuration and deploy.",
        ),
        FindingCode.BUCKET_UNREADABLE: FindingText(
            "may not be able to use s3://{subject}",
            "The bucket policy could not be read, so a Deny in it cannot be ruled out.",
            "Check that the bucket is in the configured account, and that its policy allows the remediator "
            "s3:GetBucketPolicy.",
        ),
        FindingCode.KEY_MISSING: FindingText(
            _CANNOT_USE_KEY,
            "The role cannot use the KMS key of its bucket, so it can neither read nor write objects.",
            "Grant the key actions in a policy of the role.",
        ),
        FindingCode.KEY_BLOCKED: FindingText(
            _CANNOT_USE_KEY,
            "The role cannot use the KMS key of its bucket, and a new Allow cannot change that.",
            "If this is not intended, change the policy named above so that it does not block this role.",
        ),
        FindingCode.KEY_UNDECIDED: FindingText(
            "may not be able to use the KMS key of its bucket",
            "The policies do not show with certainty whether the role can use the KMS key of its bucket.",
            "Check the condition named above. Nothing is written while access is undecided.",
        ),
        FindingCode.KEY_BEYOND_ROLE: FindingText(
            _CANNOT_USE_KEY,
            "The role cannot use the KMS key of its bucket, and only the key policy can grant it.",
            "Allow the role the actions in the key policy, or let the key policy delegate to IAM. The remediator never "
            "edits a key policy.",
        ),
        FindingCode.KEY_UNUSABLE: FindingText(
            "cannot use its bucket: the KMS key is disabled or pending deletion",
            "No principal can use the bucket's KMS key, so its objects can neither be read nor written.",
            "Enable the key or cancel its deletion before it is deleted, or give the bucket another key.",
        ),
        FindingCode.KEY_UNKNOWN: FindingText(
            "uses a bucket with an unknown KMS key",
            "The bucket is encrypted with a customer managed key that the configuration does not name.",
            "If intended, set the key's ARN as `key` of the bucket in the configuration and deploy. Otherwise reset "
            "the bucket's default encryption.",
        ),
        FindingCode.PROFILE_MISSING: FindingText(
            "has no instance profile",
            "No instance profile of the role's name contains the role. Anyscale uses that one by default.",
            "Create the instance profile and add the role, or name another one in the compute configuration.",
        ),
        FindingCode.PROFILE_OCCUPIED: FindingText(
            "has an instance profile that contains another role",
            "The instance profile of the role's name contains another role, so instances would get that role.",
            "Replace the other role in the instance profile, or name another instance profile in the compute "
            "configuration. The remediator removes no role from an instance profile.",
        ),
        FindingCode.PROFILE_UNDECIDED: FindingText(
            "may have no usable instance profile",
            "The instance profiles could not be read, so it is unknown whether instances can get the role.",
            "Allow the remediator's role iam:ListInstanceProfilesForRole and iam:GetInstanceProfile.",
        ),
        FindingCode.QUARANTINED: FindingText(
            "is quarantined",
            "The role is locked down, as during a security incident. Nothing is repaired until that ends.",
            "When the incident is over, remove the policy named above. The role is then managed again automatically.",
        ),
    }
)


def problem_of(finding: Finding) -> str:
    """What is wrong, as a predicate: ``cannot use s3://acme-data``."""
    return FINDING_TEXTS[finding.code].problem.replace("{subject}", foreign(finding.subject))


def problems_of(findings: Iterable[Finding]) -> str:
    """What is wrong, as a predicate, with the number of further problems; empty where there is no finding."""
    problems = tuple(dict.fromkeys(problem_of(finding) for finding in findings))
    return problems[0] if len(problems) == 1 else f"{problems[0]}, {len(problems) - 1} more" if problems else ""
