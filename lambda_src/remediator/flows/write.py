"""THE engine of writes: record the intent, look again, write once, read back, record the result.

Repairs, removals and undos all go through it; nothing else writes a document to IAM or S3. The clients that write do
not try again by themselves (``gateways.iam``, ``gateways.s3``): a document that the SDK sends again, seconds after it
was read, could overwrite what another principal has written meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, assert_never

from remediator.core.history.change import Change, ChangeKind
from remediator.core.model.role import Role
from remediator.core.model.write import DocumentKind, Write, instance_profile_json, same_document
from remediator.core.policy.document import Json, PolicyDocument, read_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.outcome import Applied, NotApplied, Unconfirmed, WriteResult
from remediator.errors import AwsError, DeniedError, NotFoundError, RejectedError, ThrottledError, TransientError
from remediator.flows.documents import read_document, trust_of
from remediator.flows.recorder import Recorder
from remediator.gateways.world import World

READ_BACK_PAUSES: Final = (0.0, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each try to see a write: IAM is eventually consistent, and AWS gives no number.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency
"""

THROTTLE_PAUSES: Final = (0.5, 1.5)
"""Seconds before each further try of a write that AWS refused for now; after that the queue tries again."""

_NEITHER: Final = "What is there now is neither what it was nor what it should be."
_NOT_SEEN: Final = "Reading it back does not show it yet, or it was undone immediately."
_UNDO_NOT_SEEN: Final = "It was written, but reading it back does not show it yet."

_OF_THE_ROLE: Final = frozenset({DocumentKind.TRUST_POLICY, DocumentKind.INLINE_POLICY})


class Changed(Exception):
    """What is there is not what the write was planned for: the role, or the document, is another one now.

    ``role`` is None where it does not matter, and ``document`` where it was not read, because of the role.
    ``is_retry`` says that AWS had refused the write for now, so that some time had passed since the first look.
    """

    def __init__(self, role: Reading[Role] | None, document: Reading[Json] | None, *, is_retry: bool = False) -> None:
        super().__init__()
        self.role = role
        self.document = document
        self.is_retry = is_retry


