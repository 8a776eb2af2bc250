"""Does a role hold rights so wide that letting EC2 have it, or repairing it at all, would be an escalation?

It is decided by evaluating the role's policies, limited by its boundary, for calls that lead to more rights: on any
role, user, group or policy of the account, not on those that a policy names or that carry a tag; and on the role
itself. Names of policies decide nothing.
https://docs.aws.amazon.com/IAM/latest/UserGuide/access-analyzer-reference-policy-checks.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from remediator.core.access.calls import session_context
from remediator.core.access.decision import PolicyAnswers, all_of, any_of
from remediator.core.access.policy_sets import Documents, documents_about
from remediator.core.enrollment.decide import Refusal, Refused
from remediator.core.model.evaluation_context import EvaluationContext
from remediator.core.model.role import Role, RolePolicies
from remediator.core.policy.context import Context, Value
from remediator.core.policy.evaluate import Answer, PolicySet, Request, alike, allowed_at_all
from remediator.core.policy.matching import Resource, has_wildcards
from remediator.core.policy.principals import Named
from remediator.core.policy.reading import Present
from remediator.settings import Cloud

_UNNAMED = "\N{REPLACEMENT CHARACTER}" * 16
"""The name of something that no policy has named."""
_SERVICE, _REGION = 2, 3
"""The fields of an ARN."""

# What whoever may call it on any of them can turn into every right that there is in the account.
_ON_ANY: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "role",
        (
            *("iam:AttachRolePolicy", "iam:DeleteRolePermissionsBoundary", "iam:DeleteRolePolicy"),
            *("iam:DetachRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"),
            *("iam:UpdateAssumeRolePolicy", "sts:AssumeRole"),
        ),
    ),
    (
        "user",
        (
            *("iam:AttachUserPolicy", "iam:CreateAccessKey", "iam:CreateLoginProfile"),
            *("iam:DeleteUserPermissionsBoundary", "iam:PutUserPermissionsBoundary", "iam:PutUserPolicy"),
            "iam:UpdateLoginProfile",
        ),
    ),
    ("group", ("iam:AddUserToGroup", "iam:AttachGroupPolicy", "iam:PutGroupPolicy")),
    ("policy", ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion")),
)

# What a role may do to itself to get every right.
_ON_ITSELF: tuple[str, ...] = ("iam:AttachRolePolicy", "iam:PutRolePolicy")
_ON_ITS_POLICIES: tuple[str, ...] = ("iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion")

# Code that runs with any right may be replaced, or anybody be let in as an administrator.
_ELSEWHERE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("function", "lambda:{region}:{account}:function:{name}", ("lambda:UpdateFunctionCode",)),
    (
        "permission set",
        "sso:::permissionSet/{name}/{name}",
        ("sso:AttachManagedPolicyToPermissionSet", "sso:CreateAccountAssignment", "sso:PutInlinePolicyToPermissionSet"),
    ),
)

# What can be given a role and then acts with its rights as whoever starts it likes, because it runs their code or makes
# their calls; by the service that the role is passed to.
# https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
_STARTED_BY: Mapping[str, tuple[str, ...]] = {
    "ec2.amazonaws.com": (
        *("autoscaling:CreateAutoScalingGroup", "autoscaling:CreateLaunchConfiguration"),
        *("ec2:AssociateIamInstanceProfile", "ec2:CreateFleet", "ec2:CreateLaunchTemplate"),
        *("ec2:CreateLaunchTemplateVersion", "ec2:ReplaceIamInstanceProfileAssociation", "ec2:RequestSpotFleet"),
        *("ec2:RequestSpotInstances", "ec2:RunInstances", "eks:CreateNodegroup", "elasticmapreduce:RunJobFlow"),
        "imagebuilder:CreateInfrastructureConfiguration",
    ),
    "lambda.amazonaws.com": ("lambda:CreateFunction", "lambda:UpdateFunctionConfiguration"),
    "cloudformation.amazonaws.com": (
        *("cloudformation:CreateChangeSet", "cloudformation:CreateStack", "cloudformation:UpdateStack"),
    ),
    "ecs-tasks.amazonaws.com": ("batch:RegisterJobDefinition", "ecs:RegisterTaskDefinition", "ecs:RunTask"),
    "glue.amazonaws.com": ("glue:CreateDevEndpoint", "glue:CreateJob", "glue:CreateSession", "glue:UpdateJob"),
    "codebuild.amazonaws.com": ("codebuild:CreateProject", "codebuild:UpdateProject"),
    "sagemaker.amazonaws.com": (
        *("sagemaker:CreateNotebookInstance", "sagemaker:CreateProcessingJob", "sagemaker:CreateTrainingJob"),
    ),
    "scheduler.amazonaws.com": ("scheduler:CreateSchedule", "scheduler:UpdateSchedule"),
    "ssm.amazonaws.com": ("ssm:StartAutomationExecution",),
    "states.amazonaws.com": ("states:CreateStateMachine", "states:UpdateStateMachine"),
    "pipes.amazonaws.com": ("pipes:CreatePipe", "pipes:UpdatePipe"),
    "tasks.apprunner.amazonaws.com": ("apprunner:CreateService",),
    "datapipeline.amazonaws.com": ("datapipeline:PutPipelineDefinition",),
    "bedrock-agentcore.amazonaws.com": ("bedrock-agentcore:CreateAgentRuntime",),
}
_ANY_SERVICE = f"{_UNNAMED}.amazonaws.com"

_HANDING_OVER = "iam:PassRole"
_ALONE_ENOUGH = (
    *(action for _, actions in _ON_ANY for action in actions),
    *(action for _, _, actions in _ELSEWHERE for action in actions),
    _HANDING_OVER,
)


def sign_of_privilege(
    role: Role,
    policies: RolePolicies,
    evaluation_context: EvaluationContext = EvaluationContext(),  # noqa: B008  # it is frozen
) -> tuple[Refusal, str] | None:
    """Why a role is too privileged to be managed, or may be, with a sentence; None where it certainly is not.

    A certain sign (POWERFUL) comes before one that cannot be excluded (PRIVILEGES_UNKNOWN): because of a condition that
    cannot be decided, or of a policy that could not be read, or not be understood.
    """
    documents = _understood(documents_about(role, policies, PolicySet("no resource"), evaluation_context))
    doubt: tuple[Refusal, str] | None = None
    for answer, what in _evaluated(role, documents, policies, evaluation_context):
        if answer is True:
            return Refusal.POWERFUL, f"The role may {what}, which makes it as privileged as an administrator."
        if answer is None and doubt is None:
            limits = documents.boundary.unreadable if documents.boundary else ()
            unreadable = (*documents.identity.unreadable, *limits)
            because = f": {unreadable[0]}" if unreadable else ", because a condition cannot be decided"
            why = f"Whether the role may {what}, as an administrator may, cannot be said{because}."
            doubt = Refusal.PRIVILEGES_UNKNOWN, why
    return doubt


def refuse_by_policies(
    role: Role,
    policies: RolePolicies,
    cloud: Cloud,
    evaluation_context: EvaluationContext = EvaluationContext(),  # noqa: B008  # it is frozen
) -> Refused | None:
    """Why an enrolled role must not be touched after all, now that its policies are known; None where it may be.

    It lacks the boundary that its cloud requires, or holds rights like an administrator's, or may hold them.
    """
    required = cloud.required_boundary
    if required is not None and role.boundary_arn != required:
        has = f"has {role.boundary_arn}" if role.boundary_arn else "has none"
        why = f"Cloud {cloud.name} requires the permissions boundary {required}, and the role {has}."
        return Refused(Refusal.BOUNDARY_LACKING, why, cloud.name)
    power = sign_of_privilege(role, policies, evaluation_context)
    return None if power is None else Refused(*power, cloud.name)


def _understood(documents: Documents) -> Documents:
    """The documents, where one that breaks the grammar counts as one that could not be read as well.

    AWS saves no such policy, so that it is unknown what it takes it for.
    """
    boundary = documents.boundary
    return replace(
        documents,
        identity=_without_faults(documents.identity),
        boundary=None if boundary is None else _without_faults(boundary),
    )


def _without_faults(side: PolicySet) -> PolicySet:
    faulty = tuple(
        f"{source.name} could not be understood: {source.document.faults[0].rstrip('.')}"
        for source in side.sources
        if source.document.faults
    )
    return replace(side, unreadable=(*side.unreadable, *faulty)) if faulty else side


def _evaluated(
    role: Role, documents: Documents, policies: RolePolicies, evaluation_context: EvaluationContext
) -> Iterator[tuple[Answer, str]]:
    identity = documents.identity
    asked = _ALONE_ENOUGH if identity.unreadable else allowed_at_all(identity.sources, _ALONE_ENOUGH)
    if not asked:
        return
    context = session_context(role, evaluation_context)
    for what, target, actions, more in _targets(role, policies, _regions(identity)):
        wanted = tuple(action for action in actions if action in asked)
        for group in alike(documents.sources(), wanted) if wanted else ():
            sentence = f"call {group[0]} on {what}"
            there = session_context(role, evaluation_context, more) if more else context
            yield _answer(documents, Request(group, Resource(target), there, sentence)), sentence
    if _HANDING_OVER in asked:
        yield from _handed_over(role, documents, evaluation_context)


def _regions(identity: PolicySet) -> list[str]:
    """The Regions in which the role's policies name functions, and one that none of them names.

    A pattern may name a part of a Region (``us-*``): then one stands for all that it matches.
    """
    arns = [
        pattern.split(":")
        for source in identity.sources
        for statement in source.document.statements
        if statement.resources is not None and not statement.resources.negated
        for pattern in statement.resources.patterns
    ]
    named = {
        fields[_REGION].replace("*", _UNNAMED).replace("?", _UNNAMED[0])
        for fields in arns
        if len(fields) > _REGION and (fields[_SERVICE] == "lambda" or has_wildcards(fields[_SERVICE]))
    }
    return sorted(named | {_UNNAMED})


def _targets(
    role: Role, policies: RolePolicies, regions: Iterable[str]
) -> Iterator[tuple[str, str, tuple[str, ...], Mapping[str, Value]]]:
    """What is called upon, in words and by its ARN, the calls, and what is known of it beyond its having no tags.

    ``regions`` are those where functions are called upon.
    """
    prefix = f"arn:{role.arn.partition}:iam::{role.arn.account}"
    for kind, actions in _ON_ANY:
        # A pattern may want a path.
        for name in (_UNNAMED, f"{_UNNAMED}/{_UNNAMED}"):
            yield f"any {kind} of the account", f"{prefix}:{kind}/{name}", actions, {}
    yield "itself", str(role.arn), _ON_ITSELF, _own_tags(role)
    for arn in _own_policies(policies, prefix):
        yield f"its policy {arn.rpartition('/')[2]}", arn, _ON_ITS_POLICIES, {}
    for kind, form, actions in _ELSEWHERE:
        arns = {form.format(region=region, account=role.arn.account, name=_UNNAMED) for region in regions}
        for arn in sorted(arns):
            yield f"any {kind}", f"arn:{role.arn.partition}:{arn}", actions, {}


def _own_tags(role: Role) -> dict[str, Value]:
    prefixes = ("aws:resourcetag", "iam:resourcetag")
    return {f"{prefix}/{tag.lower()}": (value,) for prefix in prefixes for tag, value in role.tags.items()}


def _own_policies(policies: RolePolicies, prefix: str) -> list[str]:
    """The ARNs of those attached policies that are the account's own."""
    attached = policies.attached.value if isinstance(policies.attached, Present) else ()
    return [policy.arn for policy in attached if policy.arn.startswith(f"{prefix}:")]


