"""The policies of AWS itself that the roles of cluster nodes often carry: a plan names them, and does not hold them.

Only those are listed whose document decides something here, or is often in the way of a verdict. All others are
unknown, and so is what they grant.
https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from remediator.core.policy.document import PolicyDocument, read_mapping
from remediator.core.policy.reading import Present, Reading, Unreadable

_ARN = re.compile(r"arn:aws[a-z-]*:iam::aws:policy/(?P<name>[\w+=,.@-]+)", re.ASCII)


def _allow(*actions: str, resource: str = "*") -> dict[str, object]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


_STATEMENTS: Mapping[str, tuple[dict[str, object], ...]] = MappingProxyType(
    {
        "AdministratorAccess": (_allow("*"),),
        "AWSDenyAll": ({"Sid": "DenyAll", "Effect": "Deny", "Action": ["*"], "Resource": "*"},),
        "AmazonS3FullAccess": (_allow("s3:*", "s3-object-lambda:*"),),
        "AmazonS3ReadOnlyAccess": (
            _allow("s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*"),
        ),
        "AmazonEC2ContainerRegistryReadOnly": (
            _allow(
                "ecr:GetAuthorizationToken",
                "ecr:BatchCheckLayerAvailability",
                "ecr:GetDownloadUrlForLayer",
                "ecr:GetRepositoryPolicy",
                "ecr:DescribeRepositories",
                "ecr:ListImages",
                "ecr:DescribeImages",
                "ecr:BatchGetImage",
                "ecr:GetLifecyclePolicy",
                "ecr:GetLifecyclePolicyPreview",
                "ecr:ListTagsForResource",
                "ecr:DescribeImageScanFindings",
            ),
        ),
        "AmazonEC2ContainerRegistryPullOnly": (
            _allow(
                "ecr:GetAuthorizationToken",
                "ecr:BatchGetImage",
                "ecr:GetDownloadUrlForLayer",
                "ecr:BatchImportUpstreamImage",
            ),
        ),
        "AmazonSSMManagedInstanceCore": (
            _allow(
                "ssm:DescribeAssociation",
                "ssm:GetDeployablePatchSnapshotForInstance",
                "ssm:GetDocument",
                "ssm:DescribeDocument",
                "ssm:GetManifest",
                "ssm:GetParameter",
                "ssm:GetParameters",
                "ssm:ListAssociations",
                "ssm:ListInstanceAssociations",
                "ssm:PutInventory",
                "ssm:PutComplianceItems",
                "ssm:PutConfigurePackageResult",
                "ssm:UpdateAssociationStatus",
                "ssm:UpdateInstanceAssociationStatus",
                "ssm:UpdateInstanceInformation",
            ),
            _allow(
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ),
            _allow(
                "ec2messages:AcknowledgeMessage",
                "ec2messages:DeleteMessage",
                "ec2messages:FailMessage",
                "ec2messages:GetEndpoint",
                "ec2messages:GetMessages",
                "ec2messages:SendReply",
            ),
        ),
        "CloudWatchAgentServerPolicy": (
            _allow(
                "cloudwatch:PutMetricData",
                "ec2:DescribeVolumes",
                "ec2:DescribeTags",
                "logs:PutLogEvents",
                "logs:PutRetentionPolicy",
                "logs:DescribeLogStreams",
                "logs:DescribeLogGroups",
                "logs:CreateLogStream",
                "logs:CreateLogGroup",
                "xray:PutTraceSegments",
                "xray:PutTelemetryRecords",
                "xray:GetSamplingRules",
                "xray:GetSamplingTargets",
                "xray:GetSamplingStatisticSummaries",
            ),
            _allow("ssm:GetParameter", resource="arn:aws:ssm:*:*:parameter/AmazonCloudWatch-*"),
        ),
    }
)

NAMES = frozenset(_STATEMENTS)


def aws_managed(arn: str, file: str) -> Reading[PolicyDocument]:
    """The document of a managed policy that a ``file`` (a plan, a template) names by its ARN, and does not hold."""
    match = _ARN.fullmatch(arn)
    statements = None if match is None else _STATEMENTS.get(match["name"])
    if statements is None:
        return Unreadable(f"the {file} does not hold the managed policy {arn}")
    return Present(read_mapping({"Version": "2012-10-17", "Statement": list(statements)}))
