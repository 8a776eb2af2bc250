"""What a cluster does: the eight S3 actions that it needs of its bucket, and the two of the bucket's key.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/security_iam_service-with-iam.html
"""

from __future__ import annotations

REQUIRED_OBJECT_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject")
REQUIRED_BUCKET_ACTIONS = ("s3:ListBucket",)
"""What a cluster cannot work without."""
WANTED_OBJECT_ACTIONS = ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts")
WANTED_BUCKET_ACTIONS = ("s3:ListBucketMultipartUploads", "s3:GetBucketLocation")
"""What large uploads and clear errors take; granted along with the required ones."""
KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")
"""What reading and writing objects takes under a customer managed key.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
"""

REQUIRED_ACTIONS = frozenset((*REQUIRED_OBJECT_ACTIONS, *REQUIRED_BUCKET_ACTIONS))
