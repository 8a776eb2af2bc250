"""The template as a whole: linted, checked, within CloudFormation's limits."""

from __future__ import annotations

import json

import aws_cdk as cdk
import pytest
from aws_cdk import aws_sqs as sqs
from cfnlint.api import ManualArgs, lint  # type: ignore[import-untyped] # it brings no types

import app
from tests.infrastructure.templates import CONTEXT, Synthesised

# The home stack of each app; the forwarders are among its ``stacks``.
STACKS = pytest.mark.parametrize("stack", ["example", "largest", "mixed", "quiet"], indirect=True)


@pytest.fixture
def stack(request: pytest.FixtureRequest) -> Synthesised:
    """One of the synthesised apps, by name."""
    found: Synthesised = request.getfixturevalue(request.param)
    return found


def linted(stack: Synthesised, template: object) -> list[object]:
    """What cfn-lint says of a template, for the Region of the stack."""
    region = stack.manifest()["environment"].rpartition("/")[2]
    # The CDK makes a function depend on its role and all that is in it, needed or not.
    return list(lint(json.dumps(template), config=ManualArgs(regions=[region], ignore_checks=["W3005"])))


@STACKS
def test_cfn_lint_finds_nothing(stack: Synthesised) -> None:
    for each in stack.stacks().values():
        assert linted(each, each.template) == []


def test_cfn_lint_would_find_something(example: Synthesised) -> None:
    for each in example.stacks().values():
        broken = json.loads(json.dumps(each.template))
        for name in each.resources("AWS::SQS::Queue"):
            broken["Resources"][name]["Properties"]["VisibilityTimeout"] = 99_999
        assert linted(each, broken)


@STACKS
def test_the_checks_of_cdk_nag_find_nothing(stack: Synthesised) -> None:
    report = json.loads((stack.folder / "validation-report.json").read_text())
    assert [plugin for plugin in report["pluginReports"] if plugin["conclusion"] != "success"] == []


def test_the_checks_of_cdk_nag_would_find_something(tmp_path_factory: pytest.TempPathFactory) -> None:
    defined = cdk.App(context=CONTEXT, outdir=str(tmp_path_factory.mktemp("checked")), analytics_reporting=False)
    sqs.Queue(app.define(defined), "Careless")
    with pytest.raises(RuntimeError, match="AwsSolutions-SQS4"):
        defined.synth()


@STACKS
def test_the_template_fits_the_limits_of_cloudformation(stack: Synthesised) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html."""
    for each in stack.stacks().values():
        assert len(json.dumps(each.template)) <= 1_000_000
        assert len(each.template["Resources"]) <= 500
        assert len(each.template["Outputs"]) <= 200


@STACKS
def test_the_environment_of_every_function_fits_the_limit_of_lambda(stack: Synthesised) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: 4 KB, whatever the configuration."""
    for function in stack.resources("AWS::Lambda::Function").values():
        assert len(json.dumps(function["Properties"]["Environment"]["Variables"])) <= 2_048


OF_SLACK = ("SlackQueueUrl", "SlackDeadLettersUrl", "NotifierFunctionName")


def test_people_are_told_where_things_are(example: Synthesised, quiet: Synthesised) -> None:
    assert set(example.template["Outputs"]) == {
        "AlertsTopicArn",
        "PeopleTopicArn",
        "IntakeQueueUrl",
        "IntakeDeadLettersUrl",
        "UndeliveredEventsUrl",
        "WorkQueueUrl",
        "WorkDeadLettersUrl",
        "SweepQueueUrl",
        "SweepDeadLettersUrl",
        "DigestQueueUrl",
        "DigestDeadLettersUrl",
        "SlackQueueUrl",
        "SlackDeadLettersUrl",
        "UndeliveredAlertsUrl",
        "SweepScheduleName",
        "DashboardName",
        "HistoryTableName",
        "ConfigurationDigest",
        "PauseParameterName",
        "RouterFunctionName",
        "SweeperFunctionName",
        "ReconcilerFunctionName",
        "DigesterFunctionName",
        "NotifierFunctionName",
        "ReconcilerRoleArn",
        "InboxBusArn",
    }
    assert set(quiet.template["Outputs"]) == {name for name in example.template["Outputs"] if name not in OF_SLACK}
    for each in example.stacks().values():
        assert all(output["Description"] for output in each.template["Outputs"].values())


def test_every_stack_says_what_it_is(example: Synthesised) -> None:
    for each in example.stacks().values():
        assert each.template["Description"].startswith("Anyscale role remediator")
        assert each.manifest()["properties"]["tags"] == {"application": "anyscale-role-remediator"}


def test_the_stack_goes_to_the_home_region_and_to_the_account_that_is_configured_if_any(
    example: Synthesised, largest: Synthesised
) -> None:
    assert example.manifest()["environment"] == "aws://unknown-account/us-east-1"
    assert largest.manifest()["environment"] == "aws://111122223333/us-east-1"
