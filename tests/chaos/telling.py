"""One telling of a flow, with or without something going wrong, and what must be true at its end whatever it was."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from remediator.core.history.change import ChangeKind, ChangeState
from remediator.core.model.own_names import BUCKET_POLICY_SID, OWN_POLICY_NAME, TRUST_SID
from remediator.core.model.write import DocumentKind, same_document
from remediator.settings import MODE_TAG, Mode
from tests.chaos.calls import Fault, Planned, Request
from tests.chaos.flows import Flow
from tests.chaos.stage import Stage, stage
from tests.examples import BUCKET
from tests.functional.world import PAUSE_PARAMETER

OURS: Final = frozenset({TRUST_SID, BUCKET_POLICY_SID})
MAY_DOUBLE: Final = frozenset({("sns", "Publish"), ("slack", "Post"), ("dynamodb", "UpdateItem")})
"""The calls that tell, and that note that it was told: where one of them fails, it is told once more."""

MAY_NEED_A_SWEEP: Final = frozenset({Fault.STALE, Fault.DENIED})
"""What hides the state of the world, or makes it unreadable: no message comes again that would look once more."""
MAY_REPEAT: Final = frozenset({Fault.STALE, Fault.LOST_AFTER, Fault.SENT_TWICE, Fault.KILLED_AFTER})
"""What leaves it open whether a write was made."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Told:
    """A telling: the ``requests`` that were made in it, and how the world was ``before`` the sweep and ``after`` it.

    ``wrong`` are sentences on promises that were broken. ``moments`` are when each request began and was answered, in
    seconds. ``hit`` says whether the planned call went wrong at all, ``doubled`` how many alerts say once more what
    another one has said, ``people_doubled`` how many of these people have read twice, ``effective`` how many writes of
    ours changed a document, and ``idle`` how many did not. ``alerts`` are those of the story, each with the role, what
    came of it, and what is new about it. ``is_late`` says that it took the first sweep of the next day as well.
    """

    requests: tuple[Request, ...]
    before: Json
    after: Json
    wrong: tuple[str, ...]
    moments: tuple[tuple[float, float], ...] = ()
    hit: bool = False
    doubled: int = 0
    people_doubled: int = 0
    effective: int = 0
    idle: int = 0
    alerts: tuple[str, ...] = ()
    is_late: bool = False


def tell(flow: Flow, planned: Planned | None = None) -> Told:
    """Tell a flow to its end, and then have the schedule ask for one sweep."""
    with stage() as made:
        flow.prepare(made)
        watch, known = _Watch(made), len(made.alerts())
        made.seam.planned, made.seam.before_write, made.seam.watches = planned, watch.before_write, True
        made.seam.requests.clear()
        made.seam.moments.clear()
        flow.drift(made)
        flow.begin(made)
        made.run()
        requests, moments, before = tuple(made.seam.requests), tuple(made.seam.moments), state(made)
        hit, made.seam.planned = made.seam.fired, None
        made.time_goes_by(minutes=3)
        made.sweep()
        made.run()
        is_late = planned is not None and state(made) != undisturbed(flow).after
        if is_late:
            made.sweep(first_of_the_day=True)
            made.run()
        return Told(
            requests,
            before,
            state(made),
            (*watch.wrong, *_wrong_with_history(made, watch.made), *_wrong_with_alerts(made)),
            moments,
            hit,
            max(_doubled(made), _people_doubled(made)),
            _people_doubled(made),
            watch.effective,
            watch.idle,
            tuple(sorted(_in_words(alert) for alert in made.alerts()[known:])),
            is_late,
        )


@cache
def undisturbed(flow: Flow) -> Told:
    """The telling of a flow in which nothing goes wrong."""
    return tell(flow)


def disturbances(flow: Flow) -> tuple[Planned, ...]:
    """Everything that can go wrong with one call of a flow."""
    requests = undisturbed(flow).requests
    return tuple(
        Planned(requests[: place + 1].count(request), request, fault)
        for place, request in enumerate(requests)
        if request.function in flow.functions and (not flow.operations or request.operation in flow.operations)
        for fault in Fault
        if _can(request, fault)
    )


def _can(request: Request, fault: Fault) -> bool:
    match fault:
        case Fault.STALE:
            return request.may_be_stale and request.service != "slack"
        case Fault.LOST_AFTER:
            return not request.is_read
        case Fault.SENT_TWICE:
            return not request.is_read and not request.is_sent_once
        case _:
            return True


