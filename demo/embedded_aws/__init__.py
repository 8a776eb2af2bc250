"""The server of the embedded AWS: AWS on 127.0.0.1, in one process, without Docker and without an account.

It is the emulator *ministack* with these additions:

- ``gateway`` acts as CloudTrail: it puts a record of every write call to IAM, KMS and the configuration of S3 buckets
  on the default event bus. ``cloudtrail`` creates those records.
- ``runtime`` runs Python functions with AWS's own runtime client, in Lambda's environment.
- ``mailbox`` keeps the e-mails that SNS sends.
- ``certificate`` creates a TLS certificate, because ministack enforces IAM on TLS connections only.
- ``corrections`` fixes relevant differences from AWS: ``authorization`` in IAM enforcement, ``identities`` in IAM,
  ``buckets`` in S3, ``delivery`` in EventBridge, ``deployments`` in CloudFormation, ``parameters`` in Systems Manager,
  ``metrics`` in CloudWatch.

Start it with ``python -m demo.embedded_aws`` and the Python of ``.venv-aws``: ministack pins another version of
botocore than the project, and reads its settings from the environment during import. So the rest of the project
imports only this module and ``cloudtrail``, which need nothing but the standard library. ``demo.embedded`` is the
client for the demo and the tests.
"""

MINISTACK = "1.5.33"
"""The ministack version whose private names this package uses. Before an upgrade, review every one of them."""

ACCOUNT = "111122223333"
"""The id of the only account."""

REGION = "us-east-1"
"""The default Region of clients, and the Region in which IAM events arrive."""
