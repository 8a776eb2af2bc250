"""Terraform plans in the shape of ``terraform show -json``, and a configuration to check them with."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Json = dict[str, Any]

ACCOUNT = "111122223333"
BUCKET = "acme-anyscale-production"
ROLE_NAME = "head-node"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/anyscale/production/{ROLE_NAME}"
TAGS = {"anyscale:cluster-role": "production"}
EC2 = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
LAMBDA = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
ROLE = "aws_iam_role.head_node"
GRANT = "aws_iam_role_policy.data"


def bucket_access(*actions: str) -> Json:
    return {
        "Effect": "Allow",
        "Action": list(actions) or "s3:*",
        "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
    }


def text(*statements: Mapping[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def role_values(**changes: Any) -> Json:
    """A role as Terraform's state has it."""
    return {
        "arn": ROLE_ARN,
        "assume_role_policy": text(EC2),
        "id": ROLE_NAME,
        "inline_policy": [],
        "managed_policy_arns": [],
        "name": ROLE_NAME,
        "name_prefix": "",
        "path": "/anyscale/production/",
        "permissions_boundary": "",
        "tags": TAGS,
        "tags_all": TAGS,
        "unique_id": "AROAEXAMPLEHEADNODE01",
        **changes,
    }


def new_role_values(**changes: Any) -> tuple[Json, Json]:
    """A role that is to be created: what is known of it, and what is known only after apply."""
    values = role_values(**changes)
    unknown = dict.fromkeys(("arn", "id", "inline_policy", "managed_policy_arns", "name_prefix", "unique_id"), True)
    for key in unknown:
        values.pop(key)
    return values, unknown


def grant_values(*statements: Mapping[str, object], **changes: Any) -> Json:
    return {"name": "data", "role": ROLE_NAME, "policy": text(*(statements or (bucket_access(),))), **changes}


def resource(
    address: str, before: Json | None, after: Json | None, *, unknown: Json | None = None, **members: Any
) -> Json:
    """One entry of ``resource_changes``; the actions follow from what is there before and after."""
    parts = re.fullmatch(r"(?:.*\.)?(?P<kind>[a-z0-9_]+)\.(?P<name>[\w-]+)(?:\[(?P<index>[^\]]+)\])?", address)
    assert parts is not None
    kind, name = parts["kind"], parts["name"]
    index = None if parts["index"] is None else json.loads(parts["index"])
    actions = {(True, True): ["no-op"] if before == after and not unknown else ["update"]}
    actions.update({(False, True): ["create"], (True, False): ["delete"], (False, False): ["no-op"]})
    return {
        "address": address,
        "mode": "managed",
        "type": kind,
        "name": name,
        **({} if index is None else {"index": index}),
        "provider_name": "registry.terraform.io/hashicorp/aws",
        "change": {
            "actions": actions[before is not None, after is not None],
            "before": before,
            "after": after,
            "after_unknown": unknown or {},
            "before_sensitive": {},
            "after_sensitive": {},
        },
        **members,
    }


def plan(*resources: Json, **members: Any) -> Json:
    return {
        "format_version": "1.2",
        "terraform_version": "1.13.3",
        "planned_values": {"root_module": {}},
        "resource_changes": list(resources),
        "configuration": {"root_module": {}},
        **members,
    }


def usable(*, role: Json | None = None, grant: Json | None = None) -> Json:
    """A plan that changes nothing: a usable role and its grant; the arguments are what becomes of either."""
    was, granted = role_values(), grant_values()
    return plan(
        resource(ROLE, was, was if role is None else role),
        resource(GRANT, granted, granted if grant is None else grant),
    )


def configuration(**changes: Any) -> Json:
    """The settings; keyword arguments change or add keys of the cloud ``production``."""
    cloud = {
        "buckets": [{"name": BUCKET, "region": "us-west-2"}],
        "roles": ["anyscale/production/*"],
        "instanceProfile": "ignore",
        **changes,
    }
    return {"account": ACCOUNT, "clouds": {"production": cloud}}


def written(folder: Path, name: str, value: object) -> str:
    """The path of a file that holds the JSON."""
    path = folder / name
    path.write_text(json.dumps(copy.deepcopy(value)))
    return str(path)