@dataclass(frozen=True, slots=True)
class Engine:
    """Carries out writes that are for one occasion, which ``recorder`` records.

    ``needs_role`` says that the role of the occasion has to be the same one still, by its unique id, and
    ``is_enrolled_alike`` whether it is enrolled in the way that the write was planned for. ``tag_may_lag`` says that
    the role may have been tagged so recently that IAM does not authorize the remediator yet, ``role_may_lag`` that it
    may have been created so recently that S3 does not know it yet.
    """

    world: World
    recorder: Recorder
    needs_role: bool = True
    is_enrolled_alike: Callable[[Role], bool] = lambda _: True
    tag_may_lag: bool = False
    role_may_lag: bool = False

    def carry_out(
        self,
        write: Write,
        kind: ChangeKind,
        is_in_effect: Callable[[Reading[Json]], bool] | None = None,
    ) -> WriteResult:
        """Record one write; carry it out if everything is as planned; see that it took effect.

        ``is_in_effect`` says of the document, as it was read back, whether it does what it was written for; by default
        it has to be what was written. The record is made before the last read, so that as little time as possible lies
        between that and the write.

        Raises Changed where something is not as planned any more, NotFoundError where something has gone in the
        meantime, TransientError where it could not be asked for, or recorded, and WritesCapped where no more may be
        written within this window; in none of these cases was the document written.
        """
        try:
            change = self.recorder.intend(write, kind)
        except TransientError:
            raise
        except AwsError as error:
            return NotApplied(write, f"It could not be recorded, and nothing is written without a record: {error}")
        sending = _Sending(write, change, self.world)
        try:
            self._send(sending)
            result = self._result(sending, is_in_effect or partial(_is, document=write.after))
        except Changed:
            self.recorder.abandon(change, "The document, or the role, had changed before it was to be written.")
            raise
        except AwsError as error:
            self.recorder.abandon(change, f"What is there could not be checked before it was to be written: {error}")
            raise
        self.recorder.conclude(change, result)
        return replace(result, change_id=change.change_id)

    def _send(self, sending: _Sending) -> None:
        """Look, and write; look again before each further try of a write that AWS refused for now."""
        self._look(sending.change)
        sending.send()
        for seconds in THROTTLE_PAUSES:
            if not isinstance(sending.failed, ThrottledError):
                return
            self.world.sleep(seconds)
            # Of an instance profile nothing of others can be overwritten: AWS gives it room for one role, and deletes
            # it only when it is empty. A look that failed would hide that the first of two calls was made.
            if sending.begun is None:
                self._look(sending.change, is_retry=True)
            sending.send()

    def _look(self, change: Change, *, is_retry: bool = False) -> None:
        """Look just before a write whether everything is as planned. Raises Changed where it is not."""
        role: Reading[Role] | None = None
        if self.needs_role:
            role = self.world.roles.read_role(change.role_name)
            if not (
                isinstance(role, Present)
                and role.value.role_id == change.role_id
                and self.is_enrolled_alike(role.value)
            ):
                raise Changed(role, None, is_retry=is_retry)
        if role is not None and change.document.kind is DocumentKind.TRUST_POLICY:
            now = trust_of(role)
        else:
            now = read_document(change.document, change.role_name, self.world)
        if not _is(now, change.before):
            raise Changed(role, now, is_retry=is_retry)

    def _result(self, sending: _Sending, is_in_effect: Callable[[Reading[Json]], bool]) -> WriteResult:
        """What became of a write, by reading it back: an answer can be lost, and of two calls one can be made."""
        failed = sending.failed
        is_refused = failed is not None and _is_refusal(failed)
        if failed is not None and is_refused and not _may_be_in_effect(sending.write, failed):
            return self._refused(sending.write, sending.change, failed)
        now = self._read_back(sending.change, is_in_effect, (0.0,) if is_refused else READ_BACK_PAUSES)
        return Applied(sending.write) if is_in_effect(now) else self._not_in_effect(sending, now)

    def _read_back(
        self, change: Change, is_in_effect: Callable[[Reading[Json]], bool], pauses: tuple[float, ...]
    ) -> Reading[Json]:
        """The document, as soon as it is in effect or as it was read last."""
        now: Reading[Json] = Absent()
        for seconds in pauses:
            if seconds:
                self.world.sleep(seconds)
            try:
                now = read_document(change.document, change.role_name, self.world)
            except AwsError as error:
                now = Unreadable(str(error))
                if change.kind is not ChangeKind.UNDO:
                    break  # the SDK has tried again already, and a function has no time to wait for that five times
            if is_in_effect(now):
                break
        return now

    def _not_in_effect(self, sending: _Sending, now: Reading[Json]) -> WriteResult:
        """What became of a write whose effect was not seen; ``now`` is the document as it was read last."""
        write, change = sending.write, sending.change
        match sending.failed:
            case AwsError() as failed if sending.begun is not None:
                return Unconfirmed(write, sending.why_unfinished(failed))
            case AwsError() as failed if _is_refusal(failed):
                return self._refused(write, change, failed)
            case _ if isinstance(now, Unreadable):
                return Unconfirmed(write, f"Reading it back failed: {now.why}")
            case None:
                return Unconfirmed(write, _UNDO_NOT_SEEN if change.kind is ChangeKind.UNDO else _NOT_SEEN)
            case failed if not _is(now, change.before) and (change.kind is ChangeKind.UNDO or sending.has_two_calls):
                return Unconfirmed(write, f"{failed}. {_NEITHER}")
            case failed:
                return NotApplied(write, str(failed), retried=True, is_lost=True, error=failed)

    def _refused(self, write: Write, change: Change, error: AwsError) -> NotApplied:
        """AWS has refused the write. Raises NotFoundError where what was to be written is gone."""
        match error:
            case ThrottledError():
                return NotApplied(write, str(error), retried=True, error=error)
            case DeniedError():
                # Writing to the role depends on the enrollment tag; IAM may not know of a recent one yet.
                by_tag = write.document.kind in _OF_THE_ROLE
                return NotApplied(write, str(error), retried=by_tag and self.tag_may_lag, error=error)
            case RejectedError() if write.document.kind is DocumentKind.BUCKET_POLICY:
                # It may name a principal that S3 does not know (any more). A role that was deleted shows as its id
                # when the policy is read again, and then it can be left out.
                # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
                now = read_document(change.document, change.role_name, self.world)
                if not _is(now, change.before):
                    raise Changed(None, now)
                return NotApplied(write, str(error), retried=self.role_may_lag, error=error)
            case NotFoundError():
                raise error
            case _:
                return NotApplied(write, str(error), error=error)


