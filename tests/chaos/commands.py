"""What a person types at a terminal, on the stage; a command that fails is typed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from remediator.core.history.change import ChangeKind
from remediator.core.history.pause import RUNNING, Pause, parse_pause
from remediator.core.model.write import DocumentKind, Write
from remediator.core.repair.outcome import OutcomeKind
from remediator.errors import RemediatorError
from remediator.flows.remove_grants import Removed, find_grants, remove
from remediator.flows.resume import NotResumed, resume
from remediator.flows.undo import Undone, plan_undo, undo
from remediator.gateways.account import AccountScan
from remediator_cli.deployment.applying import begin_applying
from remediator_cli.deployment.aws import Account
from remediator_cli.deployment.enrollment_tag import EnrollmentTag, tags_with, why_not_enrolled
from remediator_cli.deployment.one_role import foresee, read_role
from remediator_cli.deployment.stack_outputs import Deployment
from remediator_cli.terminal.options import RoleOption
from tests.chaos.stage import REGION, Stage, client
from tests.examples import ACCOUNT, ENROLLED, OWN_ROLE_ARN, a_cause
from tests.functional.world import PAUSE_PARAMETER, ROLE, TABLE

IN_ORDER: Final = frozenset({OutcomeKind.CLEAN, OutcomeKind.REPAIRED})
((ENROLLMENT_TAG, CLOUD),) = ENROLLED.items()


def enrol_role(stage: Stage) -> None:
    """Enrol the role in its cloud."""

    def command(deployment: Deployment) -> bool:
        role = read_role(deployment.account, RoleOption(ROLE))
        wanted = tags_with(role, ENROLLMENT_TAG, CLOUD)
        if why_not_enrolled(foresee(deployment.account, role, stage.account.settings, tags=wanted)):
            return False
        if role.tags.get(ENROLLMENT_TAG) != CLOUD:
            EnrollmentTag(deployment.account, ENROLLMENT_TAG).set(ROLE, CLOUD)
        return True

    _type(stage, command)


def unenrol_role(stage: Stage) -> None:
    """Have the role looked after no longer."""

    def command(deployment: Deployment) -> bool:
        if ENROLLMENT_TAG in read_role(deployment.account, RoleOption(ROLE)).tags:
            EnrollmentTag(deployment.account, ENROLLMENT_TAG).remove(ROLE)
        return True

    _type(stage, command)


def undo_last(kind: DocumentKind) -> Callable[[Stage], None]:
    """Undo the last repair of such a document."""

    def begin(stage: Stage) -> None:
        account = stage.account
        change = [each for each in account.changes() if (each.document.kind, each.kind) == (kind, ChangeKind.REPAIR)][
            -1
        ]

        def command(deployment: Deployment) -> bool:
            world = deployment.world(ACCOUNT)
            planned = plan_undo(change, world)
            if not isinstance(planned, Write):
                return False  # it could not be read, or it was undone by the try before
            cause = replace(a_cause("Undo"), event_id=stage.time.isoformat())
            undone = undo(change, planned, cause, world)
            return isinstance(undone, Undone)

        _type(stage, command)

    return begin


def apply_by_hand(stage: Stage) -> None:
    """Repair the role; CloudTrail reports the writes."""

    def command(deployment: Deployment) -> bool:
        applying = begin_applying(deployment, stage.account.settings, RoleOption(ROLE))
        seen = applying.preview()
        if not seen.proposed:
            return seen.kind in IN_ORDER
        outcome = applying.repair()
        applying.notify(outcome)
        return outcome.kind in IN_ORDER

    _type(stage, command)
    stage.event("UpdateAssumeRolePolicy", roleName=ROLE)


def resume_role(stage: Stage) -> None:
    """Have the role repaired again."""

    def command(deployment: Deployment) -> bool:
        resumed = resume(ROLE, deployment.world(ACCOUNT))
        return not isinstance(resumed, NotResumed)

    _type(stage, command)


def pause_writes(stage: Stage) -> None:
    """Stop all writes."""

    def command(deployment: Deployment) -> bool:
        _, after = deployment.pause_switch().pause(Pause(everything=True))
        return after.everything

    _type(stage, command)


def resume_writes(stage: Stage) -> None:
    """Let all writes go on."""

    def command(deployment: Deployment) -> bool:
        switch = deployment.pause_switch()
        if parse_pause(switch.read()) == Pause():
            return True
        switch.write(RUNNING)
        return True

    _type(stage, command)


def take_back_all(stage: Stage) -> None:
    """Take back what is ours in all roles and buckets."""

    def command(deployment: Deployment) -> bool:
        behind, settings = deployment.account, stage.account.settings
        scan = AccountScan(behind.scan_client(), settings.enrollment_tag, also=lambda _arn, _tags: True)
        world = deployment.world(ACCOUNT, settings=settings, scan=scan)
        found = find_grants(world, frozenset(), has_history=True)
        cause = replace(a_cause("RemoveGrants"), event_id=stage.time.isoformat())
        results = [
            remove(removal, cause, world, sequence=sequence, has_history=True)
            for sequence, removal in enumerate(found.removals)
        ]
        return not found.left and all(isinstance(result, Removed) for result in results)

    _type(stage, command)


def _type(stage: Stage, command: Callable[[Deployment], bool]) -> None:
    """Have a command typed; it fails with an error, or by giving False."""
    known = _look(stage)

    def act() -> bool:
        nonlocal known
        try:
            return command(_deployment(stage))
        except RemediatorError:
            return False
        finally:
            with stage.seam.aside():
                before, known = known, _look(stage)
                _tell_of(stage, before, known)

    stage.ask_a_person(act)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What EventBridge tells of when a command changes it: what the role is tagged with, and what is paused."""

    tags: dict[str, str]
    paused: str


def _look(stage: Stage) -> _Seen:
    tags = stage.account.iam.list_role_tags(RoleName=ROLE)["Tags"]
    return _Seen(
        {tag["Key"]: tag["Value"] for tag in tags},
        stage.account.ssm.get_parameter(Name=PAUSE_PARAMETER)["Parameter"]["Value"],
    )


def _tell_of(stage: Stage, before: _Seen, now: _Seen) -> None:
    if tagged := now.tags.items() - before.tags.items():
        stage.event("TagRole", roleName=ROLE, tags=[{"key": key, "value": value} for key, value in sorted(tagged)])
    if untagged := before.tags.keys() - now.tags.keys():
        stage.event("UntagRole", roleName=ROLE, tagKeys=sorted(untagged))
    if now.paused != before.paused:
        stage.send("sweep", '{"format":1,"reason":"deployment"}')


def _deployment(stage: Stage) -> Deployment:
    session: Any = _Session()
    outputs = {
        "AlertsTopicArn": stage.account.topic_arn,
        "HistoryTableName": TABLE,
        "PauseParameterName": PAUSE_PARAMETER,
        "ReconcilerRoleArn": OWN_ROLE_ARN,
    }
    return Deployment(Account(session), "AnyscaleRemediator", REGION, outputs, stage.account.settings)


@dataclass(frozen=True, slots=True)
class _Session:
    """The session of the person's profile, whose clients are those of the stage."""

    region_name: str = REGION

    def client(self, service: str, *, region_name: str, config: object) -> Any:
        return client(service, region_name)