def broken_promises(flow: Flow, told: Told, planned: Planned) -> tuple[str, ...]:
    """What is wrong with a telling, beside the same one in which nothing went wrong."""
    expected = undisturbed(flow)
    wrong = list(told.wrong)
    if not told.hit and planned.fault is not Fault.STALE:
        wrong.append("the call did not go wrong")
    # A command that is cut off is not delivered again; what it left is found by the next look.
    comes_again = planned.request.function != "person" and planned.fault not in MAY_NEED_A_SWEEP
    if comes_again and _world(told.before) != _world(expected.before):
        wrong.append(f"before the sweep it is as {_difference(_world(told.before), _world(expected.before))}")
    if told.idle and planned.fault not in MAY_REPEAT:
        wrong.append(f"{told.idle} writes changed nothing")
    # What was not seen, and only a person can mend, is told by the first sweep of a day.
    if told.is_late and planned.fault is not Fault.STALE:
        wrong.append("one sweep was not enough")
    if told.after != expected.after:
        wrong.append(f"it ends as {_difference(told.after, expected.after)}")
    # A key that is not seen as it is does not hold up the grant of its bucket; its own follows with a write of its own.
    is_unseen = planned.request.service == "kms" and planned.fault in {Fault.DENIED, Fault.STALE}
    allowed = expected.effective + is_unseen
    if told.effective > allowed:
        wrong.append(f"{told.effective} writes changed something, instead of {expected.effective}")
    if told.doubled > ((planned.request.service, planned.request.operation) in MAY_DOUBLE):
        wrong.append(f"{told.doubled} alerts say what was said before")
    return tuple(wrong)


def state(made: Stage) -> Json:
    """Roles, instance profiles and bucket as they are, what is open of whom, and what lies among the dead letters."""
    account = made.account
    roles = sorted(role["RoleName"] for role in account.iam.list_roles()["Roles"])
    return {
        "roles": {
            name: {
                "trust": account.trust(name),
                "inline": account.inline(name),
                "tags": _telling_tags(account.iam.list_role_tags(RoleName=name)["Tags"]),
            }
            for name in roles
        },
        "profiles": {
            profile["InstanceProfileName"]: [role["RoleName"] for role in profile["Roles"]]
            for profile in account.iam.list_instance_profiles()["InstanceProfiles"]
        },
        "bucket": account.bucket_policy(),
        "paused": account.ssm.get_parameter(Name=PAUSE_PARAMETER)["Parameter"]["Value"],
        "unsettled": account.history.pending_roles(),
        "open": {name: account.history.read_role_record(name).open_changes for name in roles},
        "dead": made.dead(),
    }


def _world(state: Json) -> Json:
    """The state, less what is still to be concluded in the history."""
    return {name: part for name, part in state.items() if name not in {"unsettled", "open"}}


def _in_words(alert: Json) -> str:
    return f"{(alert.get('role') or {}).get('name', '')} {alert['outcome']} {alert.get('news', '')}".strip()


def _telling_tags(tags: list[Json]) -> list[Json]:
    """The tags, less the one that says no more than none does: that the role is to be repaired."""
    return [tag for tag in tags if (tag["Key"], tag["Value"]) != (MODE_TAG, Mode.REPAIR)]


class _Watch:
    """Looks at each write before it is made: is it recorded, and does it leave alone what is not ours?"""

    def __init__(self, made: Stage) -> None:
        self._stage = made
        self.wrong: list[str] = []
        self.effective = self.idle = 0
        self.made: list[tuple[str, ...]] = []
        """For each write that changed a document, the ids of the changes that it may be one of."""

    def before_write(self, request: Request) -> None:
        with self._stage.seam.aside():
            self._look(request, request.arguments)

    def _look(self, request: Request, arguments: Json) -> None:
        account = self._stage.account
        match request.operation:
            case "TagRole" | "UntagRole":
                return  # a person does so, and nothing of that is recorded
            case "UpdateAssumeRolePolicy":
                role, kind, after = arguments["RoleName"], DocumentKind.TRUST_POLICY, arguments["PolicyDocument"]
                now: Json | None = {"Version": "2012-10-17", "Statement": account.trust(role)}
            case "PutRolePolicy" | "DeleteRolePolicy":
                role, kind, after = arguments["RoleName"], DocumentKind.INLINE_POLICY, arguments.get("PolicyDocument")
                now = account.inline(role).get(OWN_POLICY_NAME)
                if arguments["PolicyName"] != OWN_POLICY_NAME:
                    self.wrong.append(f"{request.name} writes a policy that is not ours")
            case "PutBucketPolicy" | "DeleteBucketPolicy":
                role, kind, after = None, DocumentKind.BUCKET_POLICY, arguments.get("Policy")
                now = account.bucket_policy(BUCKET)
            case _:
                role, kind, after, now = None, DocumentKind.INSTANCE_PROFILE, None, None
        document = None if after is None else json.loads(after)
        if kind is DocumentKind.INSTANCE_PROFILE:
            self.effective += not _is_made(account.iam, request.operation, arguments)
        else:
            changes_it = not same_document(now, document)
            self.effective += changes_it
            self.idle += not changes_it
            if kind is not DocumentKind.INLINE_POLICY and not _keeps(_foreign(now), _foreign(document)):
                self.wrong.append(f"{request.name} drops a statement that is not ours")
        open_changes = [
            change
            for change in account.changes(role)
            if change.state is ChangeState.INTENDED and change.document.kind is kind
        ]
        if kind is not DocumentKind.INSTANCE_PROFILE:
            open_changes = [change for change in open_changes if same_document(change.after, document)]
            self.made += [tuple(change.change_id for change in open_changes)] * changes_it
        if not open_changes:
            self.wrong.append(f"{request.name} is not in the history")


