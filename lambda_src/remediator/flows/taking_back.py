"""Take what the remediator owns out of roles and buckets: find it, record it, write, and see that it is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from remediator import __version__
from remediator.core.events.event import Cause
from remediator.core.history.change import Change, ChangeKind, ChangeState, DocumentKind, same_document
from remediator.core.history.undo import Undo
from remediator.core.model.scan import Scanned, ScannedRole, UnreadableRole
from remediator.core.policy.reading import Present
from remediator.core.repair.removal import (
    Left,
    Taking,
    change_of,
    take_back_from_bucket,
    take_back_from_role,
    take_back_profile,
)
from remediator.errors import AwsError, NotFoundError, RemediatorError
from remediator.flows.documents import BucketPolicies, RoleDocuments, read_document
from remediator.flows.history import History
from remediator.flows.judge import RoleScan
from remediator.flows.undo import UndoneBuckets, UndoneRoles, concluded_as, put_back
from remediator.settings import Settings

_MOST_CHANGES = 100_000
_ORDER = (
    DocumentKind.INLINE_POLICY,
    DocumentKind.BUCKET_POLICY,
    DocumentKind.TRUST_POLICY,
    DocumentKind.INSTANCE_PROFILE,
)


class ListedHistory(History, Protocol):
    """A history that can be listed as well; it promises what ``gateways.history.HistoryTable`` promises."""

    def list_changes(self, role_name: str | None = None, *, most: int) -> tuple[Change, ...]:
        """The last changes of the role, or of all, newest first, without their documents."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """What is ours: ``takings`` can be taken back, in this order, and ``left`` cannot.

    ``unknown`` are the names that were asked for, and that no role of the account has.
    """

    takings: tuple[Taking, ...]
    left: tuple[Left, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakenBack:
    """It is gone, and reading the document back showed it.

    ``change`` is its record, None where there is none. ``trouble`` says what could not be recorded, empty where all
    was.
    """

    change: Change | None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class NotTakenBack:
    """It is still there, or may be; ``why`` says why, in sentences."""

    why: str


def find_what_is_ours(
    *,
    account: str,
    scan: RoleScan,
    buckets: BucketPolicies,
    roles: RoleDocuments,
    history: ListedHistory | None,
    settings: Settings,
    names: frozenset[str],
) -> Found:
    """Look for it in all roles of ``account`` and all buckets of the configuration, or for that of some ``names``.

    ``scan`` has to keep every role. Grants come first and the trust of EC2 after them, instance profiles last; these
    are known from the history alone. Raises any AwsError of the scan and the history, and TransientError.
    """
    listed: dict[str, ScannedRole] = {}
    present: set[str | None] = set()
    found: list[Taking | Left] = []
    for scanned in _roles(scan):
        present.add(scanned.name if isinstance(scanned, UnreadableRole) else scanned.role.arn.name)
        if isinstance(scanned, UnreadableRole):
            if not names or scanned.name in names:
                found.append(Left(f"role {scanned.name}", f"It could not be read: {scanned.why}"))
            continue
        listed[str(scanned.role.arn)] = scanned
        if not names or scanned.role.arn.name in names:
            cloud = scanned.role.tags.get(settings.enrollment_tag, "")
            found += take_back_from_role(scanned, (cloud,) if settings.cloud(cloud) else ())
    seen: set[str] = set()
    for bucket in (bucket for cloud in settings.clouds for bucket in cloud.buckets):
        if bucket.name in seen:
            continue
        seen.add(bucket.name)
        clouds = settings.clouds_of_bucket(bucket.name)
        owner = bucket.account or clouds[0].account or account
        try:
            policy = buckets.read_policy(bucket.name, region=bucket.region, account=owner)
        except NotFoundError:
            continue
        found += take_back_from_bucket(
            bucket,
            owner,
            policy,
            roles=listed,
            role_account=account,
            partition=settings.partition,
            names=names,
            clouds=tuple(cloud.name for cloud in clouds),
        )
    found += () if history is None else _profiles(history, roles, names)
    takings = [each for each in found if isinstance(each, Taking)]
    takings.sort(key=lambda each: _ORDER.index(each.document.kind))
    return Found(
        tuple(takings), tuple(each for each in found if isinstance(each, Left)), unknown=tuple(sorted(names - present))
    )


def take_back(
    taking: Taking,
    cause: Cause,
    *,
    account: str,
    sequence: int,
    roles: UndoneRoles,
    buckets: UndoneBuckets,
    history: History | None,
    clock: Callable[[], datetime],
    pause: Callable[[float], None],
) -> TakenBack | NotTakenBack:
    """Take back what is ours in one document; ``cause`` is who does it in ``account``, ``sequence`` counts it.

    It is recorded before the last look, so that as little time as possible lies between that and the write; without a
    ``history``, and where no role is left to record it under, it is not. ``clock`` gives the time of each record, and
    ``pause`` waits for some seconds. Raises no AwsError: whatever happens, it says what was done.
    """
    change = change_of(taking, cause, account=account, sequence=sequence, code_version=__version__, at=clock())
    recorder = None if taking.role is None else history
    if recorder is not None:
        try:
            recorder.intend(change)
        except RemediatorError as error:
            return NotTakenBack(f"It could not be recorded, and nothing is written without a record: {error}")
    state, why = ChangeState.NOT_WRITTEN, _why_not_as_found(change, roles, buckets)
    if not why:
        state, why = put_back(Undo(change, change.before, change.after), roles, buckets, pause)
    trouble = ""
    if recorder is not None:
        change, trouble = concluded_as(change, state, why, recorder, clock)
    if state is ChangeState.COMPLETED:
        return TakenBack(None if recorder is None else change, trouble)
    return NotTakenBack(" ".join(filter(None, (why, trouble))))


def _why_not_as_found(change: Change, roles: RoleDocuments, buckets: BucketPolicies) -> str:
    """Why nothing may be written: the document is not, or may not be, what it was found to be; empty where it is."""
    try:
        now = read_document(change.document, change.role_name, roles=roles, buckets=buckets)
    except AwsError as error:
        return f"It could not be looked at before it was to be written: {error}"
    if isinstance(now, Present) and same_document(now.value, change.before):
        return ""
    return "It has changed since it was shown, and was left as it is: look once more."


def _roles(scan: RoleScan) -> Iterator[Scanned]:
    marker: str | None = None
    while True:
        page = scan.page(marker)
        yield from page.roles
        marker = page.next_marker
        if marker is None:
            return


def _profiles(history: ListedHistory, roles: RoleDocuments, names: frozenset[str]) -> Iterator[Taking | Left]:
    """The instance profiles that we have created, each once, as they are now."""
    seen: set[str] = set()
    for listed in history.list_changes(most=_MOST_CHANGES):
        name = listed.document.name
        is_one = listed.document.kind is DocumentKind.INSTANCE_PROFILE and listed.kind is ChangeKind.REPAIR
        if not is_one or not listed.may_have_taken_effect or name in seen or (names and listed.role_name not in names):
            continue
        made = history.read_change(listed.change_id)
        if made is None or made.before is not None:
            continue
        seen.add(name)
        found = take_back_profile(made, roles.read_instance_profile(name))
        if found is not None:
            yield found
