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
        self._digest = self._queue_of("Digest", self._alerts.topic, _DIGESTER_TIMEOUT)
        self._slack = (
            self._queue_of("Slack", self._people.topic, _NOTIFIER_TIMEOUT) if settings.slack_webhook_secret else None
        )
        self._functions: dict[str, QueueFunction] = {}
        self._events_in()
        self._repairs()
        self._notifications()
        self._monitoring()
        self._outputs()

    def _queue_of(self, construct_id: str, topic: sns.Topic, consumer_timeout: Duration) -> TopicQueue:
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
            ours=self._history.arns,
        )
        return self._functions[name]

    def _events_in(self) -> None:
        """From events and requests for a sweep to the roles that are to be reconciled."""
        queues = {"WORK_QUEUE_URL": self._work.queue.queue_url, "SWEEP_QUEUE_URL": self._sweep.queue.queue_url}
        router = self._function(
            "router",
            "Reads which roles an event concerns, and queues those that are enrolled, or a sweep for them",
            _ROUTER_TIMEOUT,
            queues,
        )
        router.consumes(self._intake.queue)
        sweeper = self._function(
            "sweeper",
            "Looks at every enrolled role of the account, and queues those that need something",
            _SWEEPER_TIMEOUT,
            {**queues, "HISTORY_TABLE": self._history.table.table_name},
            _SWEEPER_MEMORY_MB,
        )
        sweeper.consumes(self._sweep.queue, _SWEEPER_BATCHES)
        for queue in (self._work.queue, self._sweep.queue):
            for function in (router, sweeper):
                queue.grant_send_messages(function.role)

    def _repairs(self) -> None:
        reconciler = self._function(
            "reconciler",
            "Compares a role with what it should be, repairs it, and tells people; the only writer",
            _RECONCILER_TIMEOUT,
            {
                "ALERTS_TOPIC_ARN": self._alerts.topic.topic_arn,
                "MAX_RECEIVE_COUNT": str(MAX_RECEIVE_COUNT),
                "HISTORY_TABLE": self._history.table.table_name,
                "PAUSE_PARAMETER": PAUSE_PARAMETER,
            },
        )
        reconciler.consumes(self._work.queue)
        # A request that turns out to belong into another group is queued again.
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

    def _notifications(self) -> None:
        """From alerts to people, and from there to Slack."""
        settings, table = self._settings, self._history.table.table_name
        digester = self._function(
            "digester",
            "Tells people of each alert, or of many at once; it writes nothing but what it has told",
            _DIGESTER_TIMEOUT,
            {"PEOPLE_TOPIC_ARN": self._people.topic.topic_arn, "HISTORY_TABLE": table},
        )
        digester.consumes(self._digest.queue, _TELLING_BATCHES)
        # A message that comes late ends a window.
        self._digest.queue.grant_send_messages(digester.role)
        self._people.allow_publishing(digester.role)
        if self._slack and settings.slack_webhook_secret:
            self._function(
                "notifier",
                "Posts to Slack what people are told; it writes nothing but what it has posted",
                _NOTIFIER_TIMEOUT,
                {"WEBHOOK_SECRET": settings.slack_webhook_secret, "HISTORY_TABLE": table},
            ).consumes(self._slack.queue, _TELLING_BATCHES)
        if not settings.emails and settings.amazon_q is None:
            only = "Slack's webhook is the only way" if self._slack else "There is no way"
            Annotations.of(self).add_warning_v2(
                "anyscale-remediator:few-channels",
                f"{only} by which people are told, so that nobody hears of it when that does not work. Add an address "
                "to `emails`.",
            )

    def _monitoring(self) -> None:
        intake, work, sweep, digest = self._intake, self._work, self._sweep, self._digest
        window = self._settings.digest.minutes  # what ends a window of alerts waits until then
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

    def _outputs(self) -> None:
        names = {name: each.function.function_name for name, each in self._functions.items()}
        outputs = {
            "AlertsTopicArn": (self._alerts.topic.topic_arn, "Subscribe machines to this topic: every alert as JSON"),
            "PeopleTopicArn": (self._people.topic.topic_arn, "Subscribe people to this topic: it is to be read"),
            "IntakeQueueUrl": (self._intake.queue.queue_url, "Events that wait for the router"),
            "IntakeDeadLettersUrl": (self._intake.dead_letters.queue_url, "Events that the router could not take"),
            "UndeliveredEventsUrl": (self._intake.undelivered.queue_url, "Events that the rules could not deliver"),
            "WorkQueueUrl": (self._work.queue.queue_url, "Roles that wait for the reconciler"),
            "WorkDeadLettersUrl": (self._work.dead_letters.queue_url, "Roles that the reconciler could not take"),
            "SweepQueueUrl": (self._sweep.queue.queue_url, "Requests for a sweep that wait for the sweeper"),
            "SweepDeadLettersUrl": (self._sweep.dead_letters.queue_url, "Requests for a sweep that failed"),
            "DigestQueueUrl": (self._digest.queue.queue_url, "Alerts that wait for the digester"),
            "DigestDeadLettersUrl": (self._digest.dead_letters.queue_url, "Alerts that people could not be told"),
            "UndeliveredAlertsUrl": (
                self._alerts.undelivered.queue_url,
                "Alerts that SNS could not deliver to a queue",
            ),
            "SweepScheduleName": (self._sweep.schedule.schedule_name, "When every enrolled role is looked at"),
            "DashboardName": (DASHBOARD_NAME, "CloudWatch's page of how it is going"),
            "HistoryTableName": (self._history.table.table_name, "Every change, before and after it was made"),
            "ConfigurationDigest": (settings_digest(self._settings), "Tells whether a cdk.json is the deployed one"),
            "PauseParameterName": (PAUSE_PARAMETER, "Set it to paused, and nothing is written any more"),
            "RouterFunctionName": (
                names["router"],
                "Which roles does an event concern?",
            ),
            "SweeperFunctionName": (
                names["sweeper"],
                "Which roles has no event told of?",
            ),
            "ReconcilerFunctionName": (
                names["reconciler"],
                "The only function that writes",
            ),
            "DigesterFunctionName": (
                names["digester"],
                "Tells people, of a storm in a digest",
            ),
            "ReconcilerRoleArn": (
                self._functions["reconciler"].role.role_arn,
                "The principal of every repair, as CloudTrail shows it",
            ),
        }
        if self._slack:
            outputs |= {
                "SlackQueueUrl": (self._slack.queue.queue_url, "What waits to be posted to Slack"),
                "SlackDeadLettersUrl": (self._slack.dead_letters.queue_url, "What Slack could not be told"),
                "NotifierFunctionName": (names["notifier"], "Posts to Slack"),
            }
        if self._intake.inbox:
            outputs["InboxBusArn"] = (self._intake.inbox.arn, "The bus that the forwarders send to")
        for name, (value, description) in outputs.items():
            CfnOutput(self, name, value=value, description=description)
