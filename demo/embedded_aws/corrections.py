"""All corrections of what ministack does otherwise than AWS; each module says what it corrects, and by which page."""

from __future__ import annotations

from demo.embedded_aws import authorization, buckets, delivery, deployments, identities, metrics, parameters


def install(publish: deployments.Publish) -> None:
    """Make ministack do as AWS does; ``publish`` puts an event on a bus."""
    authorization.install()
    buckets.install()
    delivery.install()
    deployments.install(publish)
    identities.install()
    metrics.install()
    parameters.install(publish)
