"""The server of the embedded AWS: an AWS on 127.0.0.1, in one process, without Docker and without an account.

It is the emulator *ministack* with the things around it that it lacks:

- ``gateway`` plays CloudTrail: it watches the requests go by and puts a record of every writing call to IAM, KMS
  and the configuration of S3 buckets on the default event bus. ``cloudtrail`` writes those records.
- ``runtime`` runs Python functions with AWS's own runtime client and the environment that Lambda gives them.
- ``letters`` keeps what SNS sends as e-mail.
- ``certificate`` makes the certificate of the day, because IAM is enforced on TLS connections only;
- ``corrections`` mends what it does otherwise than AWS, as far as that matters here: ``authorization`` in what IAM
  enforces, ``identities`` in IAM itself, ``buckets`` in S3, ``delivery`` in EventBridge, ``deployments`` in
  CloudFormation, ``parameters`` in Systems Manager, ``metrics`` in CloudWatch.

``python -m demo.embedded_aws`` starts it. That has to be the Python of ``.venv-aws``: ministack pins another botocore
than the project, and it reads its settings from the environment while it is imported. Nothing in this package may
therefore be imported by the rest of the project, except this module and ``cloudtrail``, which need nothing but the
standard library. ``demo.embedded`` is the side that the demo and the tests use.
"""

MINISTACK = "1.5.33"
"""The version of ministack whose private names this package uses. Another one needs a look at every one of them."""

ACCOUNT = "111122223333"
"""The id of the one account."""

REGION = "us-east-1"
"""The region where a client that names none is, and where the events of IAM arrive."""
