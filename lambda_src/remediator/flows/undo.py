"""Undo a change: hold the role back, record it, put the document back, and see that it is as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Protocol, assert_never

from remediator import __version__
from remediator.core.events.event import Cause
from remediator.core.history.change import Change, ChangeState, DocumentKind, same_document
from remediator.core.history.undo import Undo, UndoRefused, decide_undo, is_held_back, undoing
from remediator.core.policy.document import Json, PolicyDocument, read_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import AwsError, RemediatorError, ThrottledError, TransientError
from remediator.flows.apply import READ_BACK_PAUSES, Changed
from remediator.flows.documents import BucketPolicies, RoleDocuments, read_document
from remediator.flows.history import History
from remediator.flows.writing import send
from remediator.settings import MODE_TAG, Mode


class UndoneRoles(RoleDocuments, Protocol):
    """Where documents of a role are put back; it promises what ``gateways.iam.IamGateway`` promises."""

    def tag_role(self, role_name: str, key: str, value: str) -> None:
        """Set a tag of the role."""
        ...

    def write_trust(self, role_name: str, document: PolicyDocument) -> None:
        """Replace the trust policy."""
        ...

    def write_inline_policy(self, role_name: str, policy_name: str, document: PolicyDocument) -> None:
        """Create or replace an inline policy."""
        ...

    def delete_inline_policy(self, role_name: str, policy_name: str) -> None:
        """Delete an inline policy."""
        ...

    def remove_role_from_instance_profile(self, name: str, role_name: str) -> None:
        """Take the role out of an instance profile."""
        ...

    def delete_instance_profile(self, name: str) -> None:
        """Delete an empty instance profile."""
        ...


class UndoneBuckets(BucketPolicies, Protocol):
    """Where bucket policies are put back; it promises what ``gateways.s3.S3Gateway`` promises."""

    def write_policy(self, name: str, document: PolicyDocument, *, region: str, account: str) -> None:
        """Create or replace the policy of the bucket."""
        ...

    def delete_policy(self, name: str, *, region: str, account: str) -> None:
        """Delete the policy of the bucket."""
        ...


@dataclass(frozen=True, slots=True)
class Undone:
    """The document is what it was before the change, and reading it back showed it.

    ``change`` is the undo itself, as it is recorded. ``trouble`` says what could not be recorded, empty where all was.
    """

    change: Change
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class NotUndone:
    """The change was not undone, or not wholly; ``why`` says what was and what was not done, in sentences.

    ``change`` is the undo itself, as it is recorded; None where it did not come to that. ``diff`` shows by what the
    document differs from what the undone change left, where that is the reason. ``is_held_back`` says whether the role
    is set to observe by now.
    """

    why: str
    is_held_back: bool
    change: Change | None = None
    diff: str = ""


def plan_undo(change: Change, *, roles: RoleDocuments, buckets: BucketPolicies) -> Undo | UndoRefused:
    """Say what undoing a change would write now, or why it cannot be undone.

    Raises TransientError where trying again later can help.
    """
    return decide_undo(
        change,
        roles.read_role(change.role_name),
        read_document(change.document, change.role_name, roles=roles, buckets=buckets),
    )


def undo(
    planned: Undo,
    cause: Cause,
    *,
    roles: UndoneRoles,
    buckets: UndoneBuckets,
    history: History,
    clock: Callable[[], datetime],
    pause: Callable[[float], None],
) -> Undone | NotUndone:
    """Undo a change, and say what came of it; ``cause`` is who does it.

    First the role is set to observe, so that the remediator does not make the repair again at once. The record is made
    before the last look, so that as little time as possible lies between that and the write. ``clock`` gives the time
    of each record, and ``pause`` waits for some seconds. Raises no AwsError: whatever happens, it says what was done.
    """
    change = planned.change
    try:
        _hold_back(change.role_name, roles, pause)
    except RemediatorError as error:
        why = f"Nothing was undone. The role could not be set to observe, which comes first: {error}"
        return NotUndone(why, is_held_back=False)
    record = undoing(planned, cause, code_version=__version__, at=clock())
    try:
        history.intend(record)
    except RemediatorError as error:
        why = f"Nothing was undone. It could not be recorded, and nothing is written without a record: {error}"
        return NotUndone(why, is_held_back=True)
    try:
        again = plan_undo(change, roles=roles, buckets=buckets)
    except AwsError as error:
        again = UndoRefused(f"The document could not be looked at before it was to be written: {error}")
    if isinstance(again, UndoRefused):
        record, _ = concluded_as(record, ChangeState.NOT_WRITTEN, again.why, history, clock)
        return NotUndone(f"Nothing was undone. {again.why}", is_held_back=True, change=record, diff=again.diff)
    state, why = put_back(planned, roles, buckets, pause)
    record, trouble = concluded_as(record, state, why, history, clock)
    if state is ChangeState.COMPLETED:
        return Undone(record, trouble)
    beginning = "Nothing was undone." if state is ChangeState.NOT_WRITTEN else ""
    return NotUndone(" ".join(filter(None, (beginning, why, trouble))), is_held_back=True, change=record)


def _hold_back(role_name: str, roles: UndoneRoles, pause: Callable[[float], None]) -> None:
    """Set the role to observe, unless its tag holds the remediator back already. Raises RemediatorError."""
    reading = roles.read_role(role_name)
    if isinstance(reading, Present) and is_held_back(reading.value):
        return
    roles.tag_role(role_name, MODE_TAG, Mode.OBSERVE)
    for seconds in READ_BACK_PAUSES:
        if seconds:
            pause(seconds)
        reading = roles.read_role(role_name)
        if isinstance(reading, Present) and is_held_back(reading.value):
            return
    raise RemediatorError(f"the tag {MODE_TAG} was set, but reading it back does not show it yet. Try again")


def put_back(
    planned: Undo, roles: UndoneRoles, buckets: UndoneBuckets, pause: Callable[[float], None]
) -> tuple[ChangeState, str]:
    """Write what was planned, and say what came of it, with a sentence for people; it is read back to see that.

    Raises no AwsError: one that a call meets is in the sentence.
    """
    look = partial(read_document, planned.change.document, planned.change.role_name, roles=roles, buckets=buckets)
    try:
        failed = send(partial(_write, planned, roles, buckets), partial(_must_be_as_planned, planned, look), pause)
    except Changed:
        return ChangeState.NOT_WRITTEN, "AWS did not take it for now, and meanwhile somebody has changed the document."
    except AwsError as error:
        return ChangeState.NOT_WRITTEN, f"AWS did not take it for now, and it could not be looked at again: {error}"
    # What a failed write left is looked at, too: an answer can be lost, and of two calls one can be made.
    reading: Reading[Json] = Absent()
    for seconds in (0.0,) if failed else READ_BACK_PAUSES:
        if seconds:
            pause(seconds)
        try:
            reading = look()
        except AwsError as error:
            reading = Unreadable(str(error))
        if _is(reading, planned.after):
            return ChangeState.COMPLETED, ""
    if failed is None:
        return ChangeState.UNCONFIRMED, "It was written, but reading it back does not show it yet."
    if not _is(reading, planned.now):
        return ChangeState.UNCONFIRMED, f"{failed}. What is there now is neither what it was nor what it should be."
    if isinstance(failed, TransientError) and not isinstance(failed, ThrottledError):
        return ChangeState.UNKNOWN, f"{failed}. The document is as it was, and may still change: look in a minute."
    return ChangeState.NOT_WRITTEN, str(failed)


def _must_be_as_planned(planned: Undo, look: Callable[[], Reading[Json]]) -> None:
    """Raises Changed where the document is not what was to be replaced any more.

    Of an instance profile nothing is replaced: AWS takes our role out, and deletes it only if it is empty.
    """
    if planned.change.document.kind is not DocumentKind.INSTANCE_PROFILE and not _is(look(), planned.now):
        raise Changed


def _write(planned: Undo, roles: UndoneRoles, buckets: UndoneBuckets) -> None:
    document, role_name = planned.change.document, planned.change.role_name
    match document.kind:
        case DocumentKind.TRUST_POLICY:
            roles.write_trust(role_name, _policy(planned.after))
        case DocumentKind.INLINE_POLICY:
            if planned.after is None:
                roles.delete_inline_policy(role_name, document.name)
            else:
                roles.write_inline_policy(role_name, document.name, _policy(planned.after))
        case DocumentKind.BUCKET_POLICY:
            region, account = document.region or "", document.account or ""  # without them it could not be read
            if planned.after is None:
                buckets.delete_policy(document.name, region=region, account=account)
            else:
                buckets.write_policy(document.name, _policy(planned.after), region=region, account=account)
        case DocumentKind.INSTANCE_PROFILE:
            if planned.now is not None and planned.now.get("Roles"):
                roles.remove_role_from_instance_profile(document.name, role_name)
            if planned.after is None:
                roles.delete_instance_profile(document.name)
        case _ as never:
            assert_never(never)


def _policy(document: Json | None) -> PolicyDocument:
    reading = read_policy(document)
    assert isinstance(reading, Present)  # noqa: S101 - it was planned so
    return reading.value


def _is(reading: Reading[Json], document: Json | None) -> bool:
    match reading:
        case Present(value=now):
            return same_document(now, document)
        case Absent():
            return document is None
        case Unreadable():
            return False
        case _ as never:
            assert_never(never)


def concluded_as(
    record: Change, state: ChangeState, why: str, history: History, clock: Callable[[], datetime]
) -> tuple[Change, str]:
    """The record with what came of it, and what kept that from being recorded, if anything did."""
    at = clock()
    concluded = replace(record, state=state, why=why, concluded_at=at)
    try:
        history.conclude(record.change_id, state, why, at)
        history.close(record.change_id)
    except AwsError as error:
        return concluded, (
            f"What came of it could not be recorded: {error}. The remediator finds it out when it looks at the role "
            "the next time."
        )
    return concluded, ""