@dataclass(slots=True)
class _Sending:
    """Sends one write: one call, or two where an instance profile is created or deleted along with its role.

    ``failed`` is the error of the last call. ``begun`` is what the first of two calls has left.
    """

    write: Write
    change: Change
    world: World
    failed: AwsError | None = None
    begun: Json | None = None

    @property
    def has_two_calls(self) -> bool:
        return self.write.document.kind is DocumentKind.INSTANCE_PROFILE

    def why_unfinished(self, failed: AwsError) -> str:
        """What the first of two calls has left."""
        if self.write.before is None:
            return f"It was created, and the role could not be put into it: {failed}"
        return f"{failed}. {_NEITHER}"

    def send(self) -> None:
        """Make the calls that are left, and keep the error of the one that failed."""
        self.failed = None
        try:
            self._send()
        except AwsError as error:
            self.failed = error

    def _send(self) -> None:
        document, after = self.write.document, self.write.after
        roles, role_name = self.world.roles, self.change.role_name
        match document.kind:
            case DocumentKind.TRUST_POLICY:
                roles.write_trust(role_name, _policy(after))
            case DocumentKind.INLINE_POLICY if after is None:
                roles.delete_inline_policy(role_name, document.name)
            case DocumentKind.INLINE_POLICY:
                roles.write_inline_policy(role_name, document.name, _policy(after))
            case DocumentKind.BUCKET_POLICY:
                self._send_bucket_policy(document.name, document.region or "", document.account or "")
            case DocumentKind.INSTANCE_PROFILE:
                self._send_instance_profile(document.name, document.path or "/")
            case _ as never:
                assert_never(never)

    def _send_bucket_policy(self, name: str, region: str, account: str) -> None:
        if self.write.after is None:
            self.world.buckets.delete_policy(name, region=region, account=account)
        else:
            self.world.buckets.write_policy(name, _policy(self.write.after), region=region, account=account)

    def _send_instance_profile(self, name: str, path: str) -> None:
        roles = self.world.roles
        if self.write.before is None and self.begun is None:
            self._create_instance_profile(name, path)
        held, wanted = _roles_in(self.begun or self.write.before), _roles_in(self.write.after)
        for role_name in held - wanted:
            roles.remove_role_from_instance_profile(name, role_name)
            if self.write.after is None:
                self.begun = instance_profile_json(name, path)
        if self.write.after is None:
            roles.delete_instance_profile(name)
        for role_name in wanted - held:
            roles.add_role_to_instance_profile(name, role_name)

    def _create_instance_profile(self, name: str, path: str) -> None:
        """Create it, and wait until IAM shows it; one whose answer was lost and that is there was created."""
        lost: AwsError | None = None
        try:
            self.world.roles.create_instance_profile(name, path)
        except AwsError as error:
            if _is_refusal(error):
                raise
            lost = error
        else:
            self.begun = instance_profile_json(name, path)
        for seconds in READ_BACK_PAUSES:
            if seconds:
                self.world.sleep(seconds)
            if self._exists(name):
                self.begun = instance_profile_json(name, path)
                return
        if lost is not None:
            raise lost

    def _exists(self, name: str) -> bool:
        """Whether IAM shows the instance profile; a read that fails must not hide that it was created."""
        try:
            return isinstance(self.world.roles.read_instance_profile(name), Present)
        except AwsError:
            return False


def _roles_in(profile: Json | None) -> frozenset[str]:
    listed = None if profile is None else profile.get("Roles")
    return frozenset(map(str, listed)) if isinstance(listed, (list, tuple)) else frozenset()


def _may_be_in_effect(write: Write, refused: AwsError) -> bool:
    """Whether the document can be as it should be although AWS refused a call.

    An instance profile may hold the role now, or have been half written; what was to be deleted may be gone.
    """
    is_gone = write.after is None and isinstance(refused, NotFoundError)
    return is_gone or write.document.kind is DocumentKind.INSTANCE_PROFILE


def _is_refusal(error: AwsError) -> bool:
    """Whether AWS did nothing: any answer but one that may have been lost."""
    return isinstance(error, ThrottledError) or not isinstance(error, TransientError)


def _policy(document: Json | None) -> PolicyDocument:
    reading = read_policy(document)
    assert isinstance(reading, Present)  # noqa: S101 - it was planned so
    return reading.value


def _is(reading: Reading[Json], document: Json | None) -> bool:
    """Whether this was read; None stands for a document that does not exist."""
    match reading:
        case Present(value=now):
            return same_document(now, document)
        case Absent():
            return document is None
        case Unreadable():
            return False
        case _ as never:
            assert_never(never)
