"""An account in memory as the flows see it, quick enough for thousands of schedules; it promises what gateways do."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from remediator.core.alerts.alert_json import record_json
from remediator.core.alerts.notification import Notification, SystemNotice
from remediator.core.history.change import Change, ChangeKind, ChangeState, split_change_id
from remediator.core.history.role_record import RoleRecord
from remediator.core.model.bucket import Bucket
from remediator.core.model.instance_profile import InstanceProfile, InstanceProfiles
from remediator.core.model.own_names import BUCKET_POLICY_SID, OWN_POLICY_NAME
from remediator.core.model.role import InlinePolicy, ManagedPolicy, Role, RolePolicies
from remediator.core.model.scan import ScannedPage, ScannedRole
from remediator.core.model.write import DocumentKind, same_document
from remediator.core.policy.arn import RoleArn
from remediator.core.policy.document import PolicyDocument, read_policy
from remediator.core.policy.reading import Absent, Present, Reading
from remediator.core.repair.role_policy import own_grant_statements
from remediator.errors import NotFoundError, RejectedError, TransientError
from tests.examples import ACCOUNT, BUCKET, ENROLLED, policy

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KeptRole:
    """A role as IAM keeps it; ``inline`` are its policies by name."""

    name: str
    role_id: str
    created: datetime
    trust: Json
    inline: Mapping[str, Json]
    tags: Mapping[str, str] = field(default_factory=lambda: ENROLLED)

    @property
    def arn(self) -> str:
        """Its ARN, which is that of another role of the name, too."""
        return f"arn:aws:iam::{ACCOUNT}:role/anyscale/production/{self.name}"


@dataclass(frozen=True, slots=True)
class State:
    """All roles by name, and the policy of the bucket, at one moment."""

    roles: Mapping[str, KeptRole]
    bucket: Json | None


@dataclass
class Written:
    """What was noticed of our writes: how many changed something, how many edits they overwrote, and what is wrong.

    ``idle`` is how many changed nothing. ``made`` are, for each that changed something, the ids of the changes that it
    may be one of. Those by which somebody undoes a change are counted as ``undone`` alone. ``overtaken`` are those that
    took back what a repair by hand, which is in no turn of the reconciler's, had written between the last read and the
    write.
    """

    effective: int = 0
    idle: int = 0
    undone: int = 0
    overtaken: int = 0
    overwritten: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    made: list[tuple[str, ...]] = field(default_factory=list)


class KeptHistory:
    """The history, in memory; it promises what ``gateways.history.HistoryTable`` promises."""

    def __init__(self) -> None:
        self.changes: dict[str, Change] = {}
        self._memories: dict[str, RoleRecord] = {}
        self._open: dict[str, set[str]] = {}

    def read_role_record(self, role_name: str) -> RoleRecord:
        memory = self._memories.get(role_name, RoleRecord())
        return replace(memory, open_changes=tuple(sorted(self._open.get(role_name, ()))))

    def write_role_record(self, role_name: str, memory: RoleRecord) -> None:
        if self._memories.get(role_name, RoleRecord()).version != memory.version:
            raise TransientError("dynamodb:UpdateItem", "ConditionalCheckFailedException", "somebody else was quicker")
        self._memories[role_name] = replace(memory, open_changes=(), version=memory.version + 1)

    def intend(self, change: Change) -> None:
        if change.change_id in self.changes:
            raise RejectedError("dynamodb:TransactWriteItems", "ConditionalCheckFailed", "it is recorded already")
        self.changes[change.change_id] = change
        self._open.setdefault(change.role_name, set()).add(change.change_id)

    def conclude(self, change_id: str, state: ChangeState, why: str, at: datetime) -> None:
        change = self.changes[change_id]
        if change.state is ChangeState.INTENDED:
            self.changes[change_id] = replace(change, state=state, why=why, concluded_at=at)

    def close(self, change_id: str) -> None:
        self._open.get(split_change_id(change_id)[0], set()).discard(change_id)

    def read_change(self, change_id: str) -> Change | None:
        return self.changes.get(change_id)

    def changes_since(self, role_name: str, since: datetime) -> tuple[Change, ...]:
        found = [each for each in self.changes.values() if each.role_name == role_name and each.intended_at >= since]
        return tuple(replace(each, before=None, after=None) for each in sorted(found, key=lambda each: each.change_id))

    def pending_roles(self) -> tuple[str, ...]:
        names = {name for name, open_changes in self._open.items() if open_changes}
        return tuple(sorted(names | {name for name, memory in self._memories.items() if memory.is_pending}))

    def limit_was_reported(self, at: datetime) -> bool:
        return True

    def note_limit_reported(self, at: datetime) -> None:
        return


class KeptAccount:
    """Roles and a bucket, read and written in the ways of the gateways to IAM and S3, and of the scan.

    ``lag`` gives by how many states a read is behind, which is 0 where AWS is consistent.
    """

    def __init__(self, history: KeptHistory, lag: Callable[[], int]) -> None:
        self.written = Written()
        self.on_own_write: Callable[[str, str], None] = _unnoticed
        self._history = history
        self._lag = lag
        self._states: list[State] = [State({}, None)]
        self._seen: dict[str, tuple[Json | None, bool]] = {}

    @property
    def state(self) -> State:
        """Everything as it is now."""
        return self._states[-1]

    def become(self, state: State) -> None:
        """Replace everything, as somebody else does."""
        self._states.append(state)

    def keep(self, role: KeptRole) -> None:
        """Put a role in the place of the one of its name, as somebody else does."""
        self.become(replace(self.state, roles={**self.state.roles, role.name: role}))

    @contextmanager
    def others_look(self) -> Iterator[None]:
        """What is read meanwhile, somebody else has seen, and not who is amid their own calls."""
        seen, self._seen = self._seen, {}
        try:
            yield
        finally:
            self._seen = seen

    def read_role(self, role_name: str) -> Reading[Role]:
        state = self._behind()
        role = state.roles.get(role_name)
        if role is None:
            return Absent()
        self._see(f"trust {role_name}", role.trust, state)
        return Present(_role(role))

    def read_policies(self, role: Role) -> RolePolicies:
        found = self._found(role.arn.name)
        return RolePolicies(inline=Present(_inline(found)), attached=Present(()))

    def read_inline_policy(self, role_name: str, policy_name: str) -> Reading[PolicyDocument]:
        state = self._behind()
        role = state.roles.get(role_name)
        document = None if role is None else role.inline.get(policy_name)
        self._see(f"inline {role_name}", document, state)
        return _reading(document)

    def read_instance_profiles(self, role_name: str) -> InstanceProfiles:
        self._found(role_name)
        return InstanceProfiles(holding=Present((_profile(role_name),)))

    def read_instance_profile(self, name: str) -> Reading[InstanceProfile]:
        return Present(_profile(name))

    def read_managed_policy(self, arn: str) -> ManagedPolicy:
        raise NotFoundError("iam:GetPolicy", "NoSuchEntity", arn)

    def roles_of_policy(self, policy_arn: str) -> Reading[tuple[str, ...]]:
        return Absent()

    def write_trust(self, role_name: str, document: PolicyDocument) -> None:
        role = self._present(role_name)
        after = _json(document)
        self._write(DocumentKind.TRUST_POLICY, f"trust {role_name}", role.trust, after)
        self.keep(replace(role, trust=after))
        self.on_own_write("UpdateAssumeRolePolicy", role_name)

    def write_inline_policy(self, role_name: str, policy_name: str, document: PolicyDocument) -> None:
        role = self._present(role_name)
        after = _json(document)
        self._must_be_ours(policy_name)
        self._write(DocumentKind.INLINE_POLICY, f"inline {role_name}", role.inline.get(policy_name), after)
        self.keep(replace(role, inline={**role.inline, policy_name: after}))
        self.on_own_write("PutRolePolicy", role_name)

    def delete_inline_policy(self, role_name: str, policy_name: str) -> None:
        role = self._present(role_name)
        self._must_be_ours(policy_name)
        self._write(DocumentKind.INLINE_POLICY, f"inline {role_name}", role.inline.get(policy_name), None)
        self.keep(replace(role, inline={name: each for name, each in role.inline.items() if name != policy_name}))

    def tag_role(self, role_name: str, key: str, value: str) -> None:
        role = self._present(role_name)
        self.keep(replace(role, tags={**role.tags, key: value}))
        self.on_own_write("TagRole", role_name)

    def read_bucket(self, name: str, *, region: str, account: str, key: str | None = None) -> Reading[Bucket]:
        return Present(
            Bucket(
                name=name,
                account=account,
                region=region,
                policy=_reading(self._behind().bucket),
                encryption=Present(None),
            )
        )

    def read_policy(self, name: str, *, region: str, account: str) -> Reading[PolicyDocument]:
        state = self._behind()
        self._see("bucket", state.bucket, state)
        return _reading(state.bucket)

    def write_policy(self, name: str, document: PolicyDocument, *, region: str, account: str) -> None:
        after = _json(document)
        known = {role.arn for role in self.state.roles.values()}
        if any(arn not in known for arn in named_roles(after)):
            raise RejectedError("s3:PutBucketPolicy", "MalformedPolicy", "Invalid principal in policy")
        self._write(DocumentKind.BUCKET_POLICY, "bucket", self.state.bucket, after)
        self.become(replace(self.state, bucket=after))
        self.on_own_write("PutBucketPolicy", BUCKET)

    def delete_policy(self, name: str, *, region: str, account: str) -> None:
        self._write(DocumentKind.BUCKET_POLICY, "bucket", self.state.bucket, None)
        self.become(replace(self.state, bucket=None))

    def page(self, marker: str | None = None) -> ScannedPage:
        roles = self._behind().roles.values()
        scanned = tuple(ScannedRole(_role(each), _inline(each), (), (_profile(each.name),)) for each in roles)
        return ScannedPage(scanned, len(scanned), None)

    def instance_profiles(self) -> Mapping[str, InstanceProfile]:
        return {name: _profile(name) for name in self.state.roles}

    def _behind(self) -> State:
        return self._states[max(0, len(self._states) - 1 - self._lag())]

    def _found(self, role_name: str) -> KeptRole:
        role = self._behind().roles.get(role_name)
        if role is None:
            raise NotFoundError("iam:ListRolePolicies", "NoSuchEntity", role_name)
        return role

    def _present(self, role_name: str) -> KeptRole:
        role = self.state.roles.get(role_name)
        if role is None:
            raise NotFoundError("iam:UpdateAssumeRolePolicy", "NoSuchEntity", role_name)
        return role

    def _see(self, what: str, document: Json | None, state: State) -> None:
        self._seen[what] = (document, state is self.state)

    def _must_be_ours(self, policy_name: str) -> None:
        if policy_name != OWN_POLICY_NAME:
            self.written.wrong.append(f"the inline policy {policy_name} is written, and is not ours")

    def _write(self, kind: DocumentKind, what: str, now: Json | None, after: Json | None) -> None:
        """Notice a write of ours, just before it is made."""
        seen, was_fresh = self._seen.get(what, (None, True))
        if not keeps_foreign(seen, after):
            self.written.wrong.append(f"{what}: a write drops a statement that was read, and is not ours")
        if not same_document(seen, now) and not keeps_foreign(now, after):
            self.written.overwritten.append("after the last read" if was_fresh else "before a stale read")
        if not same_document(seen, now) and not set(named_roles(now)) <= set(named_roles(after)):
            self.written.overtaken += 1
        intended = [
            change
            for change in self._history.changes.values()
            if (change.state, change.document.kind) == (ChangeState.INTENDED, kind)
            and (kind is DocumentKind.BUCKET_POLICY or what.endswith(f" {change.role_name}"))
            and same_document(change.after, after)
        ]
        if intended and all(change.kind is ChangeKind.UNDO for change in intended):
            self.written.undone += 1
        elif not same_document(now, after):
            self.written.effective += 1
            self.written.made.append(tuple(change.change_id for change in intended))
        else:
            self.written.idle += 1
        if not intended:
            self.written.wrong.append(f"{what}: a write is not in the history")


class KeptTopic:
    """The alerts that were published, in order."""

    def __init__(self) -> None:
        self.alerts: list[Json] = []

    def publish(self, alert: Notification | SystemNotice) -> None:
        self.alerts.append(json.loads(record_json(alert)))


def named_roles(bucket: Json | None) -> list[str]:
    """The principals of our statement in the policy of the bucket."""
    statements = [] if bucket is None else bucket["Statement"]
    return [arn for each in statements if each.get("Sid") == BUCKET_POLICY_SID for arn in each["Principal"]["AWS"]]


def is_trusted(role: KeptRole) -> bool:
    """Whether EC2 may assume the role: a look that shares nothing with that of the product."""
    return any(each["Principal"] == {"Service": "ec2.amazonaws.com"} for each in role.trust["Statement"])


def is_granted(role: KeptRole, bucket: Json | None) -> bool:
    """Whether the role is granted the bucket by us, on either side."""
    statements = role.inline.get(OWN_POLICY_NAME, policy())["Statement"]
    granted = all(each in statements for each in own_grant_statements((BUCKET,), "aws"))
    return granted or role.arn in named_roles(bucket)


def keeps_foreign(before: Json | None, after: Json | None) -> bool:
    """Whether all statements that are not ours are still there, in order."""
    rest = iter(foreign(after))
    return all(any(one == other for other in rest) for one in foreign(before))


def foreign(document: Json | None) -> list[Json]:
    """The statements of a document that are not ours; our inline policy has none."""
    statements: list[Json] = [] if document is None else document["Statement"]
    return [each for each in statements if not str(each.get("Sid")).startswith("AnyscaleRemediator")]


def _role(role: KeptRole) -> Role:
    return Role(
        arn=RoleArn.parse(role.arn),
        role_id=role.role_id,
        tags=role.tags,
        trust=read_policy(role.trust),
        created=role.created,
    )


def _inline(role: KeptRole) -> tuple[InlinePolicy, ...]:
    return tuple(InlinePolicy(name, read_policy(document)) for name, document in sorted(role.inline.items()))


def _profile(name: str) -> InstanceProfile:
    return InstanceProfile(f"arn:aws:iam::{ACCOUNT}:instance-profile/{name}", name, (name,))


def _reading(document: Json | None) -> Reading[PolicyDocument]:
    return Absent() if document is None else read_policy(document)


def _json(document: PolicyDocument) -> Json:
    understood: Json = json.loads(json.dumps(document.raw, default=dict))
    return understood


def _unnoticed(call: str, subject: str) -> None:
    return
