"""The deployed remediator, by the outputs of its stack: history, pause switch, and subscriptions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remediator.core.history.pause import Pause, parse_pause, pause_text
from remediator.errors import NotFoundError, RejectedError, RemediatorError
from remediator.gateways.world import World
from remediator.settings import DEFAULT_HISTORY_DAYS, HOME_REGION, Settings, WriteLimit, settings_digest
from remediator_cli.deployment.aws import Account, account, calling
from remediator_cli.deployment.subscriptions import Subscriptions, sort_subscriptions
from remediator_cli.terminal.settings_file import given_settings

if TYPE_CHECKING:
    from remediator.gateways.history import HistoryTable
    from remediator.gateways.topic import AlertsTopic

_ALERTS_TOPIC = "AlertsTopicArn"
_PEOPLE_TOPIC = "PeopleTopicArn"
_SLACK_QUEUE = "SlackQueueUrl"
_HISTORY_TABLE = "HistoryTableName"
_PAUSE_PARAMETER = "PauseParameterName"
_CONFIGURATION = "ConfigurationDigest"


class NotDeployed(RemediatorError):
    """There is no deployment where it was looked for; the text says where that was, and what to do."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment in ``account``: ``region`` is its home Region, ``outputs`` are those of its stack.

    ``settings`` are those of the file that the caller named, None without one.
    """

    account: Account
    stack: str
    region: str
    outputs: dict[str, str]
    settings: Settings | None

    def history(self) -> HistoryTable:
        """Its history. Records made here are kept as long as the settings say, or the default if there are none."""
        from remediator.gateways.history import HistoryTable  # noqa: PLC0415  # only commands that ask AWS pay for it

        return HistoryTable(
            self.account.client("dynamodb", self.region),
            self.output(_HISTORY_TABLE),
            limit=self.settings.write_limit if self.settings else WriteLimit(),
            keep_days=self.settings.history_days if self.settings else DEFAULT_HISTORY_DAYS,
        )

    def world(self, account: str, **known: Any) -> World:  # noqa: ANN401 - fields of World
        """The account (12 digits) with its history, and with what is ``known`` besides."""
        return self.account.world(account, history=self.history(), **known)

    def pause_switch(self) -> PauseSwitch:
        """The parameter that pauses its writes."""
        return PauseSwitch(self.account, self.region, self.output(_PAUSE_PARAMETER))

    def other_configuration(self, settings: Settings | None) -> str:
        """A sentence if it was deployed with another configuration, or if that is unknown.

        Empty where it was deployed with that one, or none was given.
        """
        deployed = self.outputs.get(_CONFIGURATION)
        if settings is None or deployed == settings_digest(settings):
            return ""
        if not deployed:
            return (
                f"The stack {self.stack} in {self.region} was deployed by an earlier version, which does not record "
                "its configuration. Deploy it again (npx cdk deploy --all)."
            )
        return f"The stack {self.stack} in {self.region} was deployed with another configuration than the given one."

    def must_have(self, settings: Settings) -> None:
        """Make sure that it was deployed with that configuration. Raises RemediatorError where that is not known."""
        if other := self.other_configuration(settings):
            if not self.outputs.get(_CONFIGURATION):
                raise RemediatorError(other.removesuffix("."))
            raise RemediatorError(
                f"{other} Each would undo the other's writes. Name the deployed one with --settings, or deploy this "
                "one first (npx cdk deploy --all)"
            )

    @property
    def account_id(self) -> str:
        """The account that it is in, 12 digits."""
        *_, account, _ = self.output(_ALERTS_TOPIC).split(":")
        return account

    @property
    def people_topic_arn(self) -> str:
        """The people topic."""
        return self.output(_PEOPLE_TOPIC)

    def alerts_topic(self) -> AlertsTopic:
        """The topic that carries every alert."""
        from remediator.gateways.topic import AlertsTopic  # noqa: PLC0415  # only commands that ask AWS pay for it

        return AlertsTopic(self.account.client("sns", self.region), self.output(_ALERTS_TOPIC))

    def subscriptions(self) -> Subscriptions:
        """The subscriptions of the people topic. Raises any AwsError.

        https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html
        """
        pages = self.account.client("sns", self.region).get_paginator("list_subscriptions_by_topic")
        with calling("sns:ListSubscriptionsByTopic"):
            listed = [each for page in pages.paginate(TopicArn=self.people_topic_arn) for each in page["Subscriptions"]]
        slack = self.outputs.get(_SLACK_QUEUE)
        return sort_subscriptions(listed, slack.rpartition("/")[2] if slack else None)

    def output(self, name: str) -> str:
        """An output of its stack. Raises NotDeployed where there is none of that name."""
        if name not in self.outputs:
            raise NotDeployed(
                f"the stack {self.stack} in {self.region} has no output {name}: it is another stack, or was deployed "
                "by an earlier version. Name it with --stack, or deploy it again (npx cdk deploy --all)"
            )
        return self.outputs[name]


@dataclass(frozen=True, slots=True)
class PauseSwitch:
    """The parameter of Systems Manager whose value says what is paused. Its methods raise any AwsError."""

    account: Account
    region: str
    name: str

    def read(self) -> str:
        """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html."""
        with calling("ssm:GetParameter"):
            return str(self.account.client("ssm", self.region).get_parameter(Name=self.name)["Parameter"]["Value"])

    def pause(self, asked: Pause) -> tuple[Pause, Pause]:
        """Pause what is asked for as well as what is paused already, and return what was paused before and is now."""
        before = paused = parse_pause(self.read())
        if not paused.everything:
            paused = Pause(everything=asked.everything, clouds=paused.clouds | asked.clouds)
        self.write(pause_text(paused))
        return before, parse_pause(pause_text(paused))

    def write(self, value: str) -> None:
        """https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html."""
        with calling("ssm:PutParameter"):
            self.account.client("ssm", self.region).put_parameter(Name=self.name, Value=value, Overwrite=True)


def find_deployment(stack: str, region: str | None, settings: Path | None) -> Deployment:
    """The deployment of that stack, in the Region named, else in the home Region.

    Raises NotDeployed where there is none, NoAccess where the profile cannot be used, and any AwsError.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html
    """
    configuration = given_settings(settings)
    behind = account()
    where = region or HOME_REGION

    try:
        with calling("cloudformation:DescribeStacks"):
            (found,) = behind.client("cloudformation", where).describe_stacks(StackName=stack)["Stacks"]
    except (RejectedError, NotFoundError) as error:
        raise NotDeployed(
            f"there is no stack {stack} in {where}, in the account of your credentials: {error.message}. Use "
            "--profile with the account of the deployment and --region with its home Region, or deploy it (npx cdk "
            "deploy --all)"
        ) from error
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    return Deployment(behind, stack, where, outputs, configuration)
