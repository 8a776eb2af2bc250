"""The stack of the home region: events in, repairs and alerts out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aws_cdk import Annotations, CfnOutput, Duration, Environment, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from constructs import Construct

from remediator.core.enrollment.own_roles import own_roles_pattern
from remediator.permissions import IAM_WRITES
from remediator.settings import Settings, settings_digest
from stacks.alarms import Alarms, Watched
from stacks.alerts import Alerts, PeopleNotifications
from stacks.dashboard import DASHBOARD_NAME, Dashboard
from stacks.function import DEFAULT_MEMORY_MB, Batches, QueueFunction
from stacks.history import PAUSE_PARAMETER, HistoryStorage
from stacks.intake import Intake
from stacks.queues import MAX_RECEIVE_COUNT, FifoWorkQueue, TopicQueue
from stacks.sweep import SweepRequests

# The router reads each role that a changed managed policy is attached to.
_ROUTER_TIMEOUT: Final = Duration.seconds(60)
# Several times the time that the reconciler reserves for one role, so a batch has room.
_RECONCILER_TIMEOUT: Final = Duration.seconds(120)
# One scan of the whole account, with all roles in memory.
_SWEEPER_TIMEOUT: Final = Duration.seconds(300)
_SWEEPER_MEMORY_MB: Final = 512
# One scan serves all requests of a batch, and creating a bucket makes several calls within a second or two.
_SWEEPER_WINDOW: Final = Duration.seconds(2)
_SWEEPER_BATCHES: Final = Batches(size=1000, window=_SWEEPER_WINDOW, concurrency=2)
# A digest can read hundreds of alerts.
_DIGESTER_TIMEOUT: Final = Duration.seconds(60)
# Several times the time that the notifier reserves for one message: Slack accepts one message per second.
_NOTIFIER_TIMEOUT: Final = Duration.seconds(120)
# The minimum that Lambda allows. People read no faster, and Slack accepts no more.
_NOTIFICATION_BATCHES: Final = Batches(concurrency=2)
# In a standard queue, SQS excludes messages received more than three times, here after two minutes, from the age.
_LATE_MINUTES: Final = 15
# In a FIFO queue a message counts until its last attempt, about half an hour after the first.
_WORK_LATE_MINUTES: Final = 45
# After a crash, the message returns when the visibility timeout of half an hour ends.
_SWEEP_LATE_MINUTES: Final = 45


class RemediatorStack(Stack):
    """Rules → intake queue → router → work queue → reconciler → alerts; schedule → sweep queue → sweeper → work queue.

    Alerts → digest queue → digester → people, and, if a webhook is configured, → Slack queue → notifier.

    The reconciler records each write in the history before it makes it. ``bundle`` is the folder with the functions'
    code that ``stacks.bundle`` builds. Without an account in the settings, the stack deploys to the account of the
    credentials. Raises SettingsError if the configuration exceeds IAM's limits.
    """

    def __init__(self, scope: Construct, construct_id: str, *, settings: Settings, bundle: Path) -> None:
        super().__init__(
            scope,
            construct_id,
            env=Environment(account=settings.account, region=settings.region),
            description="Anyscale role remediator: keeps the IAM roles of Anyscale clusters usable",
            tags={"application": "anyscale-role-remediator"},
        )
        self._settings, self._bundle = settings, bundle
        self._alerts = Alerts(self, "Alerts")
        self._people = PeopleNotifications(self, "People", key=self._alerts.key, settings=settings)
        self._history = HistoryStorage(self, "History")
        self._intake = Intake(self, "Intake", settings=settings, consumer_timeout=_ROUTER_TIMEOUT)
        self._work = FifoWorkQueue(self, "Work", consumer_timeout=_RECONCILER_TIMEOUT)
        self._sweep = SweepRequests(
            self,
            "Sweep",
            settings=settings,
            pause_parameter=PAUSE_PARAMETER,
            consumer_timeout=_SWEEPER_TIMEOUT,
            batching_window=_SWEEPER_WINDOW,
        )
        self._digest = self._topic_queue("Digest", self._alerts.topic, _DIGESTER_TIMEOUT)
        self._slack = (
            self._topic_queue("Slack", self._people.topic, _NOTIFIER_TIMEOUT) if settings.slack_webhook_secret else None
        )
        self._functions: dict[str, QueueFunction] = {}
        self._add_router_and_sweeper()
        self._add_reconciler()
        self._add_notifications()
        self._add_monitoring()
        self._add_outputs()

    def _topic_queue(self, construct_id: str, topic: sns.Topic, consumer_timeout: Duration) -> TopicQueue:
        return TopicQueue(
            self,
            construct_id,
            topic=topic,
            undelivered=self._alerts.undelivered,
            consumer_timeout=consumer_timeout,
        )

    def _function(
        self,
        name: str,
        description: str,
        timeout: Duration,
        environment: Mapping[str, str],
        memory_mb: int = DEFAULT_MEMORY_MB,
    ) -> QueueFunction:
        self._functions[name] = QueueFunction(
            self,
            name.capitalize(),
            name=name,
            description=description,
            bundle=self._bundle,
            timeout=timeout,
            memory_mb=memory_mb,
            environment=environment,
            settings=self._settings,
            own_resources=self._history.arns,
        )
        return self._functions[name]

    def _add_router_and_sweeper(self) -> None:
        """Add the functions that turn events and sweep requests into roles to reconcile."""
        queues = {"WORK_QUEUE_URL": self._work.queue.queue_url, "SWEEP_QUEUE_URL": self._sweep.queue.queue_url}
        router = self._function(
            "router",
            "Finds the roles that an event affects, and queues the enrolled ones or a sweep of them",
            _ROUTER_TIMEOUT,
            queues,
        )
        router.consumes(self._intake.queue)
        sweeper = self._function(
            "sweeper",
            "Checks every enrolled role in the account, and queues those that need attention",
            _SWEEPER_TIMEOUT,
            {**queues, "HISTORY_TABLE": self._history.table.table_name},
            _SWEEPER_MEMORY_MB,
        )
        sweeper.consumes(self._sweep.queue, _SWEEPER_BATCHES)
        for queue in (self._work.queue, self._sweep.queue):
            for function in (router, sweeper):
                queue.grant_send_messages(function.role)

    def _add_reconciler(self) -> None:
        reconciler = self._function(
            "reconciler",
            "Compares a role with its desired state, repairs it, and sends alerts; the only writer",
            _RECONCILER_TIMEOUT,
            {
                "ALERTS_TOPIC_ARN": self._alerts.topic.topic_arn,
                "MAX_RECEIVE_COUNT": str(MAX_RECEIVE_COUNT),
                "HISTORY_TABLE": self._history.table.table_name,
                "PAUSE_PARAMETER": PAUSE_PARAMETER,
            },
        )
        reconciler.consumes(self._work.queue)
        # The reconciler requeues a request that belongs to another message group.
        self._work.queue.grant_send_messages(reconciler.role)
        self._alerts.allow_publishing(reconciler.role)
        reconciler.role.add_to_policy(
            iam.PolicyStatement(
                sid="NeverOwnRoles",
                effect=iam.Effect.DENY,
                actions=list(IAM_WRITES),
                resources=[own_roles_pattern(self.account)],
            )
        )
        for name in ("router", "reconciler"):
            self._functions[name].function.add_environment("REMEDIATOR_ROLE_ARN", reconciler.role.role_arn)

    def _add_notifications(self) -> None:
        """Add the functions that send alerts to people and to Slack."""
        settings, table = self._settings, self._history.table.table_name
        digester = self._function(
            "digester",
            "Sends alerts to people, individually or as a digest; writes only its own delivery records",
            _DIGESTER_TIMEOUT,
            {"PEOPLE_TOPIC_ARN": self._people.topic.topic_arn, "HISTORY_TABLE": table},
        )
        digester.consumes(self._digest.queue, _NOTIFICATION_BATCHES)
        # A delayed message ends a digest window.
        self._digest.queue.grant_send_messages(digester.role)
        self._people.allow_publishing(digester.role)
        if self._slack and settings.slack_webhook_secret:
            self._function(
                "notifier",
                "Posts the messages for people to Slack; writes only its own delivery records",
                _NOTIFIER_TIMEOUT,
                {"WEBHOOK_SECRET": settings.slack_webhook_secret, "HISTORY_TABLE": table},
            ).consumes(self._slack.queue, _NOTIFICATION_BATCHES)
        if not settings.emails and settings.amazon_q is None:
            problem = (
                "The Slack webhook is the only alert channel. No one is notified if it fails."
                if self._slack
                else "No alert channel is configured. No one is notified of alerts."
            )
            Annotations.of(self).add_warning_v2(
                "anyscale-remediator:few-channels", f"{problem} Add an address to `emails`."
            )

    def _add_monitoring(self) -> None:
        intake, work, sweep, digest = self._intake, self._work, self._sweep, self._digest
        window = self._settings.digest.minutes  # the message that ends a digest window waits this long
        queues = {
            "intake": Watched(intake.queue, intake.dead_letters, late_minutes=_LATE_MINUTES),
            "work": Watched(work.queue, work.dead_letters, late_minutes=_WORK_LATE_MINUTES),
            "sweep": Watched(sweep.queue, sweep.dead_letters, late_minutes=_SWEEP_LATE_MINUTES),
            "digest": Watched(digest.queue, digest.dead_letters, late_minutes=_LATE_MINUTES + window),
        }
        if self._slack:
            queues["slack"] = Watched(self._slack.queue, self._slack.dead_letters, late_minutes=_LATE_MINUTES)
        undelivered = {"events": intake.undelivered, "alerts": self._alerts.undelivered}
        functions, settings = self._functions, self._settings
        Alarms(
            self,
            "Alarms",
            topic=self._people.topic,
            queues=queues,
            undelivered=undelivered,
            functions=functions,
            settings=settings,
        )
        Dashboard(self, "Dashboard", queues=queues, undelivered=undelivered, functions=functions, settings=settings)

    def _add_outputs(self) -> None:
        names = {name: each.function.function_name for name, each in self._functions.items()}
        outputs = {
            "AlertsTopicArn": (self._alerts.topic.topic_arn, "Topic for machines: every alert as JSON"),
            "PeopleTopicArn": (self._people.topic.topic_arn, "Topic for people: alerts and digests as text"),
            "IntakeQueueUrl": (self._intake.queue.queue_url, "Events that wait for the router"),
            "IntakeDeadLettersUrl": (self._intake.dead_letters.queue_url, "Events that the router failed to process"),
            "UndeliveredEventsUrl": (self._intake.undelivered.queue_url, "Events that the rules could not deliver"),
            "WorkQueueUrl": (self._work.queue.queue_url, "Roles that wait for the reconciler"),
            "WorkDeadLettersUrl": (self._work.dead_letters.queue_url, "Roles that the reconciler failed to process"),
            "SweepQueueUrl": (self._sweep.queue.queue_url, "Sweep requests that wait for the sweeper"),
            "SweepDeadLettersUrl": (self._sweep.dead_letters.queue_url, "Sweep requests that failed"),
            "DigestQueueUrl": (self._digest.queue.queue_url, "Alerts that wait for the digester"),
            "DigestDeadLettersUrl": (self._digest.dead_letters.queue_url, "Alerts that the digester failed to send"),
            "UndeliveredAlertsUrl": (
                self._alerts.undelivered.queue_url,
                "Alerts that SNS could not deliver to a queue",
            ),
            "SweepScheduleName": (self._sweep.schedule.schedule_name, "Schedule that sweeps every enrolled role"),
            "DashboardName": (DASHBOARD_NAME, "CloudWatch dashboard"),
            "HistoryTableName": (self._history.table.table_name, "Every change, with the documents before and after"),
            "ConfigurationDigest": (
                settings_digest(self._settings),
                "Identifies the deployed configuration (cdk.json)",
            ),
            "PauseParameterName": (PAUSE_PARAMETER, "Set it to paused to stop all writes"),
            "RouterFunctionName": (names["router"], "Finds the roles that an event affects"),
            "SweeperFunctionName": (names["sweeper"], "Finds the roles that no event reported"),
            "ReconcilerFunctionName": (names["reconciler"], "Repairs roles; the only function that writes"),
            "DigesterFunctionName": (names["digester"], "Sends alerts to people, grouped into digests"),
            "ReconcilerRoleArn": (
                self._functions["reconciler"].role.role_arn,
                "The principal of every repair in CloudTrail",
            ),
        }
        if self._slack:
            outputs |= {
                "SlackQueueUrl": (self._slack.queue.queue_url, "Messages that wait to be posted to Slack"),
                "SlackDeadLettersUrl": (
                    self._slack.dead_letters.queue_url,
                    "Messages that could not be posted to Slack",
                ),
                "NotifierFunctionName": (names["notifier"], "Posts to Slack"),
            }
        if self._intake.inbox:
            outputs["InboxBusArn"] = (self._intake.inbox.arn, "Event bus for the forwarders in other Regions")
        for name, (value, description) in outputs.items():
            CfnOutput(self, name, value=value, description=description)
