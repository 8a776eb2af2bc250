"""Automatic sweep requests (schedule, deployment, resume), and the queue of all sweep requests."""

from __future__ import annotations

from typing import Final

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as event_targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as schedule_targets
from constructs import Construct

from remediator.settings import Settings
from stacks.queues import dead_letter_queue, standard_queue

_FORMAT: Final = 1
"""Format version of the messages that ``remediator.core.events.sweep`` reads."""


class SweepRequests(Construct):
    """A schedule, a rule for the stack's own deployments, a rule for resumed writes, and the queue for their requests.

    All requests are equivalent, so undelivered and failed requests share one dead-letter queue. The schedule has no
    flexible window: there is only one schedule, and nothing to spread.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        pause_parameter: str,
        consumer_timeout: Duration,
        batching_window: Duration,
    ) -> None:
        """``consumer_timeout`` is the sweeper's timeout for a batch; ``batching_window`` is how long a batch fills.

        ``pause_parameter`` is the name of the parameter that pauses writes.
        """
        super().__init__(scope, construct_id)
        self.dead_letters = dead_letter_queue(self, "DeadLetters")
        self.queue = standard_queue(
            self,
            "Queue",
            dead_letters=self.dead_letters,
            consumer_timeout=consumer_timeout,
            batching_window=batching_window,
        )
        self.role = self._schedule_role()
        self.schedule = self._schedule(settings)
        self._after_deployment()
        self._after_resuming(pause_parameter)

    def _schedule_role(self) -> iam.Role:
        """https://docs.aws.amazon.com/scheduler/latest/UserGuide/cross-service-confused-deputy-prevention.html."""
        stack = Stack.of(self)
        group = f"arn:aws:scheduler:{stack.region}:{stack.account}:schedule-group/default"
        return iam.Role(
            self,
            "Role",
            description="Allows EventBridge Scheduler to request a sweep of the Anyscale role remediator",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": stack.account, "aws:SourceArn": group}},
            ),
        )

    def _schedule(self, settings: Settings) -> scheduler.Schedule:
        return scheduler.Schedule(
            self,
            "Schedule",
            description="Requests a sweep of all enrolled roles, to find changes that no event reported",
            schedule=scheduler.ScheduleExpression.expression(f"rate({settings.sweep_minutes} minutes)"),
            target=schedule_targets.SqsSendMessage(
                self.queue,
                input=scheduler.ScheduleTargetInput.from_object(
                    {"format": _FORMAT, "reason": "schedule", "time": scheduler.ContextAttribute.scheduled_time}
                ),
                role=self.role,
                dead_letter_queue=self.dead_letters,
                max_event_age=Duration.minutes(settings.sweep_minutes),  # then the next request is due
            ),
        )

    def _after_deployment(self) -> None:
        """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/event-detail-stack-status-change.html."""
        stack = Stack.of(self)
        self._rule(
            "Deployed",
            "The code or configuration of the Anyscale role remediator may have changed",
            events.EventPattern(
                source=["aws.cloudformation"],
                account=[stack.account],
                detail_type=["CloudFormation Stack Status Change"],
                detail={
                    "stack-id": [stack.stack_id],
                    "status-details": {"status": ["CREATE_COMPLETE", "UPDATE_COMPLETE"]},
                },
            ),
        )

    def _after_resuming(self, parameter: str) -> None:
        """Request a sweep when writes are resumed, as after a deployment.

        https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-cwe.html
        """
        self._rule(
            "Resumed",
            "The writes of the Anyscale role remediator may have been paused or resumed",
            events.EventPattern(
                source=["aws.ssm"],
                account=[Stack.of(self).account],
                detail_type=["Parameter Store Change"],
                detail={"name": [parameter], "operation": ["Update"]},
            ),
        )

    def _rule(self, name: str, description: str, pattern: events.EventPattern) -> None:
        events.Rule(
            self,
            name,
            description=description,
            event_pattern=pattern,
            targets=[
                event_targets.SqsQueue(
                    self.queue,
                    message=events.RuleTargetInput.from_object({"format": _FORMAT, "reason": "deployment"}),
                    dead_letter_queue=self.dead_letters,
                )
            ],
        )
