"""Rights like an administrator's: decided by what the policies allow, not by their names."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediator.core.enrollment.decide import Refusal
from remediator.core.enrollment.privilege import refuse_by_policies, sign_of_privilege
from remediator.core.model.role import InlinePolicy, ManagedPolicy, Role, RolePolicies
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from tests.examples import ACCOUNT, BUCKET, EC2_STATEMENT, a_role, bucket_grant, document, settings

Json = dict[str, Any]
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/bounds"


def allow(action: object, resource: object = "*", **more: object) -> Json:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def policies(*statements: Json, boundary: tuple[Json, ...] | None = None) -> RolePolicies:
    inline: Reading[tuple[InlinePolicy, ...]] = Present((InlinePolicy("rights", Present(document(*statements))),))
    if boundary is None:
        return RolePolicies(inline, Present(()))
    return RolePolicies(inline, Present(()), Present(ManagedPolicy(BOUNDARY, Present(document(*boundary)))))


ROLE = a_role(EC2_STATEMENT)


def bounded() -> Role:
    return Role(ROLE.arn, ROLE.role_id, ROLE.tags, ROLE.trust, boundary_arn=BOUNDARY)


POWERFUL: dict[str, tuple[Json, ...]] = {
    "AdministratorAccess": (allow("*"),),
    "IAMFullAccess": (allow(["iam:*", "organizations:DescribeAccount"]),),
    "PowerUserAccess": (
        {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
        allow(["iam:CreateServiceLinkedRole", "iam:ListRoles"]),
    ),
    "sts:* on everything": (allow("sts:*"),),
    "sts:AssumeRole on every role": (allow("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/*"),),
    "every role passed to EC2": (allow("iam:PassRole"), allow("ec2:RunInstances")),
    "every role passed to EC2 alone": (
        allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}),
        allow("ec2:*"),
    ),
    "every role passed to Lambda": (
        allow("iam:PassRole"),
        allow("lambda:CreateFunction", f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:jobs-*"),
    ),
    "a new version of any policy": (allow("iam:CreatePolicyVersion"),),
    "an access key of any user": (allow("iam:CreateAccessKey", f"arn:aws:iam::{ACCOUNT}:user/*"),),
    "any user into any group": (allow("iam:AddUserToGroup"),),
    "oddly spelt": (allow("IaM:pUt*PoLiCy"),),
    "wildcards within": (allow("i?m:Attach*"),),
    "all but one resource": ({"Effect": "Allow", "Action": "iam:*", "NotResource": "arn:aws:s3:::a"},),
    "every role passed to whatever": (allow("iam:PassRole"),),
    "every role passed, though not started": (
        allow(["iam:PassRole", "ec2:RunInstances"]),
        {"Effect": "Deny", "Action": "ec2:*", "Resource": "*"},
    ),
    "itself": (allow("iam:PutRolePolicy", str(ROLE.arn)),),
    "all below its own path": (allow("iam:*", f"arn:aws:iam::{ACCOUNT}:role/anyscale/*"),),
    "itself by its tag": (
        allow(
            "iam:AttachRolePolicy", Condition={"StringEquals": {"aws:ResourceTag/anyscale:cluster-role": "production"}}
        ),
    ),
    "every role with a path": (allow("iam:*", f"arn:aws:iam::{ACCOUNT}:role/*/*"),),
    "the code of every function": (allow("lambda:UpdateFunctionCode"),),
    "the code of every function of a Region": (
        allow("lambda:UpdateFunctionCode", f"arn:aws:lambda:us-west-2:{ACCOUNT}:function:*"),
    ),
    "the code of every function of some Regions": (
        allow("lambda:*", ["arn:aws:s3:::a", f"arn:aws:lambda:eu-*-?:{ACCOUNT}:function:*"]),
    ),
    "the code of every function, and anything else of a Region": (allow("*", "arn:aws:*:us-west-2:*:*"),),
    "everybody's sign-in": (allow("sso:*"),),
    "all of IAM denied, and code of functions left": (
        allow("*"),
        {"Effect": "Deny", "Action": ["iam:*", "sts:*", "sso:*"], "Resource": "*"},
    ),
    "a Deny of something else": (allow("*"), {"Effect": "Deny", "Action": "iam:DeleteRole", "Resource": "*"}),
    "a Deny on what carries a tag": (
        allow("*"),
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:ResourceTag/protected": "true"}},
        },
    ),
    "all but what carries a tag": (
        allow("iam:*", Condition={"StringNotEquals": {"aws:ResourceTag/protected": "true"}}),
    ),
    "what carries no tag": (allow("iam:*", Condition={"Null": {"iam:ResourceTag/team": "true"}}),),
    "taking an inline Deny away": (allow("iam:DeleteRolePolicy"),),
    "taking a managed Deny away": (allow("iam:DetachRolePolicy"),),
    "a Deny on something else": (
        allow("*"),
        {"Effect": "Deny", "Action": "*", "Resource": f"arn:aws:iam::{ACCOUNT}:role/admin"},
    ),
}

HARMLESS: dict[str, tuple[Json, ...]] = {
    "the bucket": (bucket_grant(),),
    "all of S3": (allow("s3:*"),),
    "images": (allow(["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:Describe*"]),),
    "secrets and logs": (allow(["secretsmanager:GetSecretValue", "logs:*", "cloudwatch:PutMetricData"]),),
    "reading IAM": (allow(["iam:Get*", "iam:List*"]),),
    "one role passed": (allow("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/anyscale/*"), allow("ec2:*")),
    "every role passed to something harmless": (
        allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "backup.amazonaws.com"}}),
        allow("ec2:RunInstances"),
    ),
    "one role assumed": (allow("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/anyscale/reader"),),
    "its own tags and itself read": (allow(["iam:TagRole", "iam:GetRole"], str(ROLE.arn)),),
    "the code of some functions": (
        allow("lambda:UpdateFunctionCode", f"arn:aws:lambda:us-west-2:{ACCOUNT}:function:mine-*"),
    ),
    "something else of every function of a Region": (
        allow("lambda:InvokeFunction", f"arn:aws:lambda:us-west-2:{ACCOUNT}:function:*"),
    ),
    "what carries a tag": (allow("iam:PutRolePolicy", Condition={"StringEquals": {"aws:ResourceTag/team": "ml"}}),),
    "only what carries a tag": (
        allow("*"),
        {
            "Effect": "Deny",
            "Action": "*",
            "Resource": "*",
            "Condition": {"StringNotEquals": {"aws:ResourceTag/team": "ml"}},
        },
    ),
    "every role passed to what may not be started": (
        allow(
            ["iam:PassRole", "ec2:RunInstances", "lambda:CreateFunction"],
            Condition={"StringEqualsIfExists": {"iam:PassedToService": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}},
        ),
        {"Effect": "Deny", "Action": ["ec2:*", "lambda:*"], "Resource": "*"},
    ),
    "identity": (allow(["sts:GetCallerIdentity", "sts:DecodeAuthorizationMessage"]),),
    "everything, and all that leads further denied": (
        allow("*"),
        {"Effect": "Deny", "Action": ["iam:*", "sts:*", "sso:*", "lambda:*"], "Resource": "*"},
    ),
    "nothing": (),
}


ALONE_ENOUGH = (
    *("AttachRolePolicy", "DeleteRolePermissionsBoundary", "DeleteRolePolicy", "DetachRolePolicy"),
    *("PutRolePermissionsBoundary", "PutRolePolicy", "UpdateAssumeRolePolicy"),
    *("AttachUserPolicy", "CreateAccessKey", "CreateLoginProfile", "DeleteUserPermissionsBoundary"),
    *("PutUserPermissionsBoundary", "PutUserPolicy", "UpdateLoginProfile"),
    *("AddUserToGroup", "AttachGroupPolicy", "PutGroupPolicy", "CreatePolicyVersion", "SetDefaultPolicyVersion"),
)
STARTED_BY = {
    "ec2": (
        *("autoscaling:CreateAutoScalingGroup", "autoscaling:CreateLaunchConfiguration", "eks:CreateNodegroup"),
        *("ec2:AssociateIamInstanceProfile", "ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:RunInstances"),
        *("ec2:CreateLaunchTemplateVersion", "ec2:ReplaceIamInstanceProfileAssociation", "ec2:RequestSpotFleet"),
        *("ec2:RequestSpotInstances", "elasticmapreduce:RunJobFlow", "imagebuilder:CreateInfrastructureConfiguration"),
    ),
    "lambda": ("lambda:CreateFunction", "lambda:UpdateFunctionConfiguration"),
    "cloudformation": (
        *("cloudformation:CreateChangeSet", "cloudformation:CreateStack", "cloudformation:UpdateStack"),
    ),
    "ecs-tasks": ("batch:RegisterJobDefinition", "ecs:RegisterTaskDefinition", "ecs:RunTask"),
    "glue": ("glue:CreateDevEndpoint", "glue:CreateJob", "glue:CreateSession", "glue:UpdateJob"),
    "codebuild": ("codebuild:CreateProject", "codebuild:UpdateProject"),
    "sagemaker": (
        *("sagemaker:CreateNotebookInstance", "sagemaker:CreateProcessingJob", "sagemaker:CreateTrainingJob"),
    ),
    "scheduler": ("scheduler:CreateSchedule", "scheduler:UpdateSchedule"),
    "ssm": ("ssm:StartAutomationExecution",),
    "states": ("states:CreateStateMachine", "states:UpdateStateMachine"),
    "pipes": ("pipes:CreatePipe", "pipes:UpdatePipe"),
    "tasks.apprunner": ("apprunner:CreateService",),
    "datapipeline": ("datapipeline:PutPipelineDefinition",),
    "bedrock-agentcore": ("bedrock-agentcore:CreateAgentRuntime",),
}


@pytest.mark.parametrize(
    "action",
    [
        *(f"iam:{name}" for name in ALONE_ENOUGH),
        *("sts:AssumeRole", "lambda:UpdateFunctionCode", "sso:AttachManagedPolicyToPermissionSet"),
        *("sso:CreateAccountAssignment", "sso:PutInlinePolicyToPermissionSet"),
    ],
)
def test_each_of_these_calls_is_too_much_alone(action: str) -> None:
    power = sign_of_privilege(ROLE, policies(allow(action)))
    assert power is not None
    assert power[0] is Refusal.POWERFUL


@pytest.mark.parametrize(("service", "action"), [(name, each) for name, calls in STARTED_BY.items() for each in calls])
def test_every_role_handed_to_what_this_call_starts_is_too_much(service: str, action: str) -> None:
    handed = allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}})
    power = sign_of_privilege(ROLE, policies(handed, allow(action)))
    assert power is not None
    assert power[0] is Refusal.POWERFUL
    assert sign_of_privilege(ROLE, policies(handed, allow("s3:*"))) is None


@pytest.mark.parametrize("statements", POWERFUL.values(), ids=POWERFUL)
def test_a_role_with_such_rights_is_too_powerful(statements: tuple[Json, ...]) -> None:
    power = sign_of_privilege(ROLE, policies(*statements))
    assert power is not None
    assert power[0] is Refusal.POWERFUL
    assert "administrator" in power[1]


@pytest.mark.parametrize(
    ("service", "action"),
    [
        ("ec2", "ec2:RunInstances"),
        ("ec2", "ec2:RequestSpotInstances"),
        ("ec2", "ec2:AssociateIamInstanceProfile"),
        ("ec2", "ec2:ReplaceIamInstanceProfileAssociation"),
        ("ec2", "elasticmapreduce:RunJobFlow"),
        ("lambda", "lambda:CreateFunction"),
        ("cloudformation", "cloudformation:CreateStack"),
        ("ecs-tasks", "ecs:RunTask"),
        ("glue", "glue:CreateJob"),
        ("codebuild", "codebuild:CreateProject"),
        ("sagemaker", "sagemaker:CreateNotebookInstance"),
        ("sagemaker", "sagemaker:CreateProcessingJob"),
        ("sagemaker", "sagemaker:CreateTrainingJob"),
        ("scheduler", "scheduler:CreateSchedule"),
        ("ssm", "ssm:StartAutomationExecution"),
        ("states", "states:CreateStateMachine"),
    ],
)
def test_passing_every_role_is_too_much_with_whatever_acts_with_it(service: str, action: str) -> None:
    to_it = allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}})
    power = sign_of_privilege(ROLE, policies(to_it, allow(action)))
    assert power is not None
    assert power[0] is Refusal.POWERFUL
    assert action in power[1]
    elsewhere = allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": "backup.amazonaws.com"}})
    assert sign_of_privilege(ROLE, policies(elsewhere, allow(action))) is None


def test_what_may_be_started_only_here_or_there_is_started_all_the_same() -> None:
    some = {"Effect": "Deny", "Action": "ec2:*", "Resource": f"arn:aws:ec2:*:{ACCOUNT}:subnet/subnet-1"}
    assert sign_of_privilege(ROLE, policies(allow(["iam:PassRole", "ec2:RunInstances"]), some)) is not None


@pytest.mark.parametrize("statements", HARMLESS.values(), ids=HARMLESS)
def test_a_role_of_a_cluster_is_not(statements: tuple[Json, ...]) -> None:
    assert sign_of_privilege(ROLE, policies(*statements)) is None


@pytest.mark.parametrize("statements", POWERFUL.values(), ids=POWERFUL)
def test_a_boundary_that_takes_them_away_makes_it_harmless(statements: tuple[Json, ...]) -> None:
    assert sign_of_privilege(bounded(), policies(*statements, boundary=(bucket_grant(),))) is None


@pytest.mark.parametrize("statements", POWERFUL.values(), ids=POWERFUL)
def test_a_boundary_that_leaves_them_does_not(statements: tuple[Json, ...]) -> None:
    assert sign_of_privilege(bounded(), policies(*statements, boundary=(allow("*"),))) is not None


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}},
        {"StringLike": {"iam:PolicyARN": "arn:aws:iam::*:policy/team-*"}},
        {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
        {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}},
        {"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}},
        {"Bool": {"aws:ViaAWSService": "true"}},
        {"StringEquals": {"aws:SourceVpc": "vpc-1"}},
        {"StringEquals": {"aws:SourceVpce": "vpce-1"}},
    ],
)
def test_rights_under_a_condition_that_nobody_can_decide_cannot_be_excluded(condition: Json) -> None:
    power = sign_of_privilege(ROLE, policies(allow("iam:*", Condition=condition)))
    assert power is not None
    assert power[0] is Refusal.PRIVILEGES_UNKNOWN
    assert "cannot be decided" in power[1]


@pytest.mark.parametrize(
    "condition",
    [
        {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}},
        {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}},
        {"BoolIfExists": {"aws:ViaAWSService": "false"}},
    ],
)
def test_a_deny_that_the_caller_can_go_around_does_not_exclude_them(condition: Json) -> None:
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    power = sign_of_privilege(ROLE, policies(allow("*"), deny))
    assert power is not None
    assert power[0] is Refusal.PRIVILEGES_UNKNOWN


NOT_UNDERSTOOD: dict[str, Json] = {
    "an Effect in lower case": {"Effect": "allow", "Action": "*", "Resource": "*"},
    "an Action that is an object": {"Effect": "Allow", "Action": {"a": 1}, "Resource": "*"},
    "both Action and NotAction": {"Effect": "Allow", "Action": "*", "NotAction": "s3:*", "Resource": "*"},
}


@pytest.mark.parametrize("statement", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_a_policy_that_cannot_be_understood_may_grant_everything(statement: Json) -> None:
    power = sign_of_privilege(ROLE, policies(bucket_grant(), statement))
    assert power is not None
    assert power[0] is Refusal.PRIVILEGES_UNKNOWN
    assert "inline policy `rights` could not be understood: Statement 2 has" in power[1]
    assert not power[1].endswith("..")


@pytest.mark.parametrize("statement", NOT_UNDERSTOOD.values(), ids=NOT_UNDERSTOOD)
def test_a_boundary_that_cannot_be_understood_takes_nothing_away_for_certain(statement: Json) -> None:
    power = sign_of_privilege(bounded(), policies(allow("*"), boundary=(statement,)))
    assert power is not None
    assert power[0] is Refusal.PRIVILEGES_UNKNOWN


def test_a_certain_sign_comes_before_a_doubtful_one() -> None:
    doubtful = allow("iam:AttachRolePolicy", Condition={"StringEquals": {"aws:RequestedRegion": "eu-west-1"}})
    power = sign_of_privilege(ROLE, policies(doubtful, allow("iam:CreatePolicyVersion")))
    assert power is not None
    assert power[0] is Refusal.POWERFUL


UNREADABLE: Unreadable = Unreadable("denied")


@pytest.mark.parametrize(
    "unknown",
    [
        RolePolicies(UNREADABLE, Present(())),
        RolePolicies(Present(()), UNREADABLE),
        RolePolicies(Present((InlinePolicy("x", UNREADABLE),)), Present(())),
        RolePolicies(Present(()), Present((ManagedPolicy("arn:aws:iam::aws:policy/x", UNREADABLE),))),
    ],
)
def test_a_policy_that_cannot_be_read_may_grant_everything(unknown: RolePolicies) -> None:
    power = sign_of_privilege(ROLE, unknown)
    assert power is not None
    assert power[0] is Refusal.PRIVILEGES_UNKNOWN
    assert "could not be read: denied" in power[1]
    refused = refuse_by_policies(ROLE, unknown, settings().clouds[0])
    assert refused is not None
    assert refused.refusal is Refusal.PRIVILEGES_UNKNOWN


@pytest.mark.parametrize("reading", [Present(ManagedPolicy(BOUNDARY, UNREADABLE)), UNREADABLE])
def test_a_boundary_that_cannot_be_read_takes_nothing_away_for_certain(reading: Reading[ManagedPolicy]) -> None:
    inline: Reading[tuple[InlinePolicy, ...]] = Present((InlinePolicy("rights", Present(document(allow("*")))),))
    power = sign_of_privilege(bounded(), RolePolicies(inline, Present(()), reading))
    assert power is not None
    assert power[0] is Refusal.PRIVILEGES_UNKNOWN


class TestRefusal:
    def test_a_powerful_role_is_refused_with_what_it_may_do(self) -> None:
        refused = refuse_by_policies(ROLE, policies(allow("*")), settings().clouds[0])
        assert refused is not None
        assert refused.refusal is Refusal.POWERFUL
        assert refused.cloud == "production"

    @pytest.mark.parametrize("has", [None, f"{BOUNDARY}-2", BOUNDARY.upper()])
    def test_a_role_without_the_boundary_of_its_cloud_is_refused_with_both(self, has: str | None) -> None:
        cloud = settings(requiredBoundary=BOUNDARY).clouds[0]
        role = Role(ROLE.arn, ROLE.role_id, ROLE.tags, ROLE.trust, boundary_arn=has)
        refused = refuse_by_policies(role, RolePolicies(Present(()), Present(()), Absent()), cloud)
        assert refused is not None
        assert refused.refusal is Refusal.BOUNDARY_LACKING
        assert refused.why.endswith(f"requires the permissions boundary {BOUNDARY}, and the role has {has or 'none'}.")

    def test_a_role_with_the_boundary_of_its_cloud_is_not(self) -> None:
        cloud = settings(requiredBoundary=BOUNDARY).clouds[0]
        assert refuse_by_policies(bounded(), policies(bucket_grant(BUCKET), boundary=(allow("s3:*"),)), cloud) is None


STATEMENTS = st.lists(
    st.builds(
        allow,
        st.sampled_from(["*", "iam:*", "iam:Put*", "sts:AssumeRole", "iam:PassRole", "ec2:*", "s3:*", "iam:Get*"]),
        st.sampled_from(["*", f"arn:aws:iam::{ACCOUNT}:role/*", str(ROLE.arn), f"arn:aws:s3:::{BUCKET}"]),
    ),
    max_size=4,
)


def of(statements: list[Json]) -> RolePolicies:
    return policies(*statements)


@given(STATEMENTS)
def test_a_deny_of_everything_leaves_no_power(statements: list[Json]) -> None:
    deny = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    assert sign_of_privilege(ROLE, of([*statements, deny])) is None


@given(STATEMENTS, STATEMENTS)
def test_one_more_allow_takes_no_power_away(statements: list[Json], more: list[Json]) -> None:
    if sign_of_privilege(ROLE, of(statements)) is not None:
        assert sign_of_privilege(ROLE, of([*statements, *more])) is not None


@given(STATEMENTS)
def test_a_policy_is_judged_alike_whether_it_is_one_document_or_many(statements: list[Json]) -> None:
    documents: list[PolicyDocument] = [document(statement) for statement in statements]
    many = Present(tuple(InlinePolicy(f"p{number}", Present(each)) for number, each in enumerate(documents)))
    one, several = sign_of_privilege(ROLE, of(statements)), sign_of_privilege(ROLE, RolePolicies(many, Present(())))
    assert (one is None) == (several is None)


@pytest.mark.parametrize(
    ("service", "starter"),
    [
        ("ecs-tasks", "ecs:RegisterTaskDefinition"),
        ("ec2", "autoscaling:*"),
        ("ec2", "ec2:CreateLaunchTemplate"),
        ("ecs-tasks", "batch:*"),
        ("pipes", "pipes:*"),
        ("lambda", "lambda:UpdateFunctionConfiguration"),
        ("cloudformation", "cloudformation:UpdateStack"),
        ("ec2", "eks:*"),
        ("glue", "glue:CreateSession"),
    ],
)
def test_a_role_that_may_pass_every_role_to_one_service_and_start_something_there_is_too_powerful(
    service: str, starter: str
) -> None:
    passing = allow("iam:PassRole", Condition={"StringEquals": {"iam:PassedToService": f"{service}.amazonaws.com"}})
    assert sign_of_privilege(ROLE, policies(passing)) is None
    power = sign_of_privilege(ROLE, policies(passing, allow(starter)))
    assert power is not None
    assert power[0] is Refusal.POWERFUL


@pytest.mark.parametrize("call", ["iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion"])
def test_a_new_version_of_a_policy_that_is_attached_to_the_role_is_a_right_over_itself(call: str) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:policy/own"
    attached: Reading[tuple[ManagedPolicy, ...]] = Present((ManagedPolicy(arn, Present(document(allow(call, arn)))),))
    assert sign_of_privilege(ROLE, RolePolicies(Present(()), attached)) is not None
    other: Reading[tuple[ManagedPolicy, ...]] = Present(
        (ManagedPolicy(arn, Present(document(allow(call, f"{arn}-2")))),)
    )
    assert sign_of_privilege(ROLE, RolePolicies(Present(()), other)) is None
