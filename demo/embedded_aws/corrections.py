"""All fixes of differences between ministack and AWS; each module documents its own, with links to AWS's pages."""

from __future__ import annotations

from demo.embedded_aws import authorization, buckets, delivery, deployments, identities, metrics, parameters


def install(publish: deployments.Publish) -> None:
    """Make ministack behave like AWS; ``publish`` puts an event on a bus."""
    authorization.install()
    buckets.install()
    delivery.install()
    deployments.install(publish)
    identities.install()
    metrics.install()
    parameters.install(publish)
