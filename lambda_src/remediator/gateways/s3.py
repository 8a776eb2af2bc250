"""Read the buckets of a cloud, and write their policies."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from remediator.core.model.bucket import Bucket, PublicAccessBlock
from remediator.core.policy.document import PolicyDocument, policy_text, read_policy
from remediator.core.policy.public import public_statements
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.errors import AwsError, NotFoundError, TransientError
from remediator.gateways.aws_errors import translated
from remediator.gateways.kms import KmsGateway

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#aws-managed-customer-managed-keys
_AWS_MANAGED_KEY = re.compile(r"(?:arn:[^:]+:kms:[^:]*:[^:]*:)?alias/aws/s3")
_ALIAS = re.compile(r"(?:arn:[^:]+:kms:[^:]*:[^:]*:)?alias/.+", re.DOTALL)


class S3Gateway:
    """S3 as the flows see it; ``client_for`` gives the client of a Region and is called once per Region.

    So does ``writing_for``, for a client that writes and does not try a second time by itself (``flows.writing``);
    without it there is nothing to write with.

    Buckets are given by their names, with the Region where they live and the account (12 digits) that owns them. Every
    call names that owner: somebody else may have taken the name of a bucket that was deleted.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
    Every method raises TransientError where trying again later can help.
    """

    def __init__(
        self,
        client_for: Callable[[str], S3Client],
        keys: KmsGateway,
        writing_for: Callable[[str], S3Client] | None = None,
    ) -> None:
        self._client_in = cache(client_for)
        self._writing_in = _only_reads if writing_for is None else cache(writing_for)
        self._keys = keys

    def read_bucket(self, name: str, *, region: str, account: str, key: str | None = None) -> Reading[Bucket]:
        """The bucket with its policy and its encryption, if it belongs to ``account``.

        Two calls; one more (public access block) where the policy has statements that make it public. Where ``key``,
        the ARN of the customer managed key that the configuration names, is given, two more for that key, and one
        where the bucket names its key by an alias.

        Unreadable where S3 does not show the policy, which it does to the owner's account only. What else it does not
        show is Unreadable, or None for the public access block, within the bucket.
        """
        try:
            policy = self._policy(name, region, account)
        except NotFoundError:
            return Absent()
        except TransientError:
            raise
        except AwsError as error:
            return Unreadable(
                f"{error}. Either the bucket belongs neither to the remediator's account nor to {account}, or its "
                f"Region is not {region}, or its policy, or the remediator's, denies the read"
            )
        try:
            encryption = self._encryption(name, region, account, key)
            block = self._public_access_block(name, region, account) if _is_public(policy) else None
        except NotFoundError:
            return Absent()  # it was deleted in between
        return Present(
            Bucket(
                name=name,
                account=account,
                region=region,
                policy=policy,
                public_access_block=block,
                key=None if key is None else self._keys.read_key(key),
                encryption=encryption,
            )
        )

    def read_policy(self, name: str, *, region: str, account: str) -> Reading[PolicyDocument]:
        """The policy of the bucket, in one call. Raises NotFoundError where there is no such bucket."""
        try:
            return self._policy(name, region, account)
        except (TransientError, NotFoundError):
            raise
        except AwsError as error:
            return Unreadable(str(error))

    def write_policy(self, name: str, document: PolicyDocument, *, region: str, account: str) -> None:
        """Replace the policy of the bucket by ``document``. Raises any AwsError.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
        """
        with translated("s3:PutBucketPolicy"):
            self._writing_in(region).put_bucket_policy(
                Bucket=name, Policy=policy_text(document), ExpectedBucketOwner=account
            )

    def delete_policy(self, name: str, *, region: str, account: str) -> None:
        """Delete the policy of the bucket; that it has none is no error. Raises any AwsError.

        https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketPolicy.html
        """
        with translated("s3:DeleteBucketPolicy"):
            self._writing_in(region).delete_bucket_policy(Bucket=name, ExpectedBucketOwner=account)

    def _policy(self, name: str, region: str, account: str) -> Reading[PolicyDocument]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicy.html"""
        try:
            with translated("s3:GetBucketPolicy"):
                answer = self._client_in(region).get_bucket_policy(Bucket=name, ExpectedBucketOwner=account)
        except NotFoundError as error:
            if error.code == "NoSuchBucketPolicy":
                return Absent()
            raise
        return read_policy(answer["Policy"])

    def _encryption(self, name: str, region: str, account: str, key: str | None) -> Reading[str | None]:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html"""
        try:
            with translated("s3:GetBucketEncryption"):
                answer = self._client_in(region).get_bucket_encryption(Bucket=name, ExpectedBucketOwner=account)
        except NotFoundError as error:
            if error.code == "ServerSideEncryptionConfigurationNotFoundError":
                return Present(None)  # S3 then uses its own key
            raise
        except TransientError:
            raise
        except AwsError as error:
            return Unreadable(str(error))
        rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
        named = (rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID") for rule in rules)
        return Present(self._key_named(next(filter(None, named), None), region, key))

    def _key_named(self, name: str | None, region: str, key: str | None) -> str | None:
        """The customer managed key that a bucket names by its ARN, its id or an alias; None for a key of AWS.

        An id or an alias without an account is looked for in the account of whoever uses the bucket, which is ours.
        https://docs.aws.amazon.com/AmazonS3/latest/API/API_ServerSideEncryptionByDefault.html
        """
        if name is None or _AWS_MANAGED_KEY.fullmatch(name):
            return None
        if key is not None:
            if name == key.rpartition("/")[2]:
                return key
            if _ALIAS.fullmatch(name):
                return self._keys.resolve(name, region) or name
        return name

    def _public_access_block(self, name: str, region: str, account: str) -> PublicAccessBlock | None:
        """https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetPublicAccessBlock.html"""
        try:
            with translated("s3:GetPublicAccessBlock"):
                answer = self._client_in(region).get_public_access_block(Bucket=name, ExpectedBucketOwner=account)
        except NotFoundError as error:
            if error.code == "NoSuchPublicAccessBlockConfiguration":
                return PublicAccessBlock()
            raise
        except TransientError:
            raise
        except AwsError:
            return None
        configured = answer["PublicAccessBlockConfiguration"]
        return PublicAccessBlock(
            block_public_policy=configured.get("BlockPublicPolicy", False),
            restrict_public_buckets=configured.get("RestrictPublicBuckets", False),
        )


def _only_reads(region: str) -> NoReturn:
    raise TypeError(f"this gateway has no client to write with in {region}")


def _is_public(policy: Reading[PolicyDocument]) -> bool:
    return isinstance(policy, Present) and bool(public_statements(policy.value))
