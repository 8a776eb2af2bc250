"""Which texts the configuration may hold: a rule answers None to a text that is fine, else what is allowed.

Like ``remediator.settings_check``, no part of what the functions load.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from remediator.settings import HOME_REGION, MODE_TAG, PARTITION, REGION

Rule: TypeAlias = Callable[[str], str | None]

ACCOUNT: Final = re.compile(r"[0-9]{12}")
_ACCOUNT_PART: Final = r"(?P<account>[0-9]{12})"
_ARN: Final = r"arn:(?P<partition>aws[a-z-]*)"
_MIN_LITERALS: Final = 4
_TOO_BROAD: Final = f"it is too broad; at least {_MIN_LITERALS} characters other than * ? / are needed"


def _like(pattern: str, allowed: str) -> Rule:
    form = re.compile(pattern)
    return lambda text: None if form.fullmatch(text) else allowed


def _is_too_broad(pattern: str) -> bool:
    return len(re.sub(r"[*?/]", "", pattern)) < _MIN_LITERALS


def _elsewhere(match: re.Match[str], account: str | None, because: str) -> str | None:
    """That an ARN is not in the partition and the account of the roles, as far as the account is known."""
    if match["partition"] != PARTITION:
        return f'it is not in the partition "{PARTITION}" of the home region'
    if account is not None and match["account"] != account:
        return f'it is not in the account of the roles, "{account}"; {because}'
    return None


_PRINCIPAL = re.compile(
    rf"{_ARN}:iam::{_ACCOUNT_PART}:(?:(?:role|user)/(?P<path_and_name>[A-Za-z0-9_+=,.@/*?-]+)|root)"
)


def principal(text: str, account: str | None) -> str | None:
    """Whose call enrolls a role."""
    if text.startswith("arn:") and ":assumed-role/" in text:
        return "a session counts as its role: allowed is the role's ARN, arn:PARTITION:iam::ACCOUNT:role/PATH/NAME"
    match = _PRINCIPAL.fullmatch(text)
    if match is None:
        return (
            "allowed is the ARN of a role (with its path), of a user or of root, with the wildcards * and ? after "
            '"role/" or "user/": "arn:aws:iam::111122223333:role/platform/*"'
        )
    if match["path_and_name"] and _is_too_broad(match["path_and_name"]):
        return _TOO_BROAD
    return _elsewhere(match, account, "only a principal of that account can tag its roles")


_POLICY = re.compile(rf"{_ARN}:iam::(?P<account>[0-9]{{12}}|aws):policy/(?:[\x21-\x7e]+/)?[A-Za-z0-9_+=,.@-]+")


def boundary(text: str, account: str | None) -> str | None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html."""
    match = _POLICY.fullmatch(text)
    if match is None:
        return "allowed is the ARN of a managed policy: arn:PARTITION:iam::ACCOUNT:policy/PATH/NAME"
    owner = account if match["account"] != "aws" else None
    return _elsewhere(match, owner, "a role's boundary is a policy of its own account, or one of AWS")


_OTHER_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov", "[a-z]+-iso": "aws-iso", "eusc-": "aws-eusc"}


def home_region(text: str) -> str | None:
    """The one Region where IAM's events arrive."""
    allowed = f'allowed is "{HOME_REGION}", because IAM\'s events arrive in no other region; buckets may live elsewhere'
    return None if text == HOME_REGION else _other_partition(text) or allowed


def region(text: str) -> str | None:
    """Where a bucket lives."""
    if not REGION.fullmatch(text):
        return 'allowed is the code of an AWS region, such as "us-west-2"'
    return _other_partition(text)


def _other_partition(text: str) -> str | None:
    found = next((name for start, name in _OTHER_PARTITIONS.items() if re.match(start, text)), PARTITION)
    if found == PARTITION:
        return None
    return (
        f'the partition "{found}" is not supported, because Anyscale supports no other than the partition "{PARTITION}"'
    )


_BUCKET_NAMING = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html"
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")


def bucket_name(text: str) -> str | None:
    """The name of a general purpose bucket."""
    if text.startswith(("s3://", "arn:")):
        return "allowed is the bare name of the bucket"
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text) or ".." in text:
        return (
            "allowed are 3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or "
            f"digit, no two dots together ({_BUCKET_NAMING})"
        )
    if re.fullmatch(r"[0-9]+(\.[0-9]+){3}", text):
        return f"a bucket's name cannot look like an IP address ({_BUCKET_NAMING})"
    begins = [f'begin with "{each}"' for each in _RESERVED_PREFIXES if text.startswith(each)]
    ends = [f'end with "{each}"' for each in _RESERVED_SUFFIXES if text.endswith(each)]
    return next((f"S3 reserves names that {reserved} ({_BUCKET_NAMING})" for reserved in begins + ends), None)


