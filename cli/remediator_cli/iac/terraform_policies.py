"""The policies of a role in a Terraform plan: those of resources of their own, and those that the role itself lists.

A role lists those that its block manages, else those that the provider read others to have given it. Resources whose
type ends with ``_exclusive`` remove what they do not name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from remediator.core.policy.document import read_policy
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator_cli.iac.declared import DeclaredPolicy, OutsideRole
from remediator_cli.iac.json_members import NO_MEMBERS, Members, list_of, objects_of, texts_of
from remediator_cli.iac.terraform_moment import Moment
from remediator_cli.iac.terraform_resources import PlannedResource

_INLINE = "aws_iam_role_policy"
_ATTACHMENT = "aws_iam_role_policy_attachment"
_GROUP = "aws_iam_policy_attachment"
_INLINE_LIST = ("aws_iam_role_policies_exclusive", "policy_names")
_ATTACHED_LIST = ("aws_iam_role_policy_attachments_exclusive", "policy_arns")


def policies_of(moment: Moment, role: PlannedResource | None) -> tuple[DeclaredPolicy, ...]:
    """The policies of a role; or those whose role is unknown."""
    inline = [_inline_policy(moment, each) for each in moment.belonging(_INLINE, "role", role)]
    attached = [_attachment(moment, each) for each in moment.belonging(_ATTACHMENT, "role", role)]
    attached += [_attachment(moment, each) for each in moment.of(_GROUP) if _is_attached(moment, each, role)]
    return (
        *_once(inline, () if role is None else _listed_inline(moment, role)),
        *_once(attached, () if role is None else _listed_managed(moment, role)),
    )


def policies_elsewhere(moment: Moment) -> dict[str, tuple[DeclaredPolicy, ...]]:
    """The policies of roles that the plan does not hold, by the names of these roles."""
    found: dict[str, tuple[DeclaredPolicy, ...]] = {}
    for kind, read in ((_INLINE, _inline_policy), (_ATTACHMENT, _attachment)):
        for owner, resources in moment.owned(kind, "role").items():
            if isinstance(owner, OutsideRole):
                found[owner.name] = (*found.get(owner.name, ()), *(read(moment, each) for each in resources))
    return found


def is_unknown(value: object) -> bool:
    """Whether something within is known only after apply; what is known is false there, or left out."""
    match value:
        case dict():
            return any(map(is_unknown, value.values()))
        case list():
            return any(map(is_unknown, value))
        case _:
            return value is True


def _once(given: list[DeclaredPolicy], listed: Iterator[DeclaredPolicy] | tuple[()]) -> Iterator[DeclaredPolicy]:
    """Each policy once: what the role lists counts only where no resource of its own gives it."""
    found = {policy.name: policy for policy in given}
    for policy in listed:
        found.setdefault(policy.name, policy)
    yield from found.values()


# Policies of resources of their own.


def _inline_policy(moment: Moment, resource: PlannedResource) -> DeclaredPolicy:
    name = moment.text(resource, "name")
    known = name.value if isinstance(name, Present) else resource.address
    return DeclaredPolicy(moment.place(resource), known, False, moment.document(resource, "policy"))


def _attachment(moment: Moment, resource: PlannedResource) -> DeclaredPolicy:
    place = moment.place(resource)
    match moment.text(resource, "policy_arn"):
        case Present(value=arn):
            return DeclaredPolicy(place, arn, True, *moment.managed(arn))
        case Unreadable(why=why):
            if (policy := moment.referenced_policy(resource, "policy_arn")) is not None:
                return DeclaredPolicy(place, policy[0], True, *policy[1:])
        case Absent():
            why = f"policy_arn of {resource.address} is missing"
    return DeclaredPolicy(place, resource.address, True, Unreadable(why))


def _is_attached(moment: Moment, group: PlannedResource, role: PlannedResource | None) -> bool:
    if role is None:
        return is_unknown(moment.unknown(group, "roles"))
    name = moment.name(role)
    return isinstance(name, Present) and name.value in list_of(moment.values(group).get("roles"))


# Policies that the role itself lists.


def _listed_inline(moment: Moment, role: PlannedResource) -> Iterator[DeclaredPolicy]:
    if not moment.is_after or moment.manages(role, "inline_policy"):
        yield from _own_inline(moment, role)
        if moment.is_after:
            return
    kept = _kept(moment, role, *_INLINE_LIST)
    others = {policy.name: policy for policy in _inline_of_others(moment, role)}
    # Such a list gives no inline policy by itself: what only it names is there if it was there before.
    given = kept if moment.former is None else _kept(moment.former, role, *_INLINE_LIST)
    for name in given.names if given else ():
        why = f"the plan does not hold the inline policy {name}"
        others.setdefault(name, DeclaredPolicy(moment.place(role), name, False, Unreadable(why)))
    yield from _left(moment, others, _given_elsewhere(moment, role, _INLINE, "name"), kept)


def _own_inline(moment: Moment, role: PlannedResource) -> Iterator[DeclaredPolicy]:
    unknown = moment.unknown(role, "inline_policy")
    if unknown is True:
        yield _hidden(moment, role, "inline_policy", is_managed=False)
    hidden = list_of(unknown)
    for position, entry in enumerate(objects_of(moment.values(role).get("inline_policy"))):
        yield from _inline_entry(moment, entry, hidden[position] if position < len(hidden) else None, role)


def _inline_of_others(moment: Moment, role: PlannedResource) -> Iterator[DeclaredPolicy]:
    for entry in objects_of(_before(moment, role).get("inline_policy")):
        yield from _inline_entry(moment, entry, None, role)


def _inline_entry(moment: Moment, entry: Members, unknown: object, role: PlannedResource) -> Iterator[DeclaredPolicy]:
    name = entry.get("name")
    if is_unknown(unknown):
        hidden = _hidden(moment, role, "inline_policy", is_managed=False)
        yield replace(hidden, name=name) if isinstance(name, str) and name else hidden
    elif isinstance(name, str) and name and entry.get("policy"):
        yield DeclaredPolicy(moment.place(role), name, False, read_policy(entry["policy"]))


def _listed_managed(moment: Moment, role: PlannedResource) -> Iterator[DeclaredPolicy]:
    if not moment.is_after or moment.manages(role, "managed_policy_arns"):
        if is_unknown(moment.unknown(role, "managed_policy_arns")):
            yield _hidden(moment, role, "managed_policy_arns", is_managed=True)
        yield from (_managed(moment, role, arn) for arn in texts_of(moment.values(role).get("managed_policy_arns")))
        if moment.is_after:
            return
    kept = _kept(moment, role, *_ATTACHED_LIST)
    arns = [*texts_of(_before(moment, role).get("managed_policy_arns")), *(kept.names if kept else ())]
    others = {arn: _managed(moment, role, arn) for arn in arns}
    yield from _left(moment, others, _given_elsewhere(moment, role, _ATTACHMENT, "policy_arn"), kept)


def _managed(moment: Moment, role: PlannedResource, arn: str) -> DeclaredPolicy:
    return DeclaredPolicy(moment.place(role), arn, True, *moment.managed(arn))


def _before(moment: Moment, role: PlannedResource) -> Members:
    """What the role was before, as far as it goes on to be the same role."""
    return NO_MEMBERS if moment.is_after and role.is_replaced else role.before or NO_MEMBERS


def _hidden(moment: Moment, role: PlannedResource, attribute: str, *, is_managed: bool) -> DeclaredPolicy:
    """The placeholder for the unknown content of an attribute."""
    return DeclaredPolicy(moment.place(role), attribute, is_managed, Unreadable(role.why_unknown(attribute)))


# What is left of the policies of others.


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is left where a list removes everything else; ``unknown`` says why there may be more, None if not."""

    names: tuple[str, ...]
    unknown: str | None


