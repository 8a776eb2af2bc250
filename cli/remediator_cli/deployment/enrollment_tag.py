"""The enrollment tag of a role: the effect of setting it, and setting and removing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from remediator.core.enrollment.decide import Refused
from remediator.core.enrollment.misconfigured import alike_cloud
from remediator.core.model.role import Role
from remediator.errors import RemediatorError
from remediator.flows.survey import Surveyed
from remediator.settings import HOME_REGION, Cloud, Settings
from remediator_cli.deployment.aws import Account, calling


def named_cloud(name: str, settings: Settings) -> Cloud:
    """The cloud of the configuration. Raises RemediatorError, naming those that there are."""
    cloud = settings.cloud(name)
    if cloud is None:
        meant = alike_cloud(name, settings)
        known = ", ".join(sorted(each.name for each in settings.clouds))
        hint = f"is {meant} meant?" if meant else f"there are {known}"
        raise RemediatorError(f"there is no cloud {name} in the configuration, and nothing was changed: {hint}")
    return cloud


def tags_with(role: Role, key: str, value: str) -> Mapping[str, str]:
    """The tags as they are when one more was set: to IAM a role has one tag of a key, however that is spelt.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules_creating
    """
    return {**{other: text for other, text in role.tags.items() if other.casefold() != key.casefold()}, key: value}


def why_not_enrolled(foreseen: Surveyed) -> str:
    """The guard that would refuse the role if it had the tag, with its reason; empty where none would."""
    assessment = foreseen.assessment
    refused = assessment.enrollment if isinstance(assessment.enrollment, Refused) else assessment.refused
    return "" if refused is None else f"{refused.refusal}: {refused.why}"


@dataclass(frozen=True, slots=True)
class EnrollmentTag:
    """The tag by its ``key``. Its methods raise any AwsError."""

    account: Account
    key: str

    def set(self, role_name: str, cloud: str) -> None:
        """Set it to the name of a cloud."""
        self.account.iam().tag_role(role_name, self.key, cloud)

    def remove(self, role_name: str) -> None:
        """https://docs.aws.amazon.com/IAM/latest/APIReference/API_UntagRole.html."""
        with calling("iam:UntagRole"):
            client = self.account.client("iam", self.account.session.region_name or HOME_REGION)
            client.untag_role(RoleName=role_name, TagKeys=[self.key])
