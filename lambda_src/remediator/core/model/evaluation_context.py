"""What is known about the requests to assess, beyond the documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from remediator.core.policy.document import PolicyDocument


class Network(StrEnum):
    """How requests reach S3, where the condition keys that are given do not say it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies-vpc-endpoint.html
    """

    NAT = "nat"
    """By HTTPS from a public address."""
    UNKNOWN = "unknown"
    """So, or through a VPC endpoint."""


@dataclass(frozen=True, slots=True)
class EvaluationContext:
    """What is known about the requests to evaluate, beyond the documents.

    ``organization`` is the id (``o-…``) of the organization of the role's account, None where unknown.
    ``service_control_policies`` are the SCPs level by level from the root down (each level is a tuple of documents),
    None where they are unknown. ``context`` adds or overrides single condition keys, with their values. ``network`` is
    the way to S3.
    """

    organization: str | None = None
    service_control_policies: tuple[tuple[PolicyDocument, ...], ...] | None = None
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    network: Network = Network.NAT

    @classmethod
    def at(cls, now: datetime) -> EvaluationContext:
        """What the deployed functions know of requests that are made now: the time, and not the way to S3."""
        time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return cls(context={"aws:CurrentTime": (time,)}, network=Network.UNKNOWN)