def _kept(moment: Moment, role: PlannedResource, kind: str, attribute: str) -> _Kept | None:
    """What is left of the policies of others at this time; None where nothing is removed."""
    for each in moment.belonging(kind, "role_name", role):
        names = tuple(texts_of(moment.values(each).get(attribute)))
        return _Kept(names, each.why_unknown(attribute) if is_unknown(moment.unknown(each, attribute)) else None)
    return None


def _left(
    moment: Moment, others: Mapping[str, DeclaredPolicy], elsewhere: frozenset[str], kept: _Kept | None
) -> Iterator[DeclaredPolicy]:
    """The policies of others, but those that resources of their own gave, as a list leaves them."""
    for name, policy in others.items():
        if name in elsewhere:
            continue
        if not moment.is_after or kept is None or name in kept.names:
            yield policy
        elif kept.unknown is not None:
            yield replace(policy, document=Unreadable(kept.unknown))


def _given_elsewhere(moment: Moment, role: PlannedResource, kind: str, attribute: str) -> frozenset[str]:
    """What resources of their own gave the role before: after, they alone say whether it has it."""
    before = moment.former or moment
    given = before.belonging(kind, "role", role)
    if kind == _ATTACHMENT:
        given = [*given, *(each for each in before.of(_GROUP) if _is_attached(before, each, role))]
    return before.texts(given, attribute)
