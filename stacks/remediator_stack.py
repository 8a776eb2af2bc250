"""The stack of the home region: events in, repairs and alerts out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aws_cdk import CfnOutput, Duration, Environment, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from remediator.permissions import IAM_WRITES
from remediator.settings import Settings
from stacks.alerts import Alerts
from stacks.function import QueueFunction
from stacks.intake import Intake
from stacks.queues import MAX_RECEIVE_COUNT, WorkQueue

_ROUTER_TIMEOUT: Final = Duration.seconds(30)
# Several times what the reconciler keeps for a role that it begins, so that a batch has room.
_RECONCILER_TIMEOUT: Final = Duration.seconds(120)


class RemediatorStack(Stack):
    """Rule → intake queue → router → work queue → reconciler → alerts.

    ``bundle`` is the folder with the functions' code, as ``stacks.bundle`` builds it. Without an account in the
    settings the stack deploys to whichever account the credentials lead to. Raises SettingsError where the
    configuration does not fit IAM's limits.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, bundle: Path) -> None:
        super().__init__(
            scope,
            construct_id,
            env=Environment(account=settings.account, region=settings.region),
            description="Anyscale role remediator: keeps the IAM roles of Anyscale clusters usable",
            tags={"application": "anyscale-role-remediator"},
        )
        alerts = Alerts(self, "Alerts", emails=settings.emails)
        intake = Intake(self, "Intake", consumer_timeout=_ROUTER_TIMEOUT)
        work = WorkQueue(self, "Work", consumer_timeout=_RECONCILER_TIMEOUT)

        router = QueueFunction(
            self,
            "Router",
            name="router",
            description="Reads which role an event concerns, and queues the role if it is enrolled",
            bundle=bundle,
            timeout=_ROUTER_TIMEOUT,
            environment={"WORK_QUEUE_URL": work.queue.queue_url},
            settings=settings,
        )
        router.works_off(intake.queue)
        work.queue.grant_send_messages(router.role)

        reconciler = QueueFunction(
            self,
            "Reconciler",
            name="reconciler",
            description="Compares a role with what it should be, repairs it, and tells people; the only writer",
            bundle=bundle,
            timeout=_RECONCILER_TIMEOUT,
            environment={"ALERTS_TOPIC_ARN": alerts.topic.topic_arn, "MAX_RECEIVE_COUNT": str(MAX_RECEIVE_COUNT)},
            settings=settings,
        )
        reconciler.works_off(work.queue)
        reconciler.function.add_environment("REMEDIATOR_ROLE_ARN", reconciler.role.role_arn)
        alerts.allow_publishing(reconciler.role)
        reconciler.role.add_to_policy(
            iam.PolicyStatement(
                sid="NeverOwnRoles",
                effect=iam.Effect.DENY,
                actions=list(IAM_WRITES),
                resources=[router.role.role_arn, reconciler.role.role_arn],
            )
        )

        self._outputs(
            {
                "AlertsTopicArn": (alerts.topic.topic_arn, "Subscribe to this topic to receive the alerts"),
                "IntakeQueueUrl": (intake.queue.queue_url, "Events that wait for the router"),
                "IntakeDeadLettersUrl": (intake.dead_letters.queue_url, "Events that the router could not take"),
                "UndeliveredEventsUrl": (intake.undelivered.queue_url, "Events that the rule could not deliver"),
                "WorkQueueUrl": (work.queue.queue_url, "Roles that wait for the reconciler"),
                "WorkDeadLettersUrl": (work.dead_letters.queue_url, "Roles that the reconciler could not take"),
                "RouterFunctionName": (router.function.function_name, "Which role does an event concern?"),
                "ReconcilerFunctionName": (reconciler.function.function_name, "The only function that writes to IAM"),
                "ReconcilerRoleArn": (
                    reconciler.role.role_arn,
                    "The principal of every repair, as CloudTrail shows it",
                ),
            }
        )

    def _outputs(self, outputs: dict[str, tuple[str, str]]) -> None:
        for name, (value, description) in outputs.items():
            CfnOutput(self, name, value=value, description=description)
