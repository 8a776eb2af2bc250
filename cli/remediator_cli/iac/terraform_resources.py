"""The resources of a Terraform plan, each as it is before and after, from the JSON of the plan.

What is not of the kind that the format promises is passed over, unless a verdict depends on it.
https://developer.hashicorp.com/terraform/internals/json-format
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from remediator_cli.iac.declared import NotReadable
from remediator_cli.iac.json_members import NO_MEMBERS, Members, list_of, object_of, objects_of, text_of

_TYPES = frozenset(
    {
        "aws_iam_instance_profile",
        "aws_iam_policy",
        "aws_iam_policy_attachment",
        "aws_iam_role",
        "aws_iam_role_policies_exclusive",
        "aws_iam_role_policy",
        "aws_iam_role_policy_attachment",
        "aws_iam_role_policy_attachments_exclusive",
        "aws_s3_bucket",
        "aws_s3_bucket_policy",
        "aws_s3_bucket_public_access_block",
        "aws_caller_identity",
    }
)
_PUT_OFF: Mapping[str, tuple[str, ...]] = {
    "aws_iam_instance_profile": ("name", "name_prefix"),
    "aws_iam_policy": ("policy",),
    "aws_iam_policy_attachment": ("policy_arn",),
    "aws_iam_role": ("assume_role_policy", "inline_policy", "managed_policy_arns", "permissions_boundary"),
    "aws_iam_role_policies_exclusive": ("policy_names",),
    "aws_iam_role_policy": ("policy",),
    "aws_iam_role_policy_attachment": ("policy_arn",),
    "aws_iam_role_policy_attachments_exclusive": ("policy_arns",),
    "aws_s3_bucket_policy": ("policy",),
}
"""What is not known of a resource while its change is put off: what verdicts depend on, but not whose it is."""
_FORMAT = re.compile(r"[01]\.[0-9]+")


@dataclass(frozen=True, slots=True)
class PlannedResource:
    """One resource; ``before`` and ``after`` are None where it does not exist then.

    ``is_forgotten`` says that what was before is left as it is, and no longer managed. ``put_off`` says why the plan
    puts a change off to a later apply, None where it does not.
    """

    address: str
    module: str
    type: str
    name: str
    index: object
    is_managed: bool
    is_replaced: bool
    before: Members | None
    after: Members | None
    unknown: Members
    is_forgotten: bool = False
    put_off: str | None = None

    def why_unknown(self, attribute: str) -> str:
        """Why an attribute is not known, as a sentence."""
        if self.put_off is not None:
            return f"the plan puts the change of {self.address} off ({self.put_off})"
        return f"{attribute} of {self.address} is known only after apply"


def checked_plan(value: object) -> Members:
    """The plan. Raises NotReadable, saying what to do, for what is none."""
    expected = "expected the output of `terraform show -json tfplan` for a plan of `terraform plan -out=tfplan`"
    if not isinstance(value, dict):
        raise NotReadable(f"is not a plan but {'a list' if isinstance(value, list) else 'a bare value'}; {expected}")
    if "@level" in value:
        raise NotReadable(f"is the log of `terraform plan -json` and not the plan; {expected}")
    if "values" in value or {"lineage", "serial"} <= value.keys():
        raise NotReadable(f"is a state and not a plan; {expected}")
    version = value.get("format_version")
    if not isinstance(version, str):
        raise NotReadable(f"has no format_version, so it is not a plan; {expected}")
    if not _FORMAT.fullmatch(version):
        raise NotReadable(f"is a plan of format_version {version!r}; this command supports 0.x and 1.x")
    if value.get("errored") is True:
        raise NotReadable("is an incomplete plan that failed; fix the error that `terraform plan` reported")
    return value


def resources_of(plan: Members) -> tuple[PlannedResource, ...]:
    """Those that change, and those that stay. Raises NotReadable where one is not what the format says."""
    changed = (*_changed(plan), *_put_off(plan))
    addresses = {resource.address for resource in changed}
    prior = _prior(object_of(plan, "prior_state", "values", "root_module"))
    return (*changed, *(each for each in prior if each.address not in addresses))


def _changed(plan: Members) -> Iterator[PlannedResource]:
    for place, each in _entries(plan, "resource_changes"):
        if (found := _resource(each, place)) is not None:
            yield found


def _put_off(plan: Members) -> Iterator[PlannedResource]:
    """The resources whose changes wait for a later apply: until then they are what they were, and then unknown."""
    for place, entry in _entries(plan, "deferred_changes"):
        found = _resource(object_of(entry, "resource_change"), place)
        if found is None:
            continue
        is_new = found.before is None
        unknown = dict.fromkeys(_PUT_OFF.get(found.type, ()), True)
        yield replace(
            found,
            is_replaced=False,
            after=(found.after or NO_MEMBERS) if is_new else found.before,
            unknown={**(found.unknown if is_new else NO_MEMBERS), **unknown},
            put_off=text_of(entry.get("reason")) or "no reason is given",
        )


def _entries(plan: Members, key: str) -> Iterator[tuple[str, Members]]:
    listed = plan.get(key)
    if listed is not None and not isinstance(listed, list):
        raise NotReadable(f"{key} is not a list, so it is not a plan of Terraform")
    for position, each in enumerate(list_of(listed)):
        yield f"{key}[{position}]", object_of(each)


def _resource(entry: Members, place: str) -> PlannedResource | None:
    """One change; None where it is of a type that no verdict depends on."""
    address, kind = entry.get("address"), entry.get("type")
    if not isinstance(address, str) or not isinstance(kind, str):
        raise NotReadable(f"{place} has no address or no type")
    if kind not in _TYPES:
        return None
    change, place = object_of(entry, "change"), f"{place} ({address}): change"
    actions = change.get("actions")
    if not isinstance(actions, list) or not actions:
        raise NotReadable(f"{place}.actions is missing")
    before, after = (_optional(change, key, place) for key in ("before", "after"))
    is_forgotten = "forget" in actions
    return PlannedResource(
        address=address,
        module=text_of(entry.get("module_address")),
        type=kind,
        name=text_of(entry.get("name")),
        index=entry.get("index"),
        is_managed=entry.get("mode") != "data",
        is_replaced="create" in actions and ("delete" in actions or is_forgotten),
        before=before,
        after=before if actions == ["forget"] else after,
        unknown=object_of(change, "after_unknown"),
        is_forgotten=is_forgotten,
    )


def _optional(change: Members, key: str, place: str) -> Members | None:
    value = change.get(key)
    if value is not None and not isinstance(value, dict):
        raise NotReadable(f"{place}.{key} is not an object")
    return value


def _prior(module: Members) -> Iterator[PlannedResource]:
    for each in objects_of(module.get("resources")):
        address, kind, values = each.get("address"), each.get("type"), each.get("values")
        if isinstance(address, str) and kind in _TYPES and isinstance(values, dict):
            yield PlannedResource(
                address=address,
                module=text_of(module.get("address")),
                type=str(kind),
                name=text_of(each.get("name")),
                index=each.get("index"),
                is_managed=each.get("mode") != "data",
                is_replaced=False,
                before=values,
                after=values,
                unknown=NO_MEMBERS,
            )
    for child in objects_of(module.get("child_modules")):
        yield from _prior(child)
