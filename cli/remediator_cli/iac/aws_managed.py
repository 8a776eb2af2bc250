"""The policies of AWS itself that the roles of cluster nodes often carry: a plan names them, and does not hold them.

Only those are listed whose document decides something here, or is often in the way of a verdict. All others are
unknown, and so is what they grant.
https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources

from remediator.core.policy.document import Json, PolicyDocument, read_mapping
from remediator.core.policy.reading import Present, Reading, Unreadable

_ARN = re.compile(r"arn:aws[a-z-]*:iam::aws:policy/(?P<name>[\w+=,.@-]+)", re.ASCII)


def aws_managed(arn: str, file: str) -> Reading[PolicyDocument]:
    """The document of a managed policy that a ``file`` (a plan, a template) names by its ARN, and does not hold."""
    match = _ARN.fullmatch(arn)
    document = None if match is None else published().get(match["name"])
    if document is None:
        return Unreadable(f"the {file} does not hold the managed policy {arn}")
    return Present(read_mapping(document))


@cache
def published() -> dict[str, Json]:
    """The documents that are known, by the names of the policies."""
    text = resources.files(__package__).joinpath("aws_managed.json").read_text(encoding="utf-8")
    documents: dict[str, Json] = json.loads(text)
    return documents
