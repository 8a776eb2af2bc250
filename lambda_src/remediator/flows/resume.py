"""An operator's word that a role may be repaired again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from remediator.core.history.role_record import Conflict
from remediator.core.history.undo import is_on_hold
from remediator.core.model.role import Role
from remediator.core.policy.reading import Absent, Present, Unreadable
from remediator.errors import AwsError, RemediatorError, TransientError
from remediator.gateways.world import World
from remediator.settings import MODE_TAG, Mode

_ATTEMPTS = 5
_OFF = "off"


@dataclass(frozen=True, slots=True)
class Resumed:
    """The role may be repaired again; ``conflict`` is the one that ended, ``tag`` what its tag said, None where
    none."""

    conflict: Conflict | None
    tag: str | None


@dataclass(frozen=True, slots=True)
class NotResumed:
    """The role could not be resumed; ``why`` says what was and what was not done, and what to do."""

    why: str


def resume(role_name: str, world: World) -> Resumed | NotResumed | None:
    """End a role's contest, and set its tag to repair, which has the remediator look at it at once.

    None where it is neither in conflict nor set to observe: then nothing is changed. Repairs before that do not count
    towards another conflict. A role whose tag is ``off`` is left as it is: that it
    must be skipped was a caller's decision, and not one that an undo or a conflict takes. Raises TransientError, and
    any other AwsError of the history, where nothing was changed.
    """
    match world.roles.read_role(role_name):
        case Absent():
            return NotResumed(f"there is no role {role_name} in the account of your credentials")
        case Unreadable(why=why):
            return NotResumed(f"the role could not be read: {why}")
        case Present(value=role):
            return _resume(role, world)
        case _ as never:
            assert_never(never)


def _resume(role: Role, world: World) -> Resumed | NotResumed | None:
    name, tag = role.arn.name, role.tags.get(MODE_TAG)
    if tag is not None and tag.strip().casefold() == _OFF:
        return NotResumed(
            f"the tag {MODE_TAG} of role {name} is {tag!r}: it is to be skipped altogether. If that is "
            f"over: aws iam tag-role --role-name {name} --tags Key={MODE_TAG},Value={Mode.REPAIR}"
        )
    conflict = world.history.read_role_record(name).for_role_id(role.role_id).conflict
    if conflict is None and not is_on_hold(role):
        return None
    conflict = _clear_conflict(role, world)
    try:
        world.roles.tag_role(name, MODE_TAG, Mode.REPAIR)
    except AwsError as error:
        done = "its conflict is ended, but " if conflict is not None else ""
        comes = "" if conflict is None or is_on_hold(role) else ". Without it, the role waits for the next sweep"
        return NotResumed(f"{done}the tag {MODE_TAG} of role {name} could not be set to {Mode.REPAIR}: {error}{comes}")
    return Resumed(conflict, tag)


def _clear_conflict(role: Role, world: World) -> Conflict | None:
    """End the contest and count anew, whoever else writes what is remembered of the role at the same time."""
    now = world.clock()
    for _ in range(_ATTEMPTS):
        role_record = world.history.read_role_record(role.arn.name).for_role_id(role.role_id)
        try:
            world.history.write_role_record(role.arn.name, replace(role_record, conflict=None, counted_from=now))
        except TransientError:
            continue
        return role_record.conflict
    raise RemediatorError(
        f"what is remembered of role {role.arn.name} was changed concurrently {_ATTEMPTS} times. Try again"
    )
