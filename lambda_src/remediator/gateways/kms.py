"""Read the customer managed keys of buckets. Key policies are never written."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final

from remediator.core.model.bucket import CustomerKey, KeyState
from remediator.core.policy.document import PolicyDocument, read_policy
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import AwsError, NotFoundError, TransientError
from remediator.gateways.aws_errors import reading, translated

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient

_REGION_IN_ARN = 3

_STATES: Final = {
    "Enabled": KeyState.ENABLED,
    "Updating": KeyState.ENABLED,
    "Disabled": KeyState.DISABLED,
    "PendingDeletion": KeyState.PENDING_DELETION,
    "PendingReplicaDeletion": KeyState.PENDING_DELETION,
    "Creating": KeyState.UNAVAILABLE,
    "PendingImport": KeyState.UNAVAILABLE,
    "Unavailable": KeyState.UNAVAILABLE,
}
"""What each state of AWS means for the use of a key; a key that is being updated can be used.

https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
"""


class KmsGateway:
    """KMS as the other gateways see it; ``client_for`` gives the client of a Region and is called once per Region.

    Every method raises TransientError where trying again later can help.
    """

    def __init__(self, client_for: Callable[[str], KMSClient]) -> None:
        self._client_in = cache(client_for)

    def read_key(self, arn: str) -> CustomerKey:
        """The key of that ARN with its policy and its state: two calls, or one where there is no such key.

        What KMS refuses to show is Unreadable; the policy of another account's key always is.
        https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
        """
        state = self._state(arn)
        if isinstance(state, Absent):
            return CustomerKey(arn, policy=Absent(), state=state)
        return CustomerKey(arn, policy=self._policy(arn), state=state)

    def resolve(self, name: str, region: str) -> str | None:
        """The ARN of the key that an alias (its name or ARN) stands for in a Region, in one call.

        None where there is no such alias, or where the remediator may not read its key (one that is not configured).
        """
        try:
            with translated("kms:DescribeKey"):
                return self._client_in(region).describe_key(KeyId=name)["KeyMetadata"]["Arn"]
        except TransientError:
            raise
        except AwsError:
            return None

    def _state(self, arn: str) -> Reading[KeyState]:
        read = reading("kms:DescribeKey", lambda: self._client_in(_region_of(arn)).describe_key(KeyId=arn))
        if not isinstance(read, Present):
            return read
        name = read.value["KeyMetadata"].get("KeyState", "")
        state = _STATES.get(name)
        return (
            Unreadable(f"KMS gives it as {name!r}, which is no state that the remediator knows")
            if state is None
            else Present(state)
        )

    def _policy(self, arn: str) -> Reading[PolicyDocument]:
        """https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html"""
        try:
            read = reading(
                "kms:GetKeyPolicy",
                lambda: self._client_in(_region_of(arn)).get_key_policy(KeyId=arn, PolicyName="default"),
                must_exist=True,
            )
        except NotFoundError as error:
            # Every key has a policy, so that even "not found" means no more than that the remediator cannot see it.
            return Unreadable(str(error))
        return read_policy(read.value["Policy"]) if isinstance(read, Present) else read


def _region_of(arn: str) -> str:
    return arn.split(":")[_REGION_IN_ARN]
