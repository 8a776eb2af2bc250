"""The names that mark what belongs to the remediator in a role and in the policy of a bucket; everything else is of
others."""

from __future__ import annotations

OWN_POLICY_NAME = "AnyscaleRemediatorS3Access"
BUCKET_SID = "AnyscaleRemediatorBucket"
OBJECTS_SID = "AnyscaleRemediatorObjects"
KEYS_SID = "AnyscaleRemediatorKeys"
TRUST_SID = "AnyscaleRemediatorEC2Trust"
BUCKET_POLICY_SID = "AnyscaleRemediatorAccess"
