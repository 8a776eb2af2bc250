"""The stack of the home region: events in, repairs and alerts out."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aws_cdk import Annotations, CfnOutput, Duration, Environment, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from remediator.core.enrollment.own_roles import own_roles_pattern
from remediator.permissions import IAM_WRITES
from remediator.settings import Settings, settings_digest
from stacks.alarms import Alarms, Watched
from stacks.alerts import Alerts, People
from stacks.dashboard import DASHBOARD_NAME, Dashboard
from stacks.function import Batches, QueueFunction
from stacks.history import PAUSE_PARAMETER, History
from stacks.intake import Intake
from stacks.queues import MAX_RECEIVE_COUNT, TopicQueue, WorkQueue
from stacks.sweep import Sweep

# A managed policy can be that of many roles, which the router reads one by one.
_ROUTER_TIMEOUT: Final = Duration.seconds(60)
# Several times what the reconciler keeps for a role that it begins, so that a batch has room.
_RECONCILER_TIMEOUT: Final = Duration.seconds(120)
# One scan of the whole account, with all its roles in memory.
_SWEEPER_TIMEOUT: Final = Duration.seconds(300)
_SWEEPER_MEMORY_MB: Final = 512
# One scan answers all requests of a batch, and a bucket that is set up anew is several calls within a second or two.
_SWEEPER_WINDOW: Final = Duration.seconds(2)
_SWEEPER_BATCHES: Final = Batches(size=1000, window=_SWEEPER_WINDOW, concurrency=2)
# A digest reads what hundreds of alerts say of themselves.
_DIGESTER_TIMEOUT: Final = Duration.seconds(60)
# Several times what the notifier keeps for a message that it begins: Slack takes one message a second, or has it wait.
_NOTIFIER_TIMEOUT: Final = Duration.seconds(120)
# The fewest that Lambda knows. People read no faster, and Slack takes no more.
_TELLING_BATCHES: Final = Batches(concurrency=2)
# SQS takes what was tried more than three times, after two minutes, out of the age of a queue without order.
_LATE_MINUTES: Final = 15
# In a FIFO queue a message counts until its last try, which comes after half an hour.
_WORK_LATE_MINUTES: Final = 45
# A function that died is tried again when the visibility timeout has ended, and that is half an hour.
_SWEEP_LATE_MINUTES: Final = 45


class RemediatorStack(Stack):
    """Rules → intake queue → router → work queue → reconciler → alerts; schedule → sweep queue → sweeper → work queue.

    Alerts → digest queue → digester → people, and where a webhook is configured → Slack queue → notifier.

    The reconciler records each write in the history before it makes it. ``bundle`` is the folder with the functions'
    code, as ``stacks.bundle`` builds it. Without an account in the settings the stack deploys to whichever account the
    credentials lead to. Raises SettingsError where the configuration does not fit IAM's limits.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, bundle: Path) -> None:
        super().__init__(
            scope,
            construct_id,
            env=Environment(account=settings.account, region=settings.region),
            description="Anyscale role remediator: keeps the IAM roles of Anyscale clusters usable",
            tags={"application": "anyscale-role-remediator"},
        )
        alerts = Alerts(self, "Alerts")
        people = People(self, "People", key=alerts.key, settings=settings)
        history = History(self, "History")
        intake = Intake(self, "Intake", settings=settings, consumer_timeout=_ROUTER_TIMEOUT)
        work = WorkQueue(self, "Work", consumer_timeout=_RECONCILER_TIMEOUT)
        sweep = Sweep(
            self,
            "Sweep",
            settings=settings,
            pause_parameter=PAUSE_PARAMETER,
            consumer_timeout=_SWEEPER_TIMEOUT,
            batching_window=_SWEEPER_WINDOW,
        )
        digest = TopicQueue(
            self,
            "Digest",
            topic=alerts.topic,
            undelivered=alerts.undelivered,
            consumer_timeout=_DIGESTER_TIMEOUT,
        )

        router = QueueFunction(
            self,
            "Router",
            name="router",
            description="Reads which roles an event concerns, and queues those that are enrolled, or a sweep for them",
            bundle=bundle,
            timeout=_ROUTER_TIMEOUT,
            environment={"WORK_QUEUE_URL": work.queue.queue_url, "SWEEP_QUEUE_URL": sweep.queue.queue_url},
            settings=settings,
            ours=history.arns,
        )
        router.works_off(intake.queue)

        sweeper = QueueFunction(
            self,
            "Sweeper",
            name="sweeper",
            description="Looks at every enrolled role of the account, and queues those that need something",
            bundle=bundle,
            timeout=_SWEEPER_TIMEOUT,
            memory_mb=_SWEEPER_MEMORY_MB,
            environment={
                "WORK_QUEUE_URL": work.queue.queue_url,
                "SWEEP_QUEUE_URL": sweep.queue.queue_url,
                "HISTORY_TABLE": history.table.table_name,
            },
            settings=settings,
            ours=history.arns,
        )
        sweeper.works_off(sweep.queue, _SWEEPER_BATCHES)
        for queue in (work.queue, sweep.queue):
            for function in (router, sweeper):
                queue.grant_send_messages(function.role)

        reconciler = QueueFunction(
            self,
            "Reconciler",
            name="reconciler",
            description="Compares a role with what it should be, repairs it, and tells people; the only writer",
            bundle=bundle,
            timeout=_RECONCILER_TIMEOUT,
            environment={
                "ALERTS_TOPIC_ARN": alerts.topic.topic_arn,
                "MAX_RECEIVE_COUNT": str(MAX_RECEIVE_COUNT),
                "HISTORY_TABLE": history.table.table_name,
                "PAUSE_PARAMETER": PAUSE_PARAMETER,
            },
            settings=settings,
            ours=history.arns,
        )
        reconciler.works_off(work.queue)
        # A request that turns out to belong into another group is queued again.
        work.queue.grant_send_messages(reconciler.role)
        alerts.allow_publishing(reconciler.role)

        digester = QueueFunction(
            self,
            "Digester",
            name="digester",
            description="Tells people of each alert, or of many at once; it writes nothing but what it has told",
            bundle=bundle,
            timeout=_DIGESTER_TIMEOUT,
            environment={"PEOPLE_TOPIC_ARN": people.topic.topic_arn, "HISTORY_TABLE": history.table.table_name},
            settings=settings,
            ours=history.arns,
        )
        digester.works_off(digest.queue, _TELLING_BATCHES)
        # A message that comes late ends a window.
        digest.queue.grant_send_messages(digester.role)
        people.allow_publishing(digester.role)

        queues = {
            "intake": Watched(intake.queue, intake.dead_letters, late_minutes=_LATE_MINUTES),
            "work": Watched(work.queue, work.dead_letters, late_minutes=_WORK_LATE_MINUTES),
            "sweep": Watched(sweep.queue, sweep.dead_letters, late_minutes=_SWEEP_LATE_MINUTES),
            # What ends a window waits until then.
            "digest": Watched(digest.queue, digest.dead_letters, late_minutes=_LATE_MINUTES + settings.digest.minutes),
        }
        functions = {"router": router, "sweeper": sweeper, "reconciler": reconciler, "digester": digester}
        notifier = (
            self._notifier(settings.slack_webhook_secret, people, alerts, history, settings, bundle)
            if settings.slack_webhook_secret
            else None
        )
        if notifier:
            queues["slack"], functions["notifier"] = notifier

        for function in (router, reconciler):
            function.function.add_environment("REMEDIATOR_ROLE_ARN", reconciler.role.role_arn)
        reconciler.role.add_to_policy(
            iam.PolicyStatement(
                sid="NeverOwnRoles",
                effect=iam.Effect.DENY,
                actions=list(IAM_WRITES),
                resources=[own_roles_pattern(self.account)],
            )
        )
        undelivered = {"events": intake.undelivered, "alerts": alerts.undelivered}
        Alarms(
            self,
            "Alarms",
            topic=people.topic,
            queues=queues,
            undelivered=undelivered,
            functions=functions,
            settings=settings,
        )
        Dashboard(
            self,
            "Dashboard",
            queues=queues,
            undelivered=undelivered,
            functions=functions,
            settings=settings,
        )
        if not settings.emails and settings.amazon_q is None:
            only = "Slack's webhook is the only way" if settings.slack_webhook_secret else "There is no way"
            Annotations.of(self).add_warning_v2(
                "anyscale-remediator:few-channels",
                f"{only} by which people are told, so that nobody hears of it when that does not work. Add an address "
                "to `emails`.",
            )
        self._outputs(
            {
                "AlertsTopicArn": (alerts.topic.topic_arn, "Subscribe machines to this topic: every alert as JSON"),
                "PeopleTopicArn": (people.topic.topic_arn, "Subscribe people to this topic: it is to be read"),
                "IntakeQueueUrl": (intake.queue.queue_url, "Events that wait for the router"),
                "IntakeDeadLettersUrl": (intake.dead_letters.queue_url, "Events that the router could not take"),
                "UndeliveredEventsUrl": (intake.undelivered.queue_url, "Events that the rules could not deliver"),
                "WorkQueueUrl": (work.queue.queue_url, "Roles that wait for the reconciler"),
                "WorkDeadLettersUrl": (work.dead_letters.queue_url, "Roles that the reconciler could not take"),
                "SweepQueueUrl": (sweep.queue.queue_url, "Requests for a sweep that wait for the sweeper"),
                "SweepDeadLettersUrl": (sweep.dead_letters.queue_url, "Requests for a sweep that failed"),
                "DigestQueueUrl": (digest.queue.queue_url, "Alerts that wait for the digester"),
                "DigestDeadLettersUrl": (digest.dead_letters.queue_url, "Alerts that people could not be told"),
                "UndeliveredAlertsUrl": (alerts.undelivered.queue_url, "Alerts that SNS could not deliver to a queue"),
                "SweepScheduleName": (sweep.schedule.schedule_name, "When every enrolled role is looked at"),
                "DashboardName": (DASHBOARD_NAME, "CloudWatch's page of how it is going"),
                "HistoryTableName": (history.table.table_name, "Every change, before and after it was made"),
                "ConfigurationDigest": (settings_digest(settings), "Tells whether a cdk.json is the deployed one"),
                "PauseParameterName": (PAUSE_PARAMETER, "Set it to paused, and nothing is written any more"),
                "RouterFunctionName": (router.function.function_name, "Which roles does an event concern?"),
                "SweeperFunctionName": (sweeper.function.function_name, "Which roles has no event told of?"),
                "ReconcilerFunctionName": (reconciler.function.function_name, "The only function that writes"),
                "DigesterFunctionName": (digester.function.function_name, "Tells people, of a storm in a digest"),
                "ReconcilerRoleArn": (
                    reconciler.role.role_arn,
                    "The principal of every repair, as CloudTrail shows it",
                ),
                **(
                    {
                        "SlackQueueUrl": (notifier[0].queue.queue_url, "What waits to be posted to Slack"),
                        "SlackDeadLettersUrl": (notifier[0].dead_letters.queue_url, "What Slack could not be told"),
                        "NotifierFunctionName": (notifier[1].function.function_name, "Posts to Slack"),
                    }
                    if notifier
                    else {}
                ),
                **({"InboxBusArn": (intake.inbox.arn, "The bus that the forwarders send to")} if intake.inbox else {}),
            }
        )

    def _notifier(
        self, secret: str, people: People, alerts: Alerts, history: History, settings: Settings, bundle: Path
    ) -> tuple[Watched, QueueFunction]:
        """What posts to Slack all that people are told, and its queue."""
        slack = TopicQueue(
            self, "Slack", topic=people.topic, undelivered=alerts.undelivered, consumer_timeout=_NOTIFIER_TIMEOUT
        )
        notifier = QueueFunction(
            self,
            "Notifier",
            name="notifier",
            description="Posts to Slack what people are told; it writes nothing but what it has posted",
            bundle=bundle,
            timeout=_NOTIFIER_TIMEOUT,
            environment={"WEBHOOK_SECRET": secret, "HISTORY_TABLE": history.table.table_name},
            settings=settings,
            ours=history.arns,
        )
        notifier.works_off(slack.queue, _TELLING_BATCHES)
        return Watched(slack.queue, slack.dead_letters, late_minutes=_LATE_MINUTES), notifier

    def _outputs(self, outputs: dict[str, tuple[str, str]]) -> None:
        for name, (value, description) in outputs.items():
            CfnOutput(self, name, value=value, description=description)
