"""A schedule from a seed: edits, events, deliveries and faults in some order, until everything has come to rest."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from remediator.core.events.event import APPLY_CALL, Cause
from remediator.core.events.request import ReconcileRequest, request_json
from remediator.core.events.sweep import SweepMessage, sweep_json
from remediator.core.history.change import ChangeKind, ChangeState
from remediator.core.history.pause import Pause
from remediator.core.model.own_names import BUCKET_POLICY_SID, OWN_POLICY_NAME
from remediator.core.model.write import Write
from remediator.core.repair.outcome import Outcome
from remediator.errors import RemediatorError, TransientError
from remediator.flows.notify import notify
from remediator.flows.reconcile import reconcile
from remediator.flows.resume import Resumed, resume
from remediator.flows.undo import plan_undo, undo
from remediator.gateways.world import World
from remediator.handlers import consumer, reconciler, router, sweeper
from remediator.settings import MODE_TAG
from tests.chaos.calls import Killed
from tests.chaos.memory import (
    Json,
    KeptAccount,
    KeptHistory,
    KeptRole,
    KeptTopic,
    State,
    foreign,
    is_granted,
    is_trusted,
    named_roles,
)
from tests.chaos.stage import MAX_RECEIVES, clock_of, run_without_log, times_of
from tests.examples import (
    ACCOUNT,
    BUCKET,
    EC2_STATEMENT,
    LAMBDA_STATEMENT,
    OWN_ROLE_ARN,
    a_cause,
    bucket_grant,
    policy,
    settings,
)
from tests.functional.faults import between_calls
from tests.functional.test_handlers import Context
from tests.unit.events.test_event import load

START: Final = datetime(2026, 3, 4, 10, tzinfo=UTC)
NAMES: Final = ("head-node", "worker", "third")
MOST_TURNS: Final = 4000
FIVE_MINUTES: Final = timedelta(minutes=5)
LONGEST_COMMAND: Final = timedelta(minutes=3)
"""After that no command can be under way any more: what was left open is taken for interrupted."""
ALICE: Final = f"arn:aws:iam::{ACCOUNT}:user/alice"


@dataclass
class Message:
    """A message in a queue; ``group`` is empty in a standard queue."""

    body: str
    due: datetime
    group: str = ""
    receives: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """What came of a schedule: the ``counts`` of what happened in it, and the promises that were broken."""

    seed: int
    counts: Counter[str]
    wrong: tuple[str, ...]


def simulate(seed: int, *, lag: int = 0) -> Schedule:
    """Run the schedule of a seed; every read may be up to ``lag`` states behind."""
    with pytest.MonkeyPatch.context() as patch, run_without_log():
        simulation = _Simulation(random.Random(seed), lag)  # noqa: S311 - a schedule that is the same in every run
        simulation.deploy(patch)
        simulation.run()
        return Schedule(seed, simulation.counts, tuple(simulation.wrong()))


@dataclass
class _Simulation:
    rng: random.Random
    lag: int
    time: datetime = START
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        rng = self.rng
        self._lagging = self.lag
        self._settings = settings(grant=rng.choice(("bucket-policy", "role-policy")))
        self._history = KeptHistory()
        self._account = KeptAccount(self._history, self._behind)
        self._account.on_own_write = self._own_event
        self._topic = KeptTopic()
        self._events = 0
        self._running = False
        self._by_hand = False
        self._recent: dict[tuple[str, str], datetime] = {}
        self._queues: dict[str, list[Message]] = {"intake": [], "sweep": [], "work": []}
        self._dead: list[Message] = []
        self._faults = rng.choice((0, 0, 1, 2, 3))
        self._edits = rng.randint(1, 7)
        self._wrong_before_the_sweep: tuple[str, ...] = ()
        self._edit_rate = rng.choice((0.0, 0.02, 0.1))
        for name in NAMES[: rng.randint(1, 3)]:
            self._account.keep(self._created(name, EC2_STATEMENT))
            self._event("TagRole", name, ALICE, None)
        self._drifted(State({}, None))

    def deploy(self, patch: pytest.MonkeyPatch) -> None:
        """Give the functions this account instead of AWS."""
        patch.setenv("MAX_RECEIVE_COUNT", str(MAX_RECEIVES))
        patch.setenv("CONSUMED_QUEUE_URL", "none")
        account, history = self._gateway(self._account), self._gateway(self._history)
        work, sweeps = self._gateway(_Work(self)), self._gateway(_Sweeps(self))
        topic = self._gateway(self._topic)
        patch.setattr(consumer, "datetime", clock_of(self.now))
        patch.setattr(consumer, "time", times_of(self.now, self._sleep))
        patch.setattr(consumer, "ConsumedQueue", lambda *_: _Consumed())
        patch.setattr(reconciler, "_pause_parameter", _Running)
        patch.setattr(consumer, "settings", lambda: self._settings)
        given = self._given(account, history, topic)
        for module in (router, sweeper, reconciler):
            patch.setattr(module, "_world", lambda _: replace(given, scan=account, work=work, sweeps=sweeps))

    def _given(self, account: Any, history: Any, topic: Any) -> World:
        return World(
            account=ACCOUNT,
            settings=self._settings,
            clock=self.now,
            sleep=self._sleep,
            own_role_arn=OWN_ROLE_ARN,
            roles=account,
            buckets=account,
            history=history,
            alerts=topic,
        )

    def now(self) -> datetime:
        """The time; a little goes by with every look at the clock."""
        self.time += timedelta(milliseconds=1)
        return self.time

    def run(self) -> None:
        """Have everything happen, then stop breaking things and sweep, until the last contest has cooled down."""
        while self._edits or self._waiting():
            self._happens()
        if self._is_heard():
            self.counts["in order without the last sweep"] += 1
            self._wrong_before_the_sweep = tuple(self._wrong_at_the_end())
        self._faults = self.lag = 0
        for name in self._account.state.roles:
            self._type(self._resume, name)
        self.time += LONGEST_COMMAND
        for _ in range(2):
            self._sweep()
            while self._waiting():
                self._happens()
            if not any(self._history.read_role_record(name).conflict for name in self._account.state.roles):
                return
            self.counts["contested"] += 1
            self.time += timedelta(hours=25)

    def _is_heard(self) -> bool:
        """Whether events told of everything, and nothing holds a repair back, so that nothing is left for a sweep."""
        roles = self._account.state.roles
        held_back = any(
            MODE_TAG in role.tags or self._history.read_role_record(name).conflict for name, role in roles.items()
        )
        return not (self.counts["events lost"] or self._account.written.undone or self._lagging or held_back)

    def wrong(self) -> Iterator[str]:
        """The promises that were broken, in sentences."""
        written = self._account.written
        self.counts.update(writes=written.effective, undone=written.undone)
        self.counts.update(overtaken=written.overtaken, overwritten=len(written.overwritten))
        yield from written.wrong
        yield from self._wrong_at_the_end()
        yield from (
            f"before the last sweep, though every event was heard: {each}" for each in self._wrong_before_the_sweep
        )
        yield from self._wrong_with_history()
        if self._lagging:
            return
        if written.idle and not (self.counts["faults"] or self.counts["typed between calls"]):
            yield f"{written.idle} writes changed nothing"
        if written.effective > self.counts["drifts"] + written.overtaken:
            yield f"{written.effective} writes for {self.counts['drifts']} drifts"
        if any(each != "after the last read" for each in written.overwritten):
            yield "an edit was lost that was there when we looked"

    def _wrong_at_the_end(self) -> Iterator[str]:
        state = self._account.state
        for role in state.roles.values():
            if not is_trusted(role):
                yield f"EC2 may not assume {role.name} at the end"
            if not is_granted(role, state.bucket):
                yield f"{role.name} may not use the bucket at the end"
        if self._history.pending_roles():
            yield f"{self._history.pending_roles()} are not settled"
        if self._dead:
            yield f"{len(self._dead)} messages are dead"

    def _wrong_with_history(self) -> Iterator[str]:
        told = Counter(
            change["changeId"]
            for alert in {alert["id"]: alert for alert in self._topic.alerts}.values()
            for change in alert["changes"]
        )
        for intended in self._account.written.made:
            if all(not self._history.changes[each].may_have_taken_effect for each in intended):
                yield f"a document was changed, and the history says that none of {intended} was written"
            elif not any(told[change_id] for change_id in intended):
                yield f"a document was changed, and nobody was told of {intended}"
        for change in self._history.changes.values():
            if change.state is ChangeState.INTENDED:
                yield f"what came of {change.change_id} is not known"
            if change.may_have_taken_effect and change.kind is not ChangeKind.UNDO and not told[change.change_id]:
                yield f"nobody was told of {change.change_id}, {change.state}"
            if told[change.change_id] > 1 + self.counts["faults"] + self.counts["typed between calls"] + self._lagging:
                yield f"{change.change_id} was told {told[change.change_id]} times"

    # What happens

    def _happens(self) -> None:
        """Something: mostly a delivery, at times an edit or a sweep; time goes by where nothing is due."""
        self.counts["turns"] += 1
        assert self.counts["turns"] < MOST_TURNS, "it does not come to rest"
        chance = self.rng.random()
        if self._edits and chance < 0.2:
            self._edit()
        elif self._edits and chance < 0.25:
            self._sweep()
        elif not self._deliver():
            due = [message.due for messages in self._queues.values() for message in messages]
            self.time = (
                max(self.time, min(due))
                if due and self.rng.random() < 0.7
                else self.time + timedelta(seconds=self.rng.randint(1, 200))
            )

    def _deliver(self) -> bool:
        """Hand a batch to a function, if anything is due; whether it was."""
        ready = [name for name, messages in self._queues.items() if self._batch(name, messages)]
        if not ready:
            return False
        name = self.rng.choice(ready)
        batch = self._batch(name, self._queues[name])
        for message in batch:
            message.receives += 1
        module = {"intake": router, "sweep": sweeper, "work": reconciler}[name]
        event = {"Records": [self._record(name, message) for message in batch]}
        context: Any = Context(milliseconds_left=300_000)
        self._running = True
        try:
            answer = module.handle(event, context)
        except Killed:
            self._give_back(name, batch, timedelta(seconds=720))
            return True
        finally:
            self._running = False
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        done = [message for message in batch if f"m{message.number}" not in failed]
        self._queues[name] = [message for message in self._queues[name] if message not in done]
        for message in batch:
            if message not in done:
                self._give_back(name, [message], timedelta(seconds=min(900, 15 * 2 ** (message.receives - 1))))
        return True

    def _give_back(self, name: str, batch: list[Message], after: timedelta) -> None:
        for message in batch:
            message.due = self.time + after
            if message.receives >= MAX_RECEIVES:
                self._queues[name].remove(message)
                self._dead.append(message)

    def _batch(self, name: str, messages: list[Message]) -> list[Message]:
        """Some messages that are due: any of a standard queue, the first ones of one group of the work queue."""
        if name != "work":
            due = [message for message in messages if message.due <= self.time]
            return self.rng.sample(due, min(len(due), self.rng.randint(1, 4)))
        groups: dict[str, list[Message]] = {}
        for message in messages:
            groups.setdefault(message.group, []).append(message)
        heads = [group for group in groups.values() if group[0].due <= self.time]
        if not heads:
            return []
        group = self.rng.choice(heads)
        ready = [message for message in group if message.due <= self.time]
        return ready[: self.rng.randint(1, 4)] if ready == group[: len(ready)] else group[:1]

    def _record(self, name: str, message: Message) -> Json:
        return {
            "messageId": f"m{message.number}",
            "receiptHandle": "r",
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": str(message.receives),
                "MessageGroupId": message.group,
                "SentTimestamp": str(round(self.time.timestamp() * 1000)),
            },
            "messageAttributes": {},
            "md5OfBody": "",
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}",
            "awsRegion": "us-east-1",
        }

    def put(self, name: str, body: str, *, after: timedelta = timedelta(), group: str = "", unique: str = "") -> None:
        """Put a message into a queue; the work queue swallows what it was given in the same group lately."""
        if unique:
            known = self._recent.get((group, unique))
            if known is not None and self.time - known < FIVE_MINUTES:
                return
            self._recent[group, unique] = self.time
        self._events += 1
        self._queues[name].append(Message(body, self.time + after, group, number=self._events))

    def _waiting(self) -> bool:
        return any(self._queues.values())

    def _sweep(self) -> None:
        self.counts["sweeps"] += 1
        self.put("sweep", json.dumps({"format": 1, "reason": "schedule", "time": f"{self.time:%Y-%m-%dT%H:%M:%SZ}"}))

    # What goes wrong

    def _gateway(self, gateway: object) -> Any:
        return between_calls(gateway, self._between)

    def _between(self, method: str) -> None:
        """Before or after a call of a function: somebody edits something, or it fails, or the function is ended."""
        if not self._running:
            return
        self.time += timedelta(milliseconds=self.rng.randint(5, 120))
        chance = self.rng.random()
        if self._edits and chance < self._edit_rate:
            self.counts["edits between calls"] += 1
            self._edit()
        elif self._faults and chance > 0.96:
            self._faults -= 1
            self.counts["faults"] += 1
            if chance > 0.98:
                raise Killed
            raise TransientError(method, "Throttling", "Rate exceeded")

    def _behind(self) -> int:
        return self.rng.randint(0, self.lag) if self.lag and self._running else 0

    def _sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    # What others do

    def _edit(self) -> None:
        """Somebody edits a document, deletes a role and creates it anew, or types; and CloudTrail may tell of it."""
        self._edits -= 1
        before = self._account.state
        role = before.roles[self.rng.choice(sorted(before.roles))]
        if self.rng.random() < 0.2:
            self._type(self.rng.choice((self._undo, self._resume, self._apply)), role.name)
            self._drifted(before)
            return
        self.counts["edits"] += 1
        number = self.counts["edits"]
        edits: list[tuple[str, Callable[[], None]]] = [
            ("UpdateAssumeRolePolicy", lambda: self._trust(role, LAMBDA_STATEMENT)),
            ("UpdateAssumeRolePolicy", lambda: self._trust(role, *_untrusting(role.trust))),
            ("UpdateAssumeRolePolicy", lambda: self._trust(role, *role.trust["Statement"], _lambda(number))),
            ("UpdateAssumeRolePolicy", lambda: self._trust(role, *role.trust["Statement"], EC2_STATEMENT)),
            ("PutRolePolicy", lambda: self._inline(role, f"theirs-{number}", policy(_elsewhere(number)))),
            (
                "PutRolePolicy",
                lambda: self._inline(role, OWN_POLICY_NAME, policy(bucket_grant(BUCKET, "s3:GetObject"))),
            ),
            ("DeleteRolePolicy", lambda: self._inline(role, OWN_POLICY_NAME, None)),
            ("PutBucketPolicy", lambda: self._bucket(_elsewhere(number))),
            ("PutBucketPolicy", lambda: self._bucket(*_statements(before.bucket), _elsewhere(number))),
            ("PutBucketPolicy", lambda: self._bucket(*_without(before.bucket, role))),
            ("TagRole", lambda: self._create_anew(role)),
        ]
        call, act = self.rng.choice(edits)
        act()
        self._drifted(before)
        self._event(call, role.name, ALICE, None)

    def _trust(self, role: KeptRole, *statements: Json) -> None:
        self._account.keep(replace(role, trust=policy(*statements)))

    def _inline(self, role: KeptRole, name: str, document: Json | None) -> None:
        others = {key: each for key, each in role.inline.items() if key != name}
        self._account.keep(replace(role, inline={**others, **({} if document is None else {name: document})}))

    def _bucket(self, *statements: Json) -> None:
        if all(arn.startswith("arn:") for each in statements for arn in _principals(each)):
            self._account.become(replace(self._account.state, bucket=policy(*statements)))
        # Else S3 refuses it, because it names a role that was deleted.

    def _create_anew(self, role: KeptRole) -> None:
        """Its ARN in the policy of the bucket becomes its id, and the new role is another one."""
        self.counts["created anew"] += 1
        self._account.keep(self._created(role.name, LAMBDA_STATEMENT))
        text = json.dumps(self._account.state.bucket).replace(json.dumps(role.arn), json.dumps(role.role_id))
        self._account.become(replace(self._account.state, bucket=json.loads(text)))

    def _created(self, name: str, *trust: Json) -> KeptRole:
        role_id = f"AROAEXAMPLE{self.counts['created anew']:04}{name.upper().replace('-', '')}"
        return KeptRole(name, role_id, self.time - timedelta(seconds=1), policy(*trust), {})

    def _drifted(self, before: State) -> None:
        """Count what was in order before, or did not exist, and is not any more; a deleted role that we name, too."""
        after = self._account.state
        self.counts["drifts"] += len(_deleted(after) - _deleted(before))
        for name, role in after.roles.items():
            was = before.roles.get(name)
            self.counts["drifts"] += not is_trusted(role) and (was is None or is_trusted(was))
            self.counts["drifts"] += not is_granted(role, after.bucket) and (
                was is None or is_granted(was, before.bucket)
            )

    # What a person types

    def _type(self, command: Callable[[str], None], name: str) -> None:
        """Have a command typed that is about a role; nothing of it fails, but a function may be amid its own calls."""
        self.counts["typed between calls"] += self._running
        running, self._running, self._by_hand = self._running, False, True
        try:
            with self._account.others_look():
                command(name)
        except RemediatorError:
            return  # whoever typed it looks at the role some other time
        finally:
            self._running, self._by_hand = running, False

    def _undo(self, name: str) -> None:
        """Undo the last repair of the role that can be undone."""
        world = self._given(self._account, self._history, self._topic)
        for change in reversed(self._history.changes.values()):
            if (change.role_name, change.kind) != (name, ChangeKind.REPAIR):
                continue
            planned = plan_undo(change, world)
            if isinstance(planned, Write):
                undo(change, planned, self._cause("Undo"), world)
                return

    def _apply(self, name: str) -> None:
        """Repair the role, as far as a look at it has something to propose."""
        if self._reconciled(name, Pause(everything=True)).proposed:
            outcome = self._reconciled(name, Pause())
            self.counts["repaired by hand"] += bool(outcome.applied)
            notify(outcome, self._given(self._account, self._history, self._topic))

    def _resume(self, name: str) -> None:
        resumed = resume(name, self._given(self._account, self._history, self._topic))
        self.counts["resumed"] += isinstance(resumed, Resumed)

    def _reconciled(self, name: str, paused: Pause) -> Outcome:
        (cloud,) = self._settings.clouds
        world = replace(self._given(self._account, self._history, self._topic), paused=paused)
        return reconcile(name, (self._cause(APPLY_CALL),), world, group=self._settings.shared_bucket(cloud))

    def _cause(self, call: str) -> Cause:
        self._events += 1
        return replace(a_cause(call), event_id=f"typed {self._events}", time=f"{self.time:%Y-%m-%dT%H:%M:%SZ}")

    # What CloudTrail tells

    def _own_event(self, call: str, subject: str) -> None:
        if self._by_hand:
            self._event(call, subject, ALICE, None)
            return
        self._event(
            call, subject, f"arn:aws:sts::{ACCOUNT}:assumed-role/AnyscaleRemediator-ReconcilerRole/f", OWN_ROLE_ARN
        )

    def _event(self, call: str, role: str, actor: str, issuer: str | None) -> None:
        """CloudTrail tells of a call: late, at times twice, at times not at all."""
        if self.rng.random() < 0.15:
            self.counts["events lost"] += 1
            return
        event = load(call)
        detail = event["detail"]
        self._events += 1
        detail["eventID"] = f"{self._events:08}-0000-4000-8000-000000000000"
        detail["eventTime"] = f"{self.time:%Y-%m-%dT%H:%M:%SZ}"
        detail["requestParameters"] |= {"bucketName": BUCKET} if call == "PutBucketPolicy" else {"roleName": role}
        if call == "TagRole":
            tags = self._account.state.roles[role].tags
            detail["requestParameters"]["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        detail["userIdentity"] = {"type": "IAMUser", "arn": actor}
        if issuer is not None:
            detail["userIdentity"] = {
                "type": "AssumedRole",
                "arn": actor,
                "sessionContext": {"sessionIssuer": {"arn": issuer, "type": "Role"}},
            }
        for _ in range(self.rng.choice((1, 1, 1, 1, 2))):
            self.counts["events"] += 1
            self.put("intake", json.dumps(event), after=timedelta(seconds=self.rng.choice((2, 5, 20, 90, 600))))


class _Work:
    def __init__(self, simulation: _Simulation) -> None:
        self._simulation = simulation

    def send(self, request: ReconcileRequest) -> None:
        self._simulation.put("work", request_json(request), group=request.group, unique=request.deduplication_id)

    def send_all(self, requests: tuple[ReconcileRequest, ...]) -> None:
        for request in requests:
            self.send(request)


class _Sweeps:
    def __init__(self, simulation: _Simulation) -> None:
        self._simulation = simulation

    def send(self, request: SweepMessage) -> None:
        self._simulation.put("sweep", sweep_json(request))


class _Running:
    def read(self) -> str:
        return "running"


class _Consumed:
    def deliver_again(self, failed: object) -> None:
        return


def _always(value: object) -> Callable[[], object]:
    return lambda: value


def _lambda(number: int) -> Json:
    return {**LAMBDA_STATEMENT, "Sid": f"Edit{number}"}


def _elsewhere(number: int) -> Json:
    return {
        "Sid": f"Edit{number}",
        "Effect": "Allow",
        "Principal": {"AWS": [f"arn:aws:iam::{ACCOUNT}:root"]},
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{BUCKET}",
    }


def _untrusting(trust: Json) -> list[Json]:
    return [each for each in trust["Statement"] if "ec2" not in str(each["Principal"])] or [LAMBDA_STATEMENT]


def _statements(document: Json | None) -> list[Json]:
    return [] if document is None else document["Statement"]


def _without(bucket: Json | None, role: KeptRole) -> list[Json]:
    """The policy with the role taken out of our statement, and the statement with its last role."""
    left = [arn for arn in named_roles(bucket) if arn != role.arn]
    ours = [
        {**each, "Principal": {"AWS": left}} for each in _statements(bucket) if each.get("Sid") == BUCKET_POLICY_SID
    ]
    return [*foreign(bucket), *(ours if left else ())] or [_elsewhere(0)]


def _deleted(state: State) -> set[str]:
    return {arn for arn in named_roles(state.bucket) if not arn.startswith("arn:")}


def _principals(statement: Json) -> list[str]:
    named: list[str] = statement["Principal"]["AWS"]
    return named
