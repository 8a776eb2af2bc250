"""Alarms and dashboard: each looks at what there is, tells people, and has its entry in the runbook."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import app
from remediator.handlers import digester, notifier, reconciler, report, router, sweeper
from tests.infrastructure.templates import CONTEXT, Synthesised, resolved, synthesise

RUNBOOK = (Path(app.__file__).parent / "docs" / "runbook.md").read_text(encoding="utf-8")
HANDLERS: dict[str, ModuleType] = {
    "router": router,
    "sweeper": sweeper,
    "reconciler": reconciler,
    "digester": digester,
    "notifier": notifier,
}

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
OF_AWS = {
    ("AWS/SNS", "TopicName"): {"NumberOfNotificationsFailed"},
    ("AWS/SQS", "QueueName"): {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
    ("AWS/Lambda", "FunctionName"): {"Invocations", "Errors", "Throttles", "Duration"},
}

ALARMS = {
    *("intake-dead-letters", "work-dead-letters", "sweep-dead-letters", "undelivered-events"),
    *("intake-late", "work-late", "sweep-late"),
    *("router-errors", "sweeper-errors", "reconciler-errors"),
    *("router-throttled", "sweeper-throttled", "reconciler-throttled"),
    *("sweep-overdue", "events-missed", "no-events", "writes-near-limit", "alerts-lost"),
    *("digest-dead-letters", "digest-late", "digester-errors", "digester-throttled", "undelivered-alerts"),
    "people-not-reached",
    *("slack-dead-letters", "slack-late", "notifier-errors", "notifier-throttled"),
}


def alarms_of(stack: Synthesised) -> dict[str, dict[str, Any]]:
    """The properties of all alarms, by their names without what they begin with."""
    return {
        alarm["Properties"]["AlarmName"].removeprefix("AnyscaleRemediator-"): alarm["Properties"]
        for alarm in stack.resources("AWS::CloudWatch::Alarm").values()
    }


def counted_by(function: str) -> set[str]:
    """The names under which a function counts: those that it hands on to be counted, and those of its tables."""
    modules = (HANDLERS[function], report) if function == "reconciler" else (HANDLERS[function],)
    tables = ("_metric", "_metrics", "_METRICS")
    found: set[str] = set()
    for node in (node for module in modules for node in ast.walk(ast.parse(inspect.getsource(module)))):
        names: list[ast.AST] = []
        match node:
            case ast.Call(func=ast.Attribute(attr="add_metric"), args=[first, *_]):
                names = [first]
            case ast.Call(func=ast.Name(id="Counter") | ast.Attribute(attr="count"), keywords=given):
                names = [ast.Constant(each.arg) if each.arg else each.value for each in given]
            case ast.FunctionDef(name=name, body=body) if name in tables:
                names = [*body]
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.AST() as value) if name in tables:
                names = [value]
        for each in names:
            constants = (inner.value for inner in ast.walk(each) if isinstance(inner, ast.Constant))
            found.update(text for text in constants if isinstance(text, str) and re.fullmatch("([A-Z][a-z]*)+", text))
    return found


def shown(stack: Synthesised) -> Iterator[tuple[str, str, str, str, dict[str, Any]]]:
    """Namespace, name, dimension, its value and the options of every metric on the dashboard."""
    (dashboard,) = stack.resources("AWS::CloudWatch::Dashboard").values()
    for widget in json.loads(dashboard["Properties"]["DashboardBody"])["widgets"]:
        for namespace, name, dimension, value, *options in widget["properties"].get("metrics", ()):
            yield namespace, name, dimension, value, (options[0] if options else {})


def entries() -> list[str]:
    """The headings of the runbook that are names of alarms."""
    return re.findall(r"^### ([a-z-]+)$", RUNBOOK, re.MULTILINE)


def test_these_are_the_alarms(example: Synthesised) -> None:
    assert set(alarms_of(example)) == ALARMS
    assert len(example.resources("AWS::CloudWatch::Alarm")) == len(ALARMS)


@pytest.mark.parametrize("configuration", ["mixed", "largest"])
def test_every_deployment_has_the_same_alarms(configuration: str, request: pytest.FixtureRequest) -> None:
    assert set(alarms_of(request.getfixturevalue(configuration))) == ALARMS


def test_without_slack_there_are_no_alarms_about_it(quiet: Synthesised) -> None:
    of_slack = {name for name in ALARMS if name.startswith(("slack-", "notifier-"))}
    assert set(alarms_of(quiet)) == ALARMS - of_slack
    assert len(of_slack) == 4


def test_an_alarm_keeps_its_logical_id_as_its_name_is_fixed(example: Synthesised) -> None:
    for logical_id, alarm in example.resources("AWS::CloudWatch::Alarm").items():
        name = alarm["Properties"]["AlarmName"].removeprefix("AnyscaleRemediator-")
        assert re.fullmatch(f"Alarms{name.replace('-', '')}[0-9a-f]{{8}}", logical_id, re.IGNORECASE)


def test_every_alarm_says_what_to_do_and_has_an_entry_in_the_runbook_and_every_entry_an_alarm(
    example: Synthesised,
) -> None:
    for name, alarm in alarms_of(example).items():
        advice, _, entry = alarm["AlarmDescription"].rpartition(" See ")
        assert entry == f"docs/runbook.md#{name}"
        assert advice.endswith(".")
        assert len(advice.split(". ")) <= 2
        assert len(alarm["AlarmDescription"]) <= 1024
    assert sorted(entries()) == sorted(ALARMS)


def test_every_entry_of_the_runbook_says_what_it_means_where_to_look_and_how_to_mend_it() -> None:
    sections = re.split(r"^### ([a-z-]+)$", RUNBOOK.partition("\n## Redrive")[0], flags=re.MULTILINE)[1:]
    for name, text in zip(sections[::2], sections[1::2], strict=True):
        for part in ("**Means.**", "**Look.**", "**Fix.**"):
            assert part in text, f"{name} lacks {part}"


def test_every_output_that_the_runbook_names_is_one_of_the_stack(example: Synthesised) -> None:
    named = set(re.findall(r"`?\$\(output ([A-Za-z]+)\)", RUNBOOK))
    assert named
    assert named <= set(example.template["Outputs"])


def test_the_runbook_counts_what_costs(example: Synthesised, quiet: Synthesised) -> None:
    def costs(stack: Synthesised) -> tuple[int, int]:
        ours = {(value, name) for namespace, name, _, value, _ in shown(stack) if namespace == "AnyscaleRemediator"}
        return len(alarms_of(stack)), len(ours)

    words = " ".join(RUNBOOK.split())
    counted = re.search(
        r"(\d+) alarms, one dashboard and (\d+) metrics of the remediator's own, "
        r"and (\d+) alarms and (\d+) metrics",
        words,
    )
    assert counted
    alarms, metrics, more_alarms, more_metrics = map(int, counted.groups())
    assert costs(quiet) == (alarms, metrics)
    assert costs(example) == (alarms + more_alarms, metrics + more_metrics)


def test_an_alarm_looks_at_one_metric_as_it_is(example: Synthesised) -> None:
    """An expression would be one more thing to understand at night, and the embedded AWS deploys none."""
    for alarm in alarms_of(example).values():
        assert "Metrics" not in alarm


def test_every_alarm_tells_people_when_it_goes_off_and_is_silent_when_it_is_over(example: Synthesised) -> None:
    topic, _ = example.named("AWS::SNS::Topic", "People")
    for alarm in alarms_of(example).values():
        assert alarm["AlarmActions"] == [topic]
        assert "OKActions" not in alarm
        assert "InsufficientDataActions" not in alarm


@pytest.mark.parametrize("configuration", ["example", "mixed", "largest", "quiet"])
def test_every_metric_is_one_that_the_functions_count_or_that_aws_publishes_of_our_own_resources(
    configuration: str, request: pytest.FixtureRequest
) -> None:
    stack: Synthesised = request.getfixturevalue(configuration)
    queues = {f"{name}.QueueName" for name in stack.resources("AWS::SQS::Queue")}
    functions = set(stack.resources("AWS::Lambda::Function"))
    topics = {f"{name}.TopicName" for name in stack.resources("AWS::SNS::Topic")}
    ours = {"QueueName": queues, "FunctionName": functions, "TopicName": topics}
    looked_at: list[tuple[str, str, str, str, dict[str, Any]]] = [
        (alarm["Namespace"], alarm["MetricName"], each["Name"], each["Value"], {})
        for alarm in alarms_of(stack).values()
        for each in alarm["Dimensions"]
    ]
    assert len(looked_at) == len(alarms_of(stack)), "each alarm looks at one metric, with one dimension"
    for namespace, name, dimension, value, options in (*looked_at, *shown(stack)):
        if namespace == "AnyscaleRemediator":
            assert dimension == "service"
            assert name in counted_by(value)
        else:
            assert name in OF_AWS[namespace, dimension]
            if "region" not in options:
                assert value in ours[dimension]


def test_the_namespace_and_the_dimension_are_those_that_the_functions_are_given(example: Synthesised) -> None:
    for function in example.resources("AWS::Lambda::Function").values():
        variables = function["Properties"]["Environment"]["Variables"]
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == "AnyscaleRemediator"
        name = variables["POWERTOOLS_SERVICE_NAME"]
        assert HANDLERS[name].__name__ == f"remediator.handlers.{name}"


def test_the_dashboard_shows_everything_that_the_functions_count(example: Synthesised) -> None:
    on_it = {(value, name) for namespace, name, _, value, _ in shown(example) if namespace == "AnyscaleRemediator"}
    assert on_it == {(function, name) for function in HANDLERS for name in counted_by(function)}


def test_the_dashboard_shows_every_queue_and_what_every_function_does(example: Synthesised) -> None:
    metrics = {(name, value) for _, name, _, value, options in shown(example) if "region" not in options}
    letters = ("DeadLetters", "Undelivered")
    for queue in example.resources("AWS::SQS::Queue"):
        assert ("ApproximateNumberOfMessagesVisible", f"{queue}.QueueName") in metrics
        if not any(word in queue for word in letters):
            assert ("ApproximateAgeOfOldestMessage", f"{queue}.QueueName") in metrics
    for function in example.resources("AWS::Lambda::Function"):
        for name in ("Invocations", "Errors", "Throttles", "Duration"):
            assert (name, function) in metrics


@pytest.mark.parametrize("configuration", ["example", "mixed", "largest"])
def test_the_dashboard_shows_what_the_forwarders_could_not_deliver(
    configuration: str, request: pytest.FixtureRequest
) -> None:
    stack: Synthesised = request.getfixturevalue(configuration)
    elsewhere = {options["region"]: value for _, _, _, value, options in shown(stack) if "region" in options}
    assert elsewhere.keys() == stack.forwarders().keys()
    for region, forwarder in stack.forwarders().items():
        (queue,) = forwarder.resources("AWS::SQS::Queue").values()
        assert elsewhere[region] == queue["Properties"]["QueueName"]


def test_the_dashboard_draws_the_limit_of_writes_over_its_own_window(example: Synthesised) -> None:
    (dashboard,) = example.resources("AWS::CloudWatch::Dashboard").values()
    assert dashboard["Properties"]["DashboardName"] == resolved(example.template["Outputs"]["DashboardName"]["Value"])
    body = json.loads(dashboard["Properties"]["DashboardBody"])
    (writes,) = [widget["properties"] for widget in body["widgets"] if "Writes" in str(widget["properties"])]
    assert writes["annotations"]["horizontal"] == [{"value": 500, "label": "limit", "yAxis": "left"}]
    ((*_, options),) = writes["metrics"]
    assert (options["period"], options["stat"]) == (3600, "Sum")


def test_the_dashboard_draws_how_long_half_and_nearly_all_of_the_repairs_took(example: Synthesised) -> None:
    took = [options for _, name, _, _, options in shown(example) if name == "SecondsToRepair"]
    assert [options["stat"] for options in took] == ["p50", "p99"]
    assert len({options["label"] for options in took}) == 2


def test_one_message_that_failed_is_enough_and_is_not_over_when_sqs_stops_counting(example: Synthesised) -> None:
    alarms = alarms_of(example)
    queues = {
        "intake-dead-letters": "IntakeDeadLetters",
        "work-dead-letters": "WorkDeadLetters",
        "sweep-dead-letters": "SweepDeadLetters",
        "digest-dead-letters": "DigestDeadLetters",
        "slack-dead-letters": "SlackDeadLetters",
        "undelivered-events": "IntakeUndelivered",
        "undelivered-alerts": "AlertsUndelivered",
    }
    for name, queue in queues.items():
        alarm = alarms[name]
        logical_id, _ = example.named("AWS::SQS::Queue", queue)
        assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": f"{logical_id}.QueueName"}]
        assert (alarm["MetricName"], alarm["Statistic"]) == ("ApproximateNumberOfMessagesVisible", "Maximum")
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "GreaterThanOrEqualToThreshold")
        assert alarm["TreatMissingData"] == "ignore"


def test_a_message_is_late_when_the_tries_alone_do_not_explain_it(example: Synthesised, largest: Synthesised) -> None:
    """A message is tried for 31 minutes; a queue without order counts one that was received more than three times no
    more, and those of a function that died come back after the visibility timeout.
    """
    alarms = alarms_of(example)
    ages = {"intake-late": 15, "work-late": 45, "sweep-late": 45, "digest-late": 15 + 5, "slack-late": 15}
    assert set(ages) == {name for name in ALARMS if name.endswith("-late")}
    for name, minutes in ages.items():
        assert alarms[name]["MetricName"] == "ApproximateAgeOfOldestMessage"
        assert alarms[name]["Threshold"] == minutes * 60
    longest, widest = alarms_of(largest)["digest-late"], largest.settings.digest.minutes
    assert longest["Threshold"] == (15 + widest) * 60, "what ends a window waits until then"
    sweeps, _ = example.named("AWS::SQS::Queue", "SweepQueue")
    timeout = example.resources("AWS::SQS::Queue")[sweeps]["Properties"]["VisibilityTimeout"]
    assert timeout < alarms["sweep-late"]["Threshold"]


@pytest.mark.parametrize("function", HANDLERS)
def test_one_error_of_a_function_tells_and_only_throttles_that_go_on_do(example: Synthesised, function: str) -> None:
    errors, throttles = (alarms_of(example)[f"{function}-{trouble}"] for trouble in ("errors", "throttled"))
    logical_id, _ = example.named("AWS::Lambda::Function", function.capitalize())
    for alarm in (errors, throttles):
        assert alarm["Dimensions"] == [{"Name": "FunctionName", "Value": logical_id}]
        assert (alarm["Statistic"], alarm["Threshold"], alarm["Period"]) == ("Sum", 1, 300)
    assert (errors["DatapointsToAlarm"], errors["EvaluationPeriods"]) == (1, 1)
    assert (throttles["DatapointsToAlarm"], throttles["EvaluationPeriods"]) == (3, 12)


@pytest.fixture(scope="module", params=[5, 30, 77, 1440])
def paced(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, code: Path) -> Synthesised:
    """Deployments that sweep more often and less often, and that write one document a day at most."""
    configuration = {
        **CONTEXT["remediator"],
        "sweepMinutes": request.param,
        "writeLimit": {"writes": 1, "minutes": 1440},
    }
    return synthesise(configuration, tmp_path_factory.mktemp("paced"), code=code)


def test_a_sweep_is_overdue_when_twice_the_time_between_two_has_passed_and_never_within_an_hour(
    paced: Synthesised, example: Synthesised
) -> None:
    for stack in (paced, example):
        alarm = alarms_of(stack)["sweep-overdue"]
        assert alarm["TreatMissingData"] == "breaching", "a function that never runs counts nothing"
        assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "LessThanThreshold")
        assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"] == 12
        seconds = alarm["Period"] * alarm["EvaluationPeriods"]
        wanted = max(2 * stack.settings.sweep_minutes, 60) * 60
        assert wanted <= seconds < wanted + 12 * 60
    assert "for 120 minutes" in alarms_of(example)["sweep-overdue"]["AlarmDescription"]


def test_events_are_missed_when_in_three_of_seven_periods_with_a_sweep_more_than_a_quarter_of_the_repairs_were(
    paced: Synthesised,
) -> None:
    alarm = alarms_of(paced)["events-missed"]
    assert (alarm["MetricName"], alarm["Statistic"]) == ("RepairsMissedByEvents", "Average")
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (0.25, "GreaterThanThreshold")
    assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"]) == (3, 7)
    assert alarm["Period"] >= paced.settings.sweep_minutes * 60
    assert alarm["TreatMissingData"] == "notBreaching"


def test_a_day_without_any_event_tells_even_where_the_router_never_ran(example: Synthesised) -> None:
    alarm = alarms_of(example)["no-events"]
    assert alarm["Dimensions"] == [{"Name": "service", "Value": "router"}]
    assert alarm["MetricName"] == "EventsReceived"
    assert alarm["Period"] * alarm["EvaluationPeriods"] == 24 * 3600
    assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "LessThanThreshold")
    assert alarm["TreatMissingData"] == "breaching"


def test_people_hear_of_the_limit_of_writes_before_it_is_reached(paced: Synthesised, example: Synthesised) -> None:
    near = alarms_of(example)["writes-near-limit"]
    assert (near["MetricName"], near["Statistic"], near["Period"], near["Threshold"]) == ("Writes", "Sum", 3600, 400)
    assert "80% of the 500 writes" in near["AlarmDescription"]
    least = alarms_of(paced)["writes-near-limit"]
    assert (least["Period"], least["Threshold"]) == (24 * 3600, 1)


def test_one_alert_that_was_lost_is_enough(example: Synthesised) -> None:
    alarm = alarms_of(example)["alerts-lost"]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("AlertsLost", "Sum", 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"


def test_every_alarm_fits_what_cloudwatch_can_look_back(paced: Synthesised) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html: a day for periods below
    an hour, else seven.
    """
    for alarm in alarms_of(paced).values():
        period = alarm["Period"]
        assert period % 60 == 0
        assert period <= 24 * 3600
        assert period * alarm["EvaluationPeriods"] <= (24 * 3600 if period < 3600 else 7 * 24 * 3600)