def _handed_over(
    role: Role, documents: Documents, evaluation_context: EvaluationContext
) -> Iterator[tuple[Answer, str]]:
    """Passing any role: to whatever service, or to one where something can be started with it."""
    prefix = f"arn:{role.arn.partition}:iam::{role.arn.account}:role"
    for name in (_UNNAMED, f"{_UNNAMED}/{_UNNAMED}"):
        request = Request((_HANDING_OVER,), Resource(f"{prefix}/{name}"), Context(()), f"{_HANDING_OVER} on any role")
        to_any = replace(
            request, context=session_context(role, evaluation_context, {"iam:passedtoservice": (_ANY_SERVICE,)})
        )
        yield _answer(documents, to_any), "pass any role of the account to any service"
        for service, actions in _STARTED_BY.items():
            passing = session_context(role, evaluation_context, {"iam:passedtoservice": (service,)})
            passed = _answer(documents, replace(request, context=passing))
            if passed is False:
                continue
            for action in actions:
                started = _somewhere(documents, action, passing)
                yield all_of((passed, started)), f"pass any role of the account to what it starts with {action}"


def _answer(documents: Documents, request: Request) -> Answer:
    """Whether the request is granted by the role's policies, within its boundary, and nothing denies it."""
    sides = documents.about(request)
    limits = [limit.is_granted() for limit in sides.limits()]
    return all_of((sides.identity.is_granted(Named.SESSION), *limits, _not_denied(sides)))


def _somewhere(documents: Documents, action: str, context: Context) -> Answer:
    """Whether the action is granted on anything at all: what it is started on is for whoever starts it to choose.

    A Deny that is about some things only leaves the others.
    """
    sides = documents.about(Request((action,), Resource(_UNNAMED), context, action))
    granted = []
    for weighed in (sides.identity, *sides.limits()):
        somewhere = bool(weighed.allows) or any(miss.is_elsewhere for miss in weighed.misses)
        granted.append(True if somewhere else (None if weighed.side.unreadable else False))
    return all_of((*granted, _not_denied(sides)))


def _not_denied(sides: PolicyAnswers) -> Answer:
    denied = any_of([side.is_denied() for side in sides.all()])
    return None if denied is None else not denied
