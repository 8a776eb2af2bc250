"""What moto and botocore work out anew with every call though it never changes: a sixth of the time of their tests."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from botocore import useragent
from moto import backend_index
from moto.core import parse, responses, utils

_FIRST: Final = {"dynamodb", "iam", "kms", "s3", "secretsmanager", "sns", "sqs", "ssm", "sts"}


def install() -> None:
    """Have it worked out once. Nothing that a call answers depends on it."""
    functions: Any = (
        (useragent, "sanitize_user_agent_string_component"),
        (responses, "method_names_from_class"),
        (responses, "camelcase_to_underscores"),
        (utils, "camelcase_to_underscores"),
        (parse, "camelcase_to_underscores"),
    )
    for module, name in functions:
        if hasattr(module, name):
            setattr(module, name, cache(getattr(module, name)))
    # The patterns of two hundred services are tried one after the other, to find whom an address belongs to.
    backend_index.backend_url_patterns.sort(key=lambda named: named[0] not in _FIRST)