def _is_made(iam: Any, operation: str, arguments: Json) -> bool:
    """Whether the instance profile is as it will be after the write already."""
    try:
        profile = iam.get_instance_profile(InstanceProfileName=arguments["InstanceProfileName"])["InstanceProfile"]
    except iam.exceptions.NoSuchEntityException:
        return operation in {"RemoveRoleFromInstanceProfile", "DeleteInstanceProfile"}
    match operation:
        case "AddRoleToInstanceProfile":
            return bool(profile["Roles"])
        case "RemoveRoleFromInstanceProfile":
            return not profile["Roles"]
        case _:
            return operation == "CreateInstanceProfile"


def _foreign(document: Json | None) -> list[Json]:
    statements = [] if document is None else document["Statement"]
    return [each for each in statements if each.get("Sid") not in OURS]


def _keeps(before: list[Json], after: list[Json]) -> bool:
    """Whether all that was there is still there, in order, but for what was ours."""
    rest = iter(after)
    return all(any(_same(one, other) for other in rest) for one in before)


def _same(one: Json, other: Json) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _wrong_with_history(made: Stage, written: list[tuple[str, ...]]) -> list[str]:
    """Every change is concluded; those that were made were told, and are not said to be unwritten."""
    changes = made.account.changes(None)
    may_be_made = {change.change_id for change in changes if change.may_have_taken_effect}
    told = {each["changeId"] for alert in made.alerts() for each in _changes(alert)}
    wrong = [f"what came of {change.change_id} is not recorded" for change in changes if change.concluded_at is None]
    wrong += [
        f"nobody was told of {change.change_id}, {change.state}"
        for change in changes
        if change.may_have_taken_effect and change.kind is not ChangeKind.UNDO and change.change_id not in told
    ]
    wrong += [
        f"none of {ids} is said to be written, and one of them was" for ids in written if may_be_made.isdisjoint(ids)
    ]
    return wrong


def _wrong_with_alerts(made: Stage) -> list[str]:
    """What machines were told, people were told too, and once; what people were told stands in Slack."""
    ids = {alert["id"] for alert in made.alerts()}
    told = made.people()
    alone = Counter(each["id"] for each in told if each["outcome"] != "digest")
    digests = {each["id"]: each["alerts"] for each in told if each["outcome"] == "digest"}
    wrong = []
    if len(alone) + sum(digests.values()) != len(ids):
        wrong.append(f"of {len(ids)} alerts, {len(alone) + sum(digests.values())} reached people")
    if len(told) > len(alone) + len(digests) + 1:
        wrong.append("people were told the same more than twice")
    if len(set(made.slack)) != len(alone) + len(digests):
        wrong.append(
            f"{len(set(made.slack))} messages stand in Slack, and people were told {len(alone) + len(digests)}"
        )
    if len(made.slack) > len(set(made.slack)) + 1:
        wrong.append("Slack has the same more than twice")
    return wrong


def _doubled(made: Stage) -> int:
    """How many alerts tell of a change that another alert has told of, or tell the same thing once more."""
    alerts = made.alerts()
    again = len(alerts) - len({alert["id"] for alert in alerts})
    unique = {alert["id"]: alert for alert in alerts}.values()
    changes = Counter(each["changeId"] for alert in unique for each in _changes(alert) if each["state"] == "applied")
    return max(again, max(changes.values(), default=1) - 1)


def _changes(alert: Json) -> list[Json]:
    """The changes that an alert tells of; one that is about no single role tells of none."""
    changes: list[Json] = alert.get("changes", [])
    return changes


def _people_doubled(made: Stage) -> int:
    """How many messages people, or Slack, got once more."""
    people = made.people()
    again = len(people) - len({json.dumps(each) for each in people})
    return max(again, len(made.slack) - len(set(made.slack)))


def _difference(one: Any, other: Any, place: str = "") -> str:
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return "; ".join(_difference(one[key], other[key], f"{place}/{key}") for key in one if one[key] != other[key])
    return f"{place}: {json.dumps(one, default=str)} instead of {json.dumps(other, default=str)}"
