"""Run ``remediator`` as a shell does, and describe roles for it."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).parents[2]
ROLE = "arn:aws:iam::111111111111:role/anyscale/head-node"
BUCKET = "acme-data"
OTHER_ACCOUNT = "222222222222"
KEY = "arn:aws:kms:us-west-2:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"
EC2 = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
ACCESS = {
    "Effect": "Allow",
    "Action": "s3:*",
    "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[Json]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def record(self) -> Json:
        (record,) = self.records
        return record


Remediator = Callable[..., Answer]
"""``remediator(*arguments, stdin=b"")`` runs a command in this process."""


def command() -> list[str]:
    """The command line as a program of its own, from this checkout."""
    return [sys.executable, "-m", "remediator_cli"]


def environment() -> dict[str, str]:
    """An environment without credentials and without anything that the tests' own environment sets."""
    roots = os.pathsep.join([str(ROOT / "lambda_src"), str(ROOT / "cli")])
    return {"PYTHONPATH": roots, "PATH": os.defpath, "LANG": "C.UTF-8"}


def run(*arguments: str, stdin: bytes = b"", variables: Mapping[str, str] = MappingProxyType({})) -> Answer:
    """Run a command in a process of its own, with more variables in its environment."""
    ran = subprocess.run(  # this program
        [*command(), *arguments], input=stdin, capture_output=True, check=False, env={**environment(), **variables}
    )
    return Answer(ran.returncode, ran.stdout.decode(), ran.stderr.decode())


def document(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def case(*, role: Json | None = None, bucket: Json | None = None, **members: Any) -> Json:
    """A usable role and its bucket; the arguments change or add members."""
    return copy.deepcopy(
        {
            "id": "head-node",
            "role": {
                "arn": ROLE,
                "role_id": "AROAEXAMPLEHEADNODE01",
                "trust": document(EC2),
                "inline": {"data": document(ACCESS)},
                "managed": [],
                "boundary": None,
                "tags": {},
                **(role or {}),
            },
            "bucket": {
                "name": BUCKET,
                "account": "111111111111",
                "region": "us-west-2",
                "policy": None,
                "encryption": {"sse": "AES256"},
                **(bucket or {}),
            },
            **members,
        }
    )


def without(value: Json, path: str) -> Json:
    """A case without the member at a path such as ``role.trust``."""
    *parents, last = path.split(".")
    inner = value
    for name in parents:
        inner = inner[name]
    del inner[last]
    return value


def lines(*values: object) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)
