"""``remediator check-cloudformation``: what becomes of the enrolled roles, by a template that was not deployed yet."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from remediator.errors import RemediatorError
from remediator.settings_check import parse_settings
from remediator_cli.checks.change import check_change
from remediator_cli.checks.state import Language
from remediator_cli.checks.verdicts import RoleCheck, Verdict
from remediator_cli.iac.cloudformation_functions import StackDeployment, Values
from remediator_cli.iac.cloudformation_template import read_template
from remediator_cli.iac.cloudformation_values import Unknown
from remediator_cli.iac.cloudformation_yaml import LARGEST_TEMPLATE, read_template_text
from remediator_cli.iac.declared import DeclaredChange, NotReadable
from remediator_cli.terminal.exits import ExitCode
from tests.cli.plans import ACCOUNT, BUCKET, EC2, LAMBDA, Json, bucket_access, configuration, written
from tests.cli.terminal import ROOT, Remediator
from tests.properties.test_settings_properties import any_json

FIXTURE = ROOT / "tests" / "cli" / "fixtures" / "checks" / "roles.template.yaml"
ROLE = "HeadNode"


def document(*statements: Mapping[str, object]) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def role(**properties: Any) -> Json:
    """A usable role; the arguments change or add properties, and None leaves one out."""
    usual = {
        "RoleName": "head-node",
        "Path": "/anyscale/production/",
        "AssumeRolePolicyDocument": document(EC2),
        "Policies": [{"PolicyName": "data", "PolicyDocument": document(bucket_access())}],
        "Tags": [{"Key": "anyscale:cluster-role", "Value": "production"}],
        **properties,
    }
    return {"Type": "AWS::IAM::Role", "Properties": {key: each for key, each in usual.items() if each is not None}}


def template(head_node: Json, members: Json | None = None, **resources: Json) -> Json:
    return {"Resources": {ROLE: head_node, **resources}, **(members or {})}


def checked(
    value: object,
    *,
    before: object = None,
    parameters: Mapping[str, str] | None = None,
    stack_tags: Mapping[str, str] | None = None,
    **cloud: Any,
) -> tuple[RoleCheck, ...]:
    """The verdicts on a template, in the example configuration with some changes to its cloud."""
    known = parse_settings(configuration(**cloud))
    deployment = StackDeployment("aws", ACCOUNT, None, parameters or {}, stack_tags or {})
    after = read_template(json.dumps(value), "template.json", deployment)
    former = None if before is None else read_template(json.dumps(before), "before.json", deployment)
    return check_change(DeclaredChange(former, after, ACCOUNT), known, account=None, language=Language.CLOUDFORMATION)


def only(value: object, **more: Any) -> RoleCheck:
    (check,) = checked(value, **more)
    return check


def codes(check: RoleCheck) -> dict[str, str]:
    return {each.code: each.verdict.value for each in check.said}


def worked_out(value: object, **members: Any) -> object:
    """What a value with functions comes to, in a template with these members."""
    values = Values.of({"Resources": {}, **members}, StackDeployment("aws", ACCOUNT, "us-west-2"))
    return values.value(value)


# Verdicts.


def test_a_usable_role_is_ok() -> None:
    assert only(template(role())).verdict is Verdict.OK


def test_a_trust_without_ec2_is_repaired_and_the_statement_to_add_is_shown() -> None:
    check = only(template(role(AssumeRolePolicyDocument=document(LAMBDA))))
    assert codes(check) == {"trust-missing": "repaired-by-us"}
    assert 'Service: "ec2.amazonaws.com"' in check.fix
    assert "AssumeRolePolicyDocument.Statement" in check.fix


def test_a_deny_breaks_and_its_resource_is_to_blame() -> None:
    policy = {
        "Type": "AWS::IAM::RolePolicy",
        "Properties": {
            "PolicyName": "no-writes",
            "RoleName": {"Ref": ROLE},
            "PolicyDocument": document({"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}),
        },
    }
    check = only(template(role(RoleName=None), NoWrites=policy))
    assert codes(check) == {"grant-blocked": "breaks"}
    assert check.said[0].place.address == "NoWrites"


def test_what_the_template_does_not_grant_may_be_granted_elsewhere() -> None:
    check = only(template(role(Policies=None)))
    assert codes(check) == {"grant-missing": "undecided"}
    assert "AWS::IAM::RolePolicy" in check.fix


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        ({"Path": "/elsewhere/"}, "refused-not-allowed"),
        ({"ManagedPolicyArns": ["arn:aws:iam::aws:policy/AdministratorAccess"]}, "refused-powerful"),
        ({"AssumeRolePolicyDocument": document(EC2, {**EC2, "Principal": "*"})}, "refused-trusts-others"),
    ],
)
def test_a_role_that_would_be_refused_breaks(properties: Json, code: str) -> None:
    assert codes(only(template(role(**properties)))) == {code: "breaks"}


def test_a_boundary_of_the_template_counts() -> None:
    limits = {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {"PolicyDocument": document({"Effect": "Allow", "Action": "ec2:*", "Resource": "*"})},
    }
    check = only(template(role(PermissionsBoundary={"Ref": "Limits"}), Limits=limits))
    assert codes(check) == {"grant-blocked": "breaks"}


@pytest.mark.parametrize("name", [None, "data"])
@pytest.mark.parametrize("linked_by", ["the role", "the policy"])
def test_a_managed_policy_of_the_template_grants(name: str | None, linked_by: str) -> None:
    properties: Json = {"PolicyDocument": document(bucket_access())}
    if name is not None:
        properties["ManagedPolicyName"] = name
    if linked_by == "the policy":
        properties["Roles"] = [{"Ref": ROLE}]
    arns = [{"Ref": "Data"}] if linked_by == "the role" else []
    data = {"Type": "AWS::IAM::ManagedPolicy", "Properties": properties}
    assert only(template(role(Policies=None, ManagedPolicyArns=arns), Data=data)).verdict is Verdict.OK


def test_the_policy_of_the_bucket_counts() -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": BUCKET}}
    policy = {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": {"Ref": "Data"}, "PolicyDocument": document(deny)},
    }
    check = only(template(role(), Data=bucket, Access=policy))
    assert codes(check) == {"grant-blocked": "breaks"}
    assert check.said[0].place.address == "Access"


def test_the_policy_of_a_bucket_without_a_name_keeps_the_verdict_open() -> None:
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    policy = {
        "Type": "AWS::S3::BucketPolicy",
        "Properties": {"Bucket": {"Ref": "Data"}, "PolicyDocument": document(deny)},
    }
    check = only(template(role(), Data={"Type": "AWS::S3::Bucket"}, Access=policy))
    assert check.verdict is Verdict.UNDECIDED


def test_the_instance_profile_of_the_role_counts() -> None:
    profile = {
        "Type": "AWS::IAM::InstanceProfile",
        "Properties": {"InstanceProfileName": "head-node", "Roles": [{"Ref": ROLE}]},
    }
    assert only(template(role(), Profile=profile), instanceProfile="report").verdict is Verdict.OK
    occupied = copy.deepcopy(profile)
    occupied["Properties"]["Roles"] = ["another"]  # type: ignore[index]  # the literal above
    check = only(template(role(), Profile=occupied), instanceProfile="report")
    assert codes(check) == {"profile-occupied": "breaks"}


def test_tags_of_the_stack_enroll_as_well() -> None:
    assert only(template(role(Tags=None))).verdict is Verdict.NOT_ENROLLED
    tags = {"anyscale:cluster-role": "production"}
    assert only(template(role(Tags=None)), stack_tags=tags).verdict is Verdict.OK


# Compared with what is deployed.


def test_compared_with_the_deployed_template_a_lost_grant_is_repaired() -> None:
    check = only(template(role(Policies=None)), before=template(role()))
    assert codes(check) == {"grant-missing": "repaired-by-us"}
    check = only(template(role(Policies=None)), before=template(role(Policies=None)))
    assert codes(check) == {"grant-missing": "undecided"}


def test_compared_with_what_is_deployed_a_lost_tag_breaks() -> None:
    assert codes(only(template(role(Tags=None)), before=template(role()))) == {"un-enrolled": "breaks"}


def test_a_role_that_is_taken_out_breaks_unless_it_is_retained() -> None:
    (check,) = checked({"Resources": {}}, before=template(role()))
    assert codes(check) == {"role-deleted": "breaks"}
    for policy in ("Retain", "RetainExceptOnCreate"):
        (check,) = checked({"Resources": {}}, before=template({**role(), "DeletionPolicy": policy}))
        assert (check.role, check.verdict, check.said) == ("head-node", Verdict.OK, ())
    unknown = template(role(Tags={"Fn::ImportValue": "x"}))
    (check,) = checked({"Resources": {}}, before=unknown)
    assert codes(check) == {"role-deleted": "undecided"}
    assert checked({"Resources": {}}, before=template({**role(Tags=None), "DeletionPolicy": "Retain"})) == ()
    depending = {**role(), "DeletionPolicy": {"Fn::ImportValue": "x"}}
    (check,) = checked({"Resources": {}}, before=template(depending))
    assert codes(check) == {"role-deleted": "undecided"}


def test_a_role_that_gets_another_name_is_replaced() -> None:
    renamed, deleted = checked(template(role(RoleName="other")), before=template(role()))
    assert (renamed.role, renamed.verdict) == ("other", Verdict.OK)
    assert (deleted.role, codes(deleted)) == ("head-node", {"role-deleted": "breaks"})
    kept = {**role(RoleName="other"), "UpdateReplacePolicy": "Retain"}
    before = {**role(), "UpdateReplacePolicy": "Retain"}
    _, left = checked(template(kept), before=template(before))
    assert (left.role, left.verdict) == ("head-node", Verdict.OK)


# Buckets that go away.

EVERY = "every role of cloud production"


def bucket(name: object = BUCKET, **attributes: Any) -> Json:
    properties = {} if name is None else {"BucketName": name}
    return {"Type": "AWS::S3::Bucket", "Properties": properties, **attributes}


def lost(before: Json, after: Json | None, members: Json | None = None) -> list[tuple[str, dict[str, str]]]:
    """What is said of whom, where a bucket becomes another one, or is taken out."""
    then = template(role(), members, Data=before)
    now = template(role(), members, **({} if after is None else {"Data": after}))
    checks = checked(now, before=then)
    assert {said.place.address for check in checks for said in check.said} <= {"Data"}
    return [(check.role, codes(check)) for check in checks]


BREAKS = [("head-node", {"bucket-absent": "breaks"}), (EVERY, {"bucket-absent": "breaks"})]
UNDECIDED = [("head-node", {"bucket-absent": "undecided"}), (EVERY, {"bucket-absent": "undecided"})]
OK: list[tuple[str, dict[str, str]]] = [("head-node", {})]


@pytest.mark.parametrize(
    ("before", "after", "verdicts"),
    [
        (bucket(), None, BREAKS),
        (bucket(), bucket("other"), BREAKS),
        (bucket(), bucket(None), BREAKS),
        (bucket(), bucket(), OK),
        (bucket("other"), None, OK),
        (bucket(DeletionPolicy="Delete"), None, BREAKS),
        (bucket(DeletionPolicy="Retain"), None, OK),
        (bucket(DeletionPolicy="RetainExceptOnCreate"), None, OK),
        (bucket(DeletionPolicy={"Ref": "Asked"}), None, UNDECIDED),
        (bucket(DeletionPolicy="Retain"), bucket("other", DeletionPolicy="Retain"), BREAKS),
        (bucket(UpdateReplacePolicy="Retain"), bucket("other", UpdateReplacePolicy="Retain"), OK),
        (bucket(), bucket("other", UpdateReplacePolicy="Retain"), UNDECIDED),
        (bucket(), bucket({"Ref": "Asked"}), UNDECIDED),
        (bucket(), bucket(Condition="Maybe"), UNDECIDED),
        (bucket(Condition="Maybe"), None, UNDECIDED),
        (bucket(Condition="Maybe"), bucket(Condition="Maybe"), OK),
        (bucket(), bucket(Condition="Never"), BREAKS),
    ],
)
def test_a_bucket_that_goes_away_breaks_every_role_of_its_cloud_unless_it_is_retained(
    before: Json, after: Json | None, verdicts: list[tuple[str, dict[str, str]]]
) -> None:
    members = {
        "Parameters": {"Asked": {"Type": "String"}},
        "Conditions": {
            "Maybe": {"Fn::Equals": ["a", {"Ref": "Asked"}]},
            "Never": {"Fn::Equals": ["a", "b"]},
        },
    }
    assert lost(before, after, members) == verdicts


def test_a_deleted_bucket_is_reported_without_a_role_in_the_template() -> None:
    (check,) = checked({"Resources": {}}, before={"Resources": {"Data": bucket()}})
    assert (check.role, check.cloud, codes(check)) == (EVERY, "production", {"bucket-absent": "breaks"})
    assert f"Data, which is the bucket {BUCKET}, would be deleted" in check.said[0].because
    assert (check.place.file, check.place.address) == ("before.json", "Data")


def test_a_policy_of_a_role_that_the_template_does_not_hold_is_undecided_where_it_changes() -> None:
    def more(*actions: str) -> Json:
        properties = {"PolicyName": "more", "Roles": ["far-away"], "PolicyDocument": document(bucket_access(*actions))}
        return template(role(), More={"Type": "AWS::IAM::Policy", "Properties": properties})

    assert len(checked(more(), before=more())) == 1
    _, check = checked(more("s3:ListBucket"), before=more())
    assert (check.role, codes(check)) == ("far-away", {"role-not-in-file": "undecided"})
    assert len(checked(more())) == 1


# Functions.


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Ref": "AWS::Partition"}, "aws"),
        ({"Ref": "AWS::AccountId"}, ACCOUNT),
        ({"Ref": "AWS::Region"}, "us-west-2"),
        ({"Ref": "Name"}, "x"),
        ({"Ref": "Names"}, ["a", "b"]),
        ({"Fn::Sub": "${AWS::Partition}-${Name}-${!Name}"}, "aws-x-${Name}"),
        ({"Fn::Sub": ["${Own}${Name}", {"Own": {"Ref": "Name"}}]}, "xx"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Name"}, 1, True]]}, "a-x-1-true"),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "a,b"]}]}, "b"),
        ({"Fn::Select": [0, {"Ref": "Names"}]}, "a"),
        ({"Fn::FindInMap": ["Map", "one", "two"]}, "three"),
        ({"Fn::FindInMap": ["Map", "one", "no", {"DefaultValue": "d"}]}, "d"),
        ({"Fn::If": ["Yes", "then", "else"]}, "then"),
        ({"Fn::If": ["No", "then", "else"]}, "else"),
        ({"Fn::If": ["Maybe", "same", "same"]}, "same"),
        ({"a": {"Fn::If": ["No", "x", {"Ref": "AWS::NoValue"}]}, "b": 1}, {"b": 1}),
        ([{"Ref": "AWS::NoValue"}, 1], [1]),
        ({"Fn::ToJsonString": {"a": {"Ref": "Name"}}}, '{"a": "x"}'),
        ({"Fn::GetAtt": ["Data", "Arn"]}, "arn:aws:s3:::data"),
        ({"Fn::GetAtt": "Node.Arn"}, f"arn:aws:iam::{ACCOUNT}:role/p/node"),
        ({"Fn::Sub": "${Data.Arn}/*"}, "arn:aws:s3:::data/*"),
        ({"Condition": {"Bool": {"a": "b"}}}, {"Condition": {"Bool": {"a": "b"}}}),
    ],
)
def test_what_is_known_is_worked_out(value: object, expected: object) -> None:
    assert worked_out(value, **WORLD) == expected


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({"Ref": "Asked"}, "--parameter Asked=VALUE"),
        ({"Ref": "Looked"}, "SSM"),
        ({"Ref": "Nowhere"}, "neither a parameter nor a resource"),
        ({"Ref": "AWS::StackName"}, "AWS::StackName"),
        ({"Ref": "Nameless"}, "has no BucketName"),
        ({"Fn::GetAtt": ["Nameless", "Arn"]}, "has no BucketName"),
        ({"Fn::GetAtt": ["Function", "Result"]}, "Function.Result"),
        ({"Fn::GetAtt": 1}, "needs a resource"),
        ({"Fn::ImportValue": "x"}, "Fn::ImportValue"),
        ({"Fn::Sub": "${Asked}/*"}, "Asked"),
        ({"Fn::Join": ["", [{"Ref": "Asked"}]]}, "Asked"),
        ({"Fn::If": ["Maybe", "a", "b"]}, "Asked"),
        ({"Fn::If": ["Nowhere", "a", "b"]}, "there is no condition"),
        ({"Fn::If": ["Circle", "a", "b"]}, "refers to itself"),
        ({"Fn::Select": [7, ["a"]]}, "item 7 of 1"),
        ({"Fn::FindInMap": ["Map", "one", "no"]}, "the mapping Map"),
        ("{{resolve:ssm:/a}}", "dynamic reference"),
    ],
)
def test_what_is_not_known_says_what_it_depends_on(value: object, why: str) -> None:
    answer = worked_out(value, **WORLD)
    assert isinstance(answer, Unknown)
    assert why in answer.why


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"Fn::Equals": [{"Ref": "Name"}, "x"]}, True),
        ({"Fn::Equals": [1, "1"]}, True),
        ({"Fn::Not": [{"Condition": "Yes"}]}, False),
        ({"Fn::And": [{"Condition": "Yes"}, {"Condition": "Yes"}]}, True),
        ({"Fn::And": [{"Condition": "No"}, {"Condition": "Maybe"}]}, False),
        ({"Fn::Or": [{"Condition": "Yes"}, {"Condition": "Maybe"}]}, True),
        ({"Fn::Or": [{"Condition": "No"}, {"Condition": "No"}]}, False),
    ],
)
def test_conditions_are_worked_out_as_far_as_they_depend_on_what_is_known(condition: object, holds: bool) -> None:
    assert worked_out(condition, **WORLD) is holds


WORLD: Json = {
    "Parameters": {
        "Name": {"Type": "String", "Default": "x"},
        "Names": {"Type": "CommaDelimitedList", "Default": "a, b"},
        "Asked": {"Type": "String"},
        "Looked": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/a"},
    },
    "Mappings": {"Map": {"one": {"two": "three"}}},
    "Conditions": {
        "Yes": {"Fn::Equals": ["a", "a"]},
        "No": {"Fn::Equals": ["a", "b"]},
        "Maybe": {"Fn::Equals": ["a", {"Ref": "Asked"}]},
        "Circle": {"Fn::Not": [{"Condition": "Circle"}]},
    },
    "Resources": {
        "Data": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "data"}},
        "Nameless": {"Type": "AWS::S3::Bucket"},
        "Node": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "node", "Path": "/p/"}},
        "Function": {"Type": "Custom::Thing"},
    },
}


def test_a_resource_whose_condition_does_not_hold_is_not_there() -> None:
    conditions = {"Conditions": {"Never": {"Fn::Equals": ["a", "b"]}}}
    assert checked(template({**role(), "Condition": "Never"}, conditions)) == ()


def test_a_policy_whose_condition_is_unknown_keeps_the_verdict_open() -> None:
    members = {
        "Parameters": {"Asked": {"Type": "String"}},
        "Conditions": {"Maybe": {"Fn::Equals": ["a", {"Ref": "Asked"}]}},
    }
    policy = {
        "Type": "AWS::IAM::Policy",
        "Condition": "Maybe",
        "Properties": {
            "PolicyName": "more",
            "Roles": [{"Ref": ROLE}],
            "PolicyDocument": document({"Effect": "Deny", "Action": "s3:*", "Resource": "*"}),
        },
    }
    check = only(template(role(), members, More=policy))
    assert check.verdict is Verdict.UNDECIDED
    assert "whether More is created" in str(check.said)
    check = only(template(role(), members, More=policy), parameters={"Asked": "a"})
    assert check.verdict is Verdict.BREAKS


def test_an_unknown_part_of_a_document_is_undecided_and_named() -> None:
    members = {"Parameters": {"Bucket": {"Type": "String"}}}
    unknown = {**bucket_access(), "Resource": {"Fn::Sub": "arn:aws:s3:::${Bucket}*"}}
    policies = [{"PolicyName": "data", "PolicyDocument": document(unknown)}]
    check = only(template(role(Policies=policies), members))
    assert check.verdict is Verdict.UNDECIDED
    assert "--parameter Bucket=VALUE" in str(check.said)
    assert only(template(role(Policies=policies), members), parameters={"Bucket": BUCKET}).verdict is Verdict.OK


def test_a_name_that_is_made_up_matters_only_where_the_configuration_asks_for_names() -> None:
    assert only(template(role(RoleName=None))).verdict is Verdict.OK
    check = only(template(role(RoleName=None)), roles=["anyscale/production/head-*"])
    assert codes(check) == {"enrollment-undecided": "undecided"}
    assert "has no RoleName" in check.said[0].because[0]


def test_code_for_a_role_without_a_name_refers_to_it() -> None:
    check = only(template(role(RoleName=None, AssumeRolePolicyDocument=document(LAMBDA), Policies=None)))
    assert f"RoleName: !Ref {ROLE}" in check.fix
    assert "NAME-OF-THE-ROLE" not in check.fix


def doubling(steps: int) -> Json:
    """Buckets whose names are twice that of the next one."""
    names = [f"R{number}" for number in range(steps + 1)]
    resources: Json = {names[-1]: {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "x" * 100}}}
    for name, following in pairwise(names):
        twice = {"Fn::Join": ["", [{"Ref": following}, {"Ref": following}]]}
        resources[name] = {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": twice}}
    return resources


def test_texts_that_double_over_and_over_end() -> None:
    answer = worked_out({"Ref": "R0"}, Resources=doubling(30))
    assert isinstance(answer, Unknown)
    assert "longer than any" in answer.why


def test_references_over_too_many_steps_are_reported() -> None:
    with pytest.raises(NotReadable, match="too many steps"):
        checked(template(role(Path={"Ref": "R0"}), **doubling(2_000)))


# The text.


def test_the_short_forms_say_the_same_as_the_full_ones() -> None:
    short = """
    a: !Ref Name
    b: !GetAtt Data.Arn
    c: !GetAtt [Data, Arn]
    d: !Sub ["${x}", { x: !Ref Name }]
    e: !If [IsOn, !Join ["-", [a, b]], !Ref "AWS::NoValue"]
    f: !Condition IsOn
    g: !FindInMap [Map, one, two]
    h: !Not [!Equals [a, b]]
    """
    assert read_template_text(short).value == {
        "a": {"Ref": "Name"},
        "b": {"Fn::GetAtt": ["Data", "Arn"]},
        "c": {"Fn::GetAtt": ["Data", "Arn"]},
        "d": {"Fn::Sub": ["${x}", {"x": {"Ref": "Name"}}]},
        "e": {"Fn::If": ["IsOn", {"Fn::Join": ["-", ["a", "b"]]}, {"Ref": "AWS::NoValue"}]},
        "f": {"Condition": "IsOn"},
        "g": {"Fn::FindInMap": ["Map", "one", "two"]},
        "h": {"Fn::Not": [{"Fn::Equals": ["a", "b"]}]},
    }


def test_scalars_are_what_cloudformation_takes_them_for() -> None:
    text = "{date: 2012-10-17, account: 012345670123, yes: true, number: 7, quoted: '7', none: ~, big: 1e3}"
    assert read_template_text(f"value: {text}").value == {
        "value": {
            "date": "2012-10-17",
            "account": "012345670123",
            "yes": True,
            "number": 7,
            "quoted": "7",
            "none": None,
            "big": "1e3",
        }
    }


@pytest.mark.parametrize("of", [str, json.loads])
@pytest.mark.parametrize("wrapped", [lambda body: body, lambda body: {"StagesAvailable": [], "TemplateBody": body}])
def test_a_template_is_read_as_it_is_downloaded(of: Any, wrapped: Any) -> None:
    value = template(role())
    assert read_template_text(json.dumps(wrapped(of(json.dumps(value))))).value == value


def test_the_line_of_a_resource_is_known_in_yaml_and_json() -> None:
    assert read_template_text(FIXTURE.read_text()).lines["WorkerNode"] == 39
    printed = json.dumps({"Resources": {"A": {"Type": "x"}, "B": {"Type": "x"}}}, indent=1)
    assert read_template_text(printed).lines == {"A": 3, "B": 6}
    assert read_template_text('{\t"Resources": {}}').lines == {}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Resources: {A: {Type: x}, A: {Type: y}}", "line 1: the key 'A' is duplicated"),
        ("Resources:\n  A: &a {Type: x}\n  B: *a\n", "an alias, which CloudFormation does not support (line 3)"),
        ("Resources:\n  <<: {A: {Type: x}}\n", "line 2: a merge"),
        ("a: !!python/object/apply:os.system [x]", "the tag"),
        ("a: !<x:y> z", "the tag"),
        ("? [a]\n: b\n", "a key must be a string"),
        ("a: [", "is not YAML"),
        ("a: b\n---\nc: d\n", "is not YAML"),
        ("a: \x01", "is not YAML"),
        ("{" * 50_000, "is not JSON"),
        ("[" * 50_000, "is nested too deeply"),
        ('{"a": 1,}', "is not JSON"),
        ('{"a": 1, "a": 2}', 'has the key "a" twice'),
        ("just text", "is not a template"),
        ("- a", "is not a template"),
        ("a: b", "it has no Resources"),
        ("Resources: {A: {}}", "Resources.A has no Type"),
        ("Transform: AWS::Serverless-2016-10-31\nResources: {}", "a macro (AWS::Serverless-2016-10-31)"),
        ("Transform: [{Name: x}]\nResources: {}", "a macro (with parameters)"),
        ("Resources: {'Fn::ForEach::A': [x, [a], {}]}", "give the processed template"),
        ("x" * (LARGEST_TEMPLATE + 1), "is larger than 1 MiB"),
    ],
)
def test_a_file_that_is_no_template_is_reported_with_a_remedy(
    content: str, said: str, known: str, tmp_path: Path, remediator: Remediator
) -> None:
    path = tmp_path / "template.yaml"
    path.write_text(content)
    answer = remediator("check-cloudformation", "--settings", known, str(path))
    assert (answer.code, answer.out) == (ExitCode.BAD_INPUT, "")
    assert answer.err.startswith(f"{path}: ")
    assert answer.err.count("\n") == 1
    assert said in answer.err


# The command.


@pytest.fixture
def known(tmp_path: Path) -> str:
    return written(tmp_path, "settings.json", configuration())


def test_the_exit_code_says_whether_something_was_found(known: str, tmp_path: Path, remediator: Remediator) -> None:
    good = written(tmp_path, "good.json", template(role()))
    answer = remediator("check-cloudformation", "--settings", known, "--json", good)
    assert (answer.code, answer.err, answer.record["verdict"]) == (ExitCode.OK, "", "ok")
    answer = remediator(
        "check-cloudformation", "--settings", known, "--parameter", "Environment=production", str(FIXTURE)
    )
    assert answer.code == ExitCode.FOUND
    assert f"{ROLE}" in answer.out


def test_it_can_be_compared_with_what_is_deployed(known: str, tmp_path: Path, remediator: Remediator) -> None:
    now = written(tmp_path, "now.json", template(role(Policies=None), {"Parameters": {"New": {"Type": "String"}}}))
    before = written(tmp_path, "before.json", template(role()))
    arguments = ("check-cloudformation", "--settings", known, "--json", "--parameter", "New=x", "--before")
    answer = remediator(*arguments, before, now)
    assert (answer.code, answer.record["findings"][0]["code"]) == (ExitCode.FOUND, "grant-missing")
    answer = remediator(*arguments, str(tmp_path / "none"), now)
    assert (answer.code, answer.out) == (ExitCode.BAD_INPUT, "")
    assert answer.err == f"{tmp_path / 'none'}: no such file\n"


def test_a_parameter_may_be_that_of_either_template(known: str, tmp_path: Path, remediator: Remediator) -> None:
    asking = {"Parameters": {"Env": {"Type": "String"}}}
    without = written(tmp_path, "without.json", template(role()))
    with_it = written(tmp_path, "with.json", template(role(), asking))
    for before, now in ((with_it, without), (without, with_it)):
        arguments = ("check-cloudformation", "--settings", known, "--before", before)
        answer = remediator(*arguments, "--parameter", "Env=production", now)
        assert (answer.code, answer.err) == (ExitCode.OK, "")
        answer = remediator(*arguments, "--parameter", "Evn=production", now)
        assert (answer.code, answer.out) == (ExitCode.BAD_INPUT, "")
        assert answer.err == f"{now}: has no parameter Evn, and neither has the template before; they have Env\n"


def test_a_missing_file_is_reported_by_its_name(known: str, tmp_path: Path, remediator: Remediator) -> None:
    missing = str(tmp_path / "no-such-template.yaml")
    answer = remediator("check-cloudformation", "--settings", known, missing)
    assert (answer.code, answer.out) == (ExitCode.BAD_INPUT, "")
    assert answer.err == f"{missing}: no such file\n"


def test_in_strict_mode_what_is_undecided_ends_as_what_breaks(
    known: str, tmp_path: Path, remediator: Remediator
) -> None:
    path = written(tmp_path, "template.json", template(role(Policies=None)))
    assert remediator("check-cloudformation", "--settings", known, path).code == ExitCode.OK
    assert remediator("check-cloudformation", "--settings", known, "--strict", path).code == ExitCode.FOUND


def test_the_settings_are_those_of_the_working_directory_where_none_are_named(
    tmp_path: Path, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, "template.json", template(role()))
    answer = remediator("check-cloudformation", path)
    assert (answer.code, answer.out) == (ExitCode.ERROR, "")
    assert "there is no cdk.json in the working directory" in answer.err
    written(tmp_path, "cdk.json", configuration())
    assert remediator("check-cloudformation", path).code == ExitCode.OK


def test_a_binary_file_is_no_template(known: str, tmp_path: Path, remediator: Remediator) -> None:
    path = tmp_path / "template.zip"
    path.write_bytes(b"PK\x03\x04rest")
    answer = remediator("check-cloudformation", "--settings", known, str(path))
    assert answer.code == ExitCode.BAD_INPUT
    assert answer.err.startswith(f"{path}: is not text, so it is not a template")


def test_a_wrong_call_says_what_is_wrong(known: str, tmp_path: Path, remediator: Remediator) -> None:
    path = written(tmp_path, "template.json", template(role()))
    for arguments, said in (
        (("--parameter", "x", path), "NAME=VALUE"),
        (("--stack-tag", "=x", path), "NAME=VALUE"),
        (("--before", path, path, path), "only one template"),
        (("--parameter", "Nmae=x", path), "has no parameter Nmae"),
    ):
        answer = remediator("check-cloudformation", "--settings", known, *arguments)
        assert (answer.code, answer.out) == (2, "")
        assert said in answer.err


def test_without_an_account_the_command_says_how_to_name_it(tmp_path: Path, remediator: Remediator) -> None:
    unnamed = written(tmp_path, "settings.json", {"clouds": configuration()["clouds"]})
    path = written(tmp_path, "template.json", template(role()))
    answer = remediator("check-cloudformation", "--settings", unnamed, path)
    assert (answer.code, answer.out) == (ExitCode.ERROR, "")
    assert "--account" in answer.err
    assert remediator("check-cloudformation", "--settings", unnamed, "--account", ACCOUNT, path).code == 0


# Properties.


@given(any_json)
def test_whatever_json_is_given_there_is_a_verdict_or_a_clear_error(value: object) -> None:
    _has_an_answer(value)
    for member in ("Resources", "Parameters", "Conditions", "Mappings", "Transform"):
        _has_an_answer({**template(role()), member: value})


@settings(max_examples=300)
@given(st.sampled_from(["Path", "RoleName", "Tags", "Policies", "ManagedPolicyArns", "PermissionsBoundary"]), any_json)
def test_whatever_a_property_is_there_is_a_verdict_or_a_clear_error(name: str, value: object) -> None:
    _has_an_answer(template(role(**{name: value})))
    _has_an_answer(template(role(**{name: {"Fn::Sub": value}})))
    _has_an_answer(template(role(**{name: {"Fn::Join": ["", value]}})))
    _has_an_answer(template(role(), More={"Type": "AWS::IAM::Policy", "Properties": {"Roles": value}}))


@given(st.sampled_from(["BucketName", "DeletionPolicy", "UpdateReplacePolicy", "Condition"]), any_json)
def test_whatever_becomes_of_a_bucket_there_is_a_verdict_or_a_clear_error(name: str, value: object) -> None:
    changed = bucket(value) if name == "BucketName" else bucket(**{name: value})
    for before, after in ((bucket(), changed), (changed, bucket("other"))):
        _has_an_answer(template(role(), Data=after), before=template(role(), Data=before))
        _has_an_answer(template(role()), before=template(role(), Data=before))


@given(st.text(max_size=60))
def test_whatever_text_is_given_it_is_understood_or_refused(text: str) -> None:
    try:
        read_template_text(text)
    except RemediatorError as error:
        assert str(error)


@given(
    st.recursive(
        st.text("abc :-", max_size=5) | st.integers(-9, 99) | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    )
)
def test_yaml_and_json_of_one_value_are_read_as_the_same(value: object) -> None:
    written_out = yaml.safe_dump({"Value": value}, default_flow_style=False)
    assert read_template_text(written_out).value == read_template_text(json.dumps({"Value": value})).value


def _has_an_answer(value: object, *, before: object = None) -> None:
    try:
        checks = checked(value, before=before, instanceProfile="report")
    except RemediatorError as error:
        assert str(error)
    else:
        assert all(check.verdict for check in checks)
