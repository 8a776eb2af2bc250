"""Remove what the remediator owns from roles and buckets: find it, then write as the engine of writes does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remediator.core.events.event import Cause
from remediator.core.history.change import Change, ChangeKind
from remediator.core.model.scan import Scanned, ScannedRole, UnreadableRole
from remediator.core.model.write import DocumentId, DocumentKind
from remediator.core.repair.outcome import Applied
from remediator.core.repair.removal import (
    Removal,
    removals_from_bucket,
    removals_from_role,
    removals_of_profile,
)
from remediator.core.repair.write_blockers import Retained
from remediator.errors import NotFoundError, RemediatorError
from remediator.flows.recorder import Recorder
from remediator.flows.undo import trouble_of, why_not
from remediator.flows.write import Changed, Engine
from remediator.gateways.world import World
from remediator.settings import BucketSettings

if TYPE_CHECKING:
    from remediator.gateways.account import AccountScan

_MOST_CHANGES = 100_000
_ORDER = (
    DocumentKind.INLINE_POLICY,
    DocumentKind.BUCKET_POLICY,
    DocumentKind.TRUST_POLICY,
    DocumentKind.INSTANCE_PROFILE,
)


@dataclass(frozen=True, slots=True)
class FoundGrants:
    """What belongs to the remediator: ``removals`` can be removed, in this order, and ``left`` cannot.

    ``unknown`` are the names that were asked for, and that no role of the account has.
    """

    removals: tuple[Removal, ...]
    left: tuple[Retained, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """It is gone, and reading the document back showed it.

    ``change`` is its record, None where there is none. ``trouble`` says what could not be recorded, empty where all
    was.
    """

    change: Change | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class NotRemoved:
    """It is still there, or may be; ``why`` says why, in sentences."""

    why: str


def find_grants(world: World, names: frozenset[str], *, has_history: bool) -> FoundGrants:
    """Look for it in all roles of the account and all buckets of the configuration, or for that of some ``names``.

    ``world.scan`` has to keep every role. Grants come first and the trust of EC2 after them, instance profiles last;
    these are known from the history alone. Raises any AwsError of the scan and the history, and TransientError.
    """
    roles = tuple(_roles(world.scan))
    listed = {str(each.role.arn): each for each in roles if isinstance(each, ScannedRole)}
    found = (
        *_in_roles(world, roles, names),
        *_in_buckets(world, listed, names),
        *(_instance_profiles(world, names) if has_history else ()),
    )
    removals = sorted(
        (each for each in found if isinstance(each, Removal)), key=lambda each: _ORDER.index(each.write.document.kind)
    )
    left = tuple(each for each in found if isinstance(each, Retained))
    return FoundGrants(tuple(removals), left, unknown=tuple(sorted(names - {_name(each) for each in roles})))


def _name(scanned: Scanned) -> str | None:
    return scanned.name if isinstance(scanned, UnreadableRole) else scanned.role.arn.name


def _in_roles(world: World, roles: tuple[Scanned, ...], names: frozenset[str]) -> Iterator[Removal | Retained]:
    for scanned in roles:
        if names and _name(scanned) not in names:
            continue
        if isinstance(scanned, UnreadableRole):
            yield Retained(f"role {scanned.name}", f"It could not be read: {scanned.why}")
        else:
            cloud = scanned.role.tags.get(world.settings.enrollment_tag, "")
            yield from removals_from_role(scanned, (cloud,) if world.settings.cloud(cloud) else ())


def _in_buckets(world: World, roles: Mapping[str, ScannedRole], names: frozenset[str]) -> Iterator[Removal | Retained]:
    settings, account = world.settings, world.account
    buckets: dict[str, BucketSettings] = {}
    for bucket in (bucket for cloud in settings.clouds for bucket in cloud.buckets):
        buckets.setdefault(bucket.name, bucket)
    for bucket in buckets.values():
        owner = bucket.account or settings.clouds_of_bucket(bucket.name)[0].account or account
        try:
            policy = world.buckets.read_policy(bucket.name, region=bucket.region, account=owner)
        except NotFoundError:
            continue
        document = DocumentId(DocumentKind.BUCKET_POLICY, bucket.name, account=owner, region=bucket.region)
        yield from removals_from_bucket(document, policy, roles, names, account, settings)


def remove(removal: Removal, cause: Cause, world: World, *, sequence: int, has_history: bool) -> Removed | NotRemoved:
    """Remove what belongs to the remediator from one document; ``cause`` is who does it, ``sequence`` counts it.

    Without a history, and where no role is left to record it under, it is not recorded. Raises no AwsError: whatever
    happens, the result says what was done.
    """
    occasion = removal.occasion(world.account, cause)
    recorder = Recorder(world, occasion, is_kept=has_history and removal.role is not None, first=sequence)
    try:
        result = Engine(world, recorder, needs_role=False).carry_out(removal.write, ChangeKind.UNDO)
    except Changed:
        return NotRemoved("It has changed since it was shown, and was left as it is: look once more.")
    except RemediatorError as error:
        if not recorder.changes:
            return NotRemoved(f"It could not be recorded, and nothing is written without a record: {error}")
        return NotRemoved(f"It could not be checked before it was to be written: {error}")
    trouble = trouble_of(recorder)
    if isinstance(result, Applied):
        return Removed(recorder.changes[-1] if recorder.is_kept else None, trouble)
    return NotRemoved(" ".join(filter(None, (why_not(result, nothing=""), trouble))))


def _roles(scan: AccountScan) -> Iterator[Scanned]:
    marker: str | None = None
    while True:
        page = scan.page(marker)
        yield from page.roles
        marker = page.next_marker
        if marker is None:
            return


def _instance_profiles(world: World, names: frozenset[str]) -> Iterator[Removal | Retained]:
    """The instance profiles that the remediator has created, each once, as they are now."""
    seen: set[str] = set()
    for listed in world.history.list_changes(most=_MOST_CHANGES):
        name = listed.document.name
        is_one = listed.document.kind is DocumentKind.INSTANCE_PROFILE and listed.kind is ChangeKind.REPAIR
        if not is_one or not listed.may_have_taken_effect or name in seen or (names and listed.role_name not in names):
            continue
        made = world.history.read_change(listed.change_id)
        if made is None or made.before is not None:
            continue
        seen.add(name)
        yield from removals_of_profile(made, world.roles.read_instance_profile(name))
