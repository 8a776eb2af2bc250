"""``remediator test-alert``: see whether alerts arrive."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import typer
from rich.text import Text

from remediator.core.alerts.notification import test_system_notice
from remediator.core.model.plain_text import plain
from remediator_cli.deployment import aws
from remediator_cli.deployment.stack_outputs import Deployment, find_deployment
from remediator_cli.deployment.subscriptions import Subscriptions
from remediator_cli.terminal import clock
from remediator_cli.terminal.command import suggested_aws
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.options import DEFAULT_STACK, Region, SettingsFile, Stack
from remediator_cli.terminal.output import OutputFormat, print_error, show

RUN = "send_test_alert"
EXAMPLES = """
remediator test-alert
remediator test-alert --settings cdk.json
remediator test-alert --json | jq .unconfirmed
"""


def send_test_alert(
    form: OutputFormat = OutputFormat.TEXT,
    stack: Stack = DEFAULT_STACK,
    region: Region = None,
    settings: SettingsFile = None,
) -> None:
    """Send a test alert through every channel.

    Says where it should arrive within a minute. Exits with 1 if it reaches no one, if an address has not confirmed its
    subscription, or, with --settings, if a configured recipient is not subscribed.

    Calls cloudformation:DescribeStacks, sts:GetCallerIdentity, sns:ListSubscriptionsByTopic and sns:Publish. Your
    credentials must be allowed to use the topic's key (kms:GenerateDataKey, kms:Decrypt).
    """
    with aws.answered():
        deployment = find_deployment(stack, region, settings)
        topic = deployment.alerts_topic()
        subscriptions = deployment.subscriptions()
        sender = deployment.account.caller(deployment.region)
        now = clock.now()
        notice = test_system_notice(deployment.account_id, sender.arn or sender.kind, now)
        topic.publish(notice)
    show(
        form,
        {
            "id": notice.notification_id,
            "time": now.isoformat(),
            "emails": subscriptions.emails,
            "unconfirmed": subscriptions.unconfirmed,
            "amazon_q": subscriptions.amazon_q,
            "slack_webhook": subscriptions.slack_webhook,
            "others": subscriptions.others,
        },
        partial(_text, subscriptions),
    )
    complaints = tuple(_complaints(subscriptions, deployment))
    for place, why in complaints:
        print_error(place, why)
    if complaints:
        raise typer.Exit(ExitCode.ERROR)


def _text(subscriptions: Subscriptions) -> Text:
    if not subscriptions.reach_anyone:
        return Text("A test was sent.")
    lines = [
        "A test was sent. Within a minute it should arrive",
        *(f"  at {plain(address)}" for address in subscriptions.emails),
        *(["  in Slack, through Amazon Q"] if subscriptions.amazon_q else ()),
        *(["  in Slack, through the webhook"] if subscriptions.slack_webhook else ()),
        *([f"  and at whatever else is subscribed ({subscriptions.others})"] if subscriptions.others else ()),
    ]
    return Text("\n".join(lines))


def _complaints(subscriptions: Subscriptions, deployment: Deployment) -> Iterator[tuple[str, str]]:
    """What keeps alerts from arriving, and what to do about it, each after what it is about."""

    def subscribe(address: str) -> str:
        return suggested_aws(
            f"sns subscribe --region {deployment.region} --topic-arn {deployment.people_topic_arn} --protocol email "
            f"--notification-endpoint {address}"
        )

    for address in subscriptions.unconfirmed:
        why = (
            "the subscription is not confirmed, so no alert arrives there. Its owner must follow the link in the "
            f"e-mail from AWS within two days. To send it again: {subscribe(address)}"
        )
        yield address, why
    for lacking in subscriptions.lacking(deployment.settings) if deployment.settings else ():
        why = (
            "this is configured but not subscribed, so no alert arrives there. Deploy it (npx cdk deploy --all). An "
            f"address that was unsubscribed, or not confirmed in time, must subscribe again: {subscribe('ADDRESS')}"
        )
        yield lacking, why
    if not subscriptions.reach_anyone:
        why = (
            "no one receives alerts. Name recipients in the configuration (emails, slackWebhookSecret, amazonQ) and "
            "deploy it (npx cdk deploy --all), or confirm what is subscribed"
        )
        yield deployment.stack, why
