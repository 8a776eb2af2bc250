"""Roles that are nearly enrolled: somebody may have meant them to be, and a tag or a pattern stands in the way."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from remediator.core.enrollment.decide import AWS_OWNED_PATHS
from remediator.core.enrollment.own_roles import is_own_role
from remediator.core.policy.arn import RoleArn
from remediator.settings import Settings

_ALIKE: Final = 0.9
"""How much of two texts must be the same: a letter in ten may be wrong, or two have changed places."""


class MisconfigurationKind(StrEnum):
    """What keeps a role from being enrolled."""

    TAG_MISSPELT = "tag-misspelt"
    """It has a tag whose key is nearly the enrollment tag's."""
    UNKNOWN_CLOUD = "unknown-cloud"
    """Its enrollment tag names no cloud of the configuration."""
    NOT_ALLOWED = "not-allowed"
    """Its enrollment tag names a cloud that does not allow the role."""
    UNTAGGED = "untagged"
    """A cloud allows it, and it does not carry the tag."""


@dataclass(frozen=True, slots=True)
class MisconfiguredEnrollment:
    """That a role is misconfigured; ``why`` says in a sentence what blocks it.

    ``cloud`` is the one that must have been meant, None where that is unknown.
    """

    nearness: MisconfigurationKind
    why: str
    cloud: str | None = None

    @property
    def is_intended(self) -> bool:
        """Whether somebody has tried to enrol the role, so that a person should look at it."""
        return self.nearness is not MisconfigurationKind.UNTAGGED


def misconfigured_enrollment(
    arn: RoleArn, tags: Mapping[str, str], settings: Settings
) -> MisconfiguredEnrollment | None:
    """What keeps a role from being enrolled, by its ARN and tags; None where nothing does, or nobody meant it to be."""
    key = settings.enrollment_tag
    if is_own_role(arn):
        return None
    if key in tags:
        return _tagged(arn, tags[key], settings)
    if arn.path.startswith(AWS_OWNED_PATHS):
        return None
    misspelt = next((other for other in tags if _are_alike(other, key)), None)
    return _untagged(arn, settings) if misspelt is None else _misspelt(arn, misspelt, tags[misspelt], settings)


def _misspelt(arn: RoleArn, key: str, value: str, settings: Settings) -> MisconfiguredEnrollment:
    wanted = settings.enrollment_tag
    why = f"It has the tag {key!r}, and the enrollment tag is {wanted!r}: every letter and its case count."
    cloud = next((cloud for cloud in settings.clouds if _are_alike(cloud.name, value)), None)
    if cloud is None or cloud.allows(arn.path_and_name):
        return MisconfiguredEnrollment(MisconfigurationKind.TAG_MISSPELT, why, None if cloud is None else cloud.name)
    return MisconfiguredEnrollment(
        MisconfigurationKind.TAG_MISSPELT, f"{why} Nor does the cloud {cloud.name} allow role/{arn.path_and_name}."
    )


def _untagged(arn: RoleArn, settings: Settings) -> MisconfiguredEnrollment | None:
    allowing = [cloud.name for cloud in settings.clouds if cloud.allows(arn.path_and_name)]
    if not allowing:
        return None
    tag = settings.enrollment_tag
    why = f"The configuration allows it for {' and '.join(allowing)}, and it does not carry the tag {tag!r}."
    return MisconfiguredEnrollment(MisconfigurationKind.UNTAGGED, why, allowing[0] if len(allowing) == 1 else None)


def alike_cloud(name: str, settings: Settings) -> str | None:
    """The cloud that somebody must have meant by a name; None where no cloud's name is nearly that."""
    return next((cloud.name for cloud in settings.clouds if _are_alike(cloud.name, name)), None)


def _tagged(arn: RoleArn, name: str, settings: Settings) -> MisconfiguredEnrollment | None:
    cloud = settings.cloud(name)
    if cloud is None:
        meant = alike_cloud(name, settings)
        known = ", ".join(sorted(cloud.name for cloud in settings.clouds))
        hint = f"is {meant!r} meant?" if meant else f"there are {known}."
        why = f"The tag {settings.enrollment_tag} names the cloud {name!r}, which is not configured: {hint}"
        return MisconfiguredEnrollment(MisconfigurationKind.UNKNOWN_CLOUD, why, meant)
    if cloud.allows(arn.path_and_name):
        return None
    patterns = ", ".join(str(pattern) for pattern in cloud.roles)
    why = f"Its tag names the cloud {name}, which does not allow role/{arn.path_and_name}, only {patterns}."
    return MisconfiguredEnrollment(MisconfigurationKind.NOT_ALLOWED, why, name)


def _are_alike(one: str, other: str) -> bool:
    """Whether two names differ in case, in the signs between their words, or in a letter or two."""
    first, second = _letters(one), _letters(other)
    return first == second or difflib.SequenceMatcher(None, first, second).ratio() >= _ALIKE


def _letters(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())
