"""Which buckets a change takes away: those that its file held before, and does not leave as they are."""

from __future__ import annotations

from collections.abc import Iterable

from remediator.core.model.finding import FindingCode
from remediator.core.policy.reading import Present, Unreadable
from remediator_cli.checks.verdicts import Remark, Verdict
from remediator_cli.iac.declared import Declared, DeclaredChange, LostBucket, PlannedBucket


def lost_buckets(change: DeclaredChange) -> dict[str, LostBucket]:
    """The buckets that are, or may be, deleted, by name; none where the state before is unknown."""
    lost: dict[str, LostBucket] = {}
    for address, was in change.before.held.items() if change.before else ():
        if isinstance(was.name, Present):
            found = _loss(was, was.name.value, change.after.held.get(address), change.after)
            if found is not None:
                lost[was.name.value] = found
    return lost


def said_of_buckets(names: Iterable[str], file: Declared) -> list[Remark]:
    """What is said of those of the named buckets that go away, or may."""
    listed: list[Remark] = []
    for name in names:
        lost = file.lost.get(name)
        if lost is None:
            continue
        if lost.is_certain:
            verdict = Verdict.BREAKS
            text = f"The bucket {name} would be deleted, which the remediator cannot repair. Manual action is required."
        else:
            verdict, text = Verdict.UNDECIDED, f"Whether the bucket {name} is kept is undecided."
        listed.append(Remark(FindingCode.BUCKET_ABSENT, verdict, lost.place, text, (lost.because,)))
    return listed


def agreed(one: bool | None, other: bool | None) -> bool | None:
    """What both say; None where they differ, since AWS does not promise which of them counts."""
    return one if one is other else None


def _loss(was: PlannedBucket, name: str, now: PlannedBucket | None, after: Declared) -> LostBucket | None:
    """The effect on the bucket ``name``; None where it stays."""
    called = f"{was.place.address}, which is the bucket {name},"
    again = LostBucket(was.place, f"{called} would be deleted and created again, without its objects", False)
    if now is not None and now.name == was.name:
        return again if now.is_new else _unsure(was, now)
    stays = was.retention.if_removed if now is None else agreed(was.retention.if_replaced, now.retention.if_replaced)
    if stays:
        return None
    if now is not None and isinstance(now.name, Unreadable):
        return LostBucket(was.place, now.name.why, False)
    happens = f"{called} {_what_happens(now)}"
    if stays is None:
        return LostBucket(was.place, f"{happens}, unless it is retained, which is not known", False)
    is_elsewhere = any(each.name == was.name for each in after.held.values())
    return again if is_elsewhere else LostBucket(was.place, happens, True)


def _unsure(was: PlannedBucket, now: PlannedBucket) -> LostBucket | None:
    if now.unsure is None or was.unsure is not None:
        return None
    return LostBucket(was.place, now.unsure, False)


def _what_happens(now: PlannedBucket | None) -> str:
    if now is None:
        return "would be deleted"
    other = f"the bucket {now.name.value}" if isinstance(now.name, Present) else "one with a generated name"
    return f"would be replaced by {other}"
