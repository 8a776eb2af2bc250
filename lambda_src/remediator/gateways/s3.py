"""Read the buckets of a cloud."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from remediator.core.policy.document import read_policy
from remediator.core.reading import Absent, Present, Reading, Unreadable
from remediator.core.state import Bucket
from remediator.errors import AwsError, NotFoundError, TransientError
from remediator.gateways.aws_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


class S3Gateway:
    """S3 as the flows see it; ``client_for`` gives the client of a Region and is called once per Region."""

    def __init__(self, client_for: Callable[[str], S3Client]) -> None:
        self._client_for = client_for
        self._clients: dict[str, S3Client] = {}

    def read_bucket(self, name: str, *, region: str, account: str) -> Reading[Bucket]:
        """The bucket with its policy, if it belongs to ``account`` (12 digits).

        Unreadable where S3 refuses the read, which it does too where another account owns the bucket: somebody else
        may have taken the name, and S3 shows a bucket's policy to its owner's account only. Raises TransientError.
        https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
        """
        if region not in self._clients:
            self._clients[region] = self._client_for(region)
        try:
            with translated("s3:GetBucketPolicy"):
                answer = self._clients[region].get_bucket_policy(Bucket=name, ExpectedBucketOwner=account)
        except NotFoundError as error:
            if error.code == "NoSuchBucketPolicy":
                return Present(Bucket(name=name, account=account, region=region, policy=Absent()))
            return Absent()
        except TransientError:
            raise
        except AwsError as error:
            return Unreadable(
                f"{error}. Either the bucket belongs to another account than ours or than {account}, or its Region is "
                f"not {region}, or its policy, or ours, denies the read"
            )
        return Present(Bucket(name=name, account=account, region=region, policy=read_policy(answer["Policy"])))
