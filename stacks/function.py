"""A Lambda function with all that is its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aws_cdk import Acknowledgment, Duration, RemovalPolicy, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as event_sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from remediator.permissions import PERMISSIONS, Target
from remediator.settings import Settings
from stacks.statements import allow_declared

# CPU comes with memory. The functions need about 90 MB, mostly boto3; at 128 MB its import alone takes seconds.
DEFAULT_MEMORY_MB: Final = 256


@dataclass(frozen=True, slots=True)
class Batches:
    """How Lambda hands messages to a function: ``size`` at most at once, to ``concurrency`` of it at the same time.

    It waits for ``window`` for a batch to fill; None, the only possibility for a FIFO queue, stands for no time.
    """

    size: int = 10
    window: Duration | None = None
    # FIFO groups bound the reconcilers of one document to one; this bounds all of them: IAM throttles per account.
    concurrency: int = 5


class QueueFunction(Construct):
    """A function that works off a queue, with a role and a log group of its own.

    Its name is that of its module under ``remediator.handlers`` and of its entry in ``remediator.permissions``. The
    role holds no managed policy of AWS: AWSLambdaBasicExecutionRole may write to every log group of the account.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        description: str,
        bundle: Path,
        timeout: Duration,
        environment: Mapping[str, str],
        settings: Settings,
        ours: Mapping[Target, str],
        memory_mb: int = DEFAULT_MEMORY_MB,
    ) -> None:
        """``ours`` has the ARNs of the stack's own resources that calls of the function are declared on."""
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"Execution role of the Anyscale role remediator's {name}",
        )
        # Alerts say what a log says of a repair, so nothing is left behind when the stack is deleted.
        log_group = logs.LogGroup(self, "Logs", removal_policy=RemovalPolicy.DESTROY)
        retention = log_group.node.default_child
        if not isinstance(retention, logs.CfnLogGroup):
            raise TypeError("a LogGroup has a CfnLogGroup as its default child")
        retention.retention_in_days = settings.log_retention_days
        log_group.grant_write(self.role)
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            # Python started from the folder would leave caches there; they are no part of the code or of its hash.
            code=lambda_.Code.from_asset(str(bundle), exclude=["**/__pycache__"]),
            handler=f"remediator.handlers.{name}.handle",
            role=self.role,
            log_group=log_group,
            timeout=timeout,
            memory_size=memory_mb,
            tracing=lambda_.Tracing.ACTIVE,
            environment={
                "POWERTOOLS_SERVICE_NAME": name,
                "POWERTOOLS_METRICS_NAMESPACE": "AnyscaleRemediator",
                "POWERTOOLS_LOG_LEVEL": "INFO",
                **environment,
            },
        )
        Validations.of(self.role).acknowledge(
            Acknowledgment(
                id="AwsSolutions-IAM5[Resource::*]",
                reason="X-Ray's PutTraceSegments and PutTelemetryRecords can be granted on * only.",
            )
        )
        allow_declared(self.role, PERMISSIONS[name], settings, ours=ours)

    def consumes(self, queue: sqs.Queue, batches: Batches = Batches()) -> None:
        """Start the function for the queue's messages, several at a time; each message can fail on its own."""
        self.function.add_environment("CONSUMED_QUEUE_URL", queue.queue_url)
        self.function.add_event_source(
            event_sources.SqsEventSource(
                queue,
                batch_size=batches.size,
                max_batching_window=batches.window,
                max_concurrency=batches.concurrency,
                report_batch_item_failures=True,
            )
        )
