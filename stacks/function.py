"""A Lambda function with its own role and log group."""

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
    """How Lambda passes messages to a function: at most ``size`` per batch, ``concurrency`` batches in parallel.

    ``window`` is how long Lambda waits for a batch to fill. None means no wait, the only option for a FIFO queue.
    """

    size: int = 10
    window: Duration | None = None
    # FIFO groups allow one reconciler per document; this limits all reconcilers, because IAM throttles per account.
    concurrency: int = 5


class QueueFunction(Construct):
    """A function that consumes a queue, with its own role and log group.

    ``name`` is the name of its module in ``remediator.handlers`` and of its entry in ``remediator.permissions``. The
    role has no AWS managed policy: AWSLambdaBasicExecutionRole can write to every log group in the account.
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
        own_resources: Mapping[Target, str],
        memory_mb: int = DEFAULT_MEMORY_MB,
    ) -> None:
        """``own_resources`` maps each target that is a resource of the stack to its ARN."""
        super().__init__(scope, construct_id)
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"Execution role of the Anyscale role remediator's {name}",
        )
        # Alerts and the history carry what the log says about a repair, so the log is deleted with the stack.
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
            # Running Python from this folder creates caches, which are not part of the code or its hash.
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
                reason="X-Ray's PutTraceSegments and PutTelemetryRecords can only be granted on *.",
            )
        )
        allow_declared(self.role, PERMISSIONS[name], settings, own_resources=own_resources)

    def consumes(self, queue: sqs.Queue, batches: Batches = Batches()) -> None:
        """Invoke the function with batches of the queue's messages; each message can fail on its own."""
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