_KEY = re.compile(r"arn:(?P<partition>[a-z-]+):kms:(?P<region>[a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]{1,128}")


def kms_key(text: str, region: str) -> str | None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html."""
    match = _KEY.fullmatch(text)
    if match is None:
        return (
            "allowed is the ARN of a KMS key (arn:PARTITION:kms:REGION:ACCOUNT:key/ID), not an alias, because an alias "
            "can come to mean another key"
        )
    if REGION.fullmatch(region) and match["region"] != region:
        return f'a bucket\'s key must be in the Region of the bucket, "{region}"'
    return _elsewhere(match, None, "")


_LONGEST_ROLE = 575
_AWS_PATHS = ("aws-service-role/", "aws-reserved/")


def role_pattern(text: str) -> str | None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: paths ≤ 512, role names ≤ 64."""
    if text.startswith(("arn:", "role/", "/")):
        return 'allowed is what follows "role/" in a role\'s ARN, without a slash before it: "anyscale/production/*"'
    if len(text) > _LONGEST_ROLE:
        return f"a role's path and name have at most {_LONGEST_ROLE} characters"
    if not re.fullmatch(r"[A-Za-z0-9_+=,.@/*?-]+", text):
        return "allowed are letters, digits, + = , . @ _ - / and the wildcards * and ?"
    if "//" in text or text.endswith("/"):
        return "it matches no role: a role's ARN has no empty part, and its name comes last"
    if _is_too_broad(text):
        return _TOO_BROAD
    return _path_of_aws(text)


def _path_of_aws(text: str) -> str | None:
    """That a pattern names roles under a path of AWS, or begins as one does."""
    literal = re.split(r"[*?]", text, maxsplit=1)[0]
    for path in _AWS_PATHS:
        if path in text or (len(literal) >= _MIN_LITERALS and path.startswith(literal)):
            return f'roles under "{path}" belong to AWS and are never touched'
    return None


_TAG_KEY = re.compile(r"[A-Za-z0-9_.:/=+@-](?:[A-Za-z0-9 _.:/=+@-]{0,126}[A-Za-z0-9_.:/=+@-])?")


def tag_key(text: str) -> str | None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules, in ASCII because the key also
    is in a condition of the reconciler's own policy.
    """
    if not _TAG_KEY.fullmatch(text):
        return "allowed are 1 to 128 letters, digits and spaces (not at the ends) and . : / = + - @ _"
    if text.lower().startswith("aws:"):
        return 'tags that begin with "aws:" belong to AWS'
    if text.lower() == MODE_TAG:
        return "this tag narrows the mode of a role and cannot also enroll it"
    if text.lower() == "anyscale-cloud-id":
        return "Anyscale's control-plane role carries this tag too, and EC2 must never be able to assume that role"
    return None


email = _like(
    r"(?=.{1,254}$)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]",
    'allowed is one e-mail address, such as "oncall@example.com"',
)
workspace = _like(
    r"T[A-Z0-9]{7,254}",
    'allowed is the id of a Slack workspace, such as "T07EA123LEP"; the console of Amazon Q shows it',
)
channel = _like(
    r"[CG][A-Z0-9]{7,254}",
    'allowed is the id of a Slack channel, such as "C07EZ1ABC23", not its name; it is at the end of the link to the '
    "channel",
)
_secret_name = _like(
    r"[A-Za-z0-9/_+=.@-]{1,512}",
    "allowed is the name of a secret of Secrets Manager, 1 to 512 letters, digits and / _ + = . @ -, or its whole ARN",
)
_SECRET = re.compile(
    rf"{_ARN}:secretsmanager:(?P<region>[a-z0-9-]+):{_ACCOUNT_PART}:secret:[A-Za-z0-9/_+=.@-]{{1,512}}-[A-Za-z0-9]{{6}}"
)
_WEBHOOK_URL = re.compile(r"://|^/?/?hooks\.|(^|/)[TE][A-Z0-9]{5,}/B[A-Z0-9]{5,}/", re.IGNORECASE)


def secret(text: str, account: str | None) -> str | None:
    """https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html (Name)."""
    if _WEBHOOK_URL.search(text):
        return "it looks like the URL itself; put the URL into a secret, never here, and here the name of the secret"
    if not text.startswith("arn:"):
        return _secret_name(text)
    match = _SECRET.fullmatch(text)
    if match is None:
        return (
            "allowed is the whole ARN of a secret, arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME-XXXXXX with "
            "the six characters that Secrets Manager adds, or its name alone"
        )
    if (match["region"], match["partition"]) != (HOME_REGION, PARTITION):
        return f'the secret must be in the home region, "{HOME_REGION}"'
    if account is not None and match["account"] != account:
        return f'the secret must be in the account of the deployment, "{account}"'
    return None
