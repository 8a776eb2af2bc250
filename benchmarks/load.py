"""Load test: a storm of events on roles that share a bucket, on the embedded AWS.

``python -m benchmarks.load [--roles N] [--events N] [--json FILE]``, on Linux. The CDK CLI deploys the stack. Half of
the roles belong to a cloud with grants in role policies, half to one with grants in the bucket policy; all are healthy
before the storm. Then an apply breaks them all: it deletes the bucket policy and the role policies, and replaces all
trust policies with one without EC2. Unrelated tag changes follow, which mix the events of all roles. Finally each trust
policy is replaced again.

The time to repair a trust policy starts at the end of the first call that replaced it since the previous repair. It
ends when, according to the history, the read-back has confirmed the repair. The embedded AWS is one process, on the
machine that also runs the functions, so the throughput reflects that machine rather than AWS. The test shows whether
anything is lost, and how many reconciliations and alerts a storm causes.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import Headline, Json, arguments_parser, at_least, report
from demo.account import BUCKET, EC2_TRUST, EMAIL, LAMBDA_TRUST, SETTINGS, TAG, DemoAccount, wait_until
from demo.embedded import EmbeddedAws
from remediator.core.history.change import Change, ChangeState
from remediator.core.model.own_names import BUCKET_POLICY_SID, OWN_POLICY_NAME
from remediator.core.model.write import DocumentKind
from remediator.gateways.history import HistoryTable
from remediator.settings_check import parse_settings

DEFAULT_ROLES: Final = 40
DEFAULT_EVENTS: Final = 200

_PATHS: Final[Mapping[str, str]] = {"production": "/anyscale/production/", "research": "/anyscale/research/"}
IN_ROLES: Final = "production"
"""The cloud with grants in role policies; the other one has them in the bucket policy."""
_CALLERS: Final = 4
_IDLE_SECONDS: Final = 1.0
"""After this long without activity, all processing has ended."""
_DIGEST_MINUTES: Final = 1
_DEAD_LETTERS: Final = ("DeadLettersUrl", "UndeliveredAlertsUrl", "UndeliveredEventsUrl")
_COUNTED: Final = (
    *("EventsReceived", "EventsQueued", "SweepsRequested", "Reconciled", "RolesRepaired", "RolesClean"),
    *("Writes", "AlertsTold", "AlertsHeld", "DigestsSent"),
)
"""The metrics that show how much work a storm causes."""

LOAD_SETTINGS: Final[Mapping[str, Any]] = {
    **SETTINGS,
    "emails": [EMAIL],
    "digest": {"alone": 5, "minutes": _DIGEST_MINUTES},
    "writeLimit": {"writes": 10_000, "minutes": 60},
    "clouds": {
        "production": {
            "buckets": [{"name": BUCKET, "region": "us-east-1"}],
            "roles": ["anyscale/production/*"],
            "instanceProfile": "ignore",
        },
        "research": {
            "buckets": [{"name": BUCKET, "region": "us-east-1"}],
            "roles": ["anyscale/research/*"],
            "grant": "bucket-policy",
            "instanceProfile": "ignore",
        },
    },
}


@dataclass(frozen=True, slots=True)
class Stormed:
    """A role of the storm."""

    name: str
    cloud: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A role's trust policy was replaced with one without EC2; ``at`` is the time of the response."""

    role: str
    at: datetime


def stormed_roles(count: int) -> tuple[Stormed, ...]:
    """Return this many roles, alternating between the clouds."""
    clouds = tuple(_PATHS)
    return tuple(Stormed(f"storm-{number:04}", clouds[number % len(clouds)]) for number in range(count))


def _create_roles(account: DemoAccount, roles: Sequence[Stormed]) -> None:
    """Create the roles, and wait until the remediator has repaired them."""
    for role in roles:
        account.iam.create_role(
            RoleName=role.name,
            Path=_PATHS[role.cloud],
            AssumeRolePolicyDocument=json.dumps(EC2_TRUST),
            Tags=[{"Key": TAG, "Value": role.cloud}],
        )
    wait_until(lambda: account.is_idle() and not _unrepaired(account, roles), "The first grants", 60 + 2 * len(roles))
    account.settle(_IDLE_SECONDS)
    _wait_for_digests(account)


def _storm(account: DemoAccount, roles: Sequence[Stormed], events: int) -> list[Broken]:
    """Make this many calls, and return when each trust policy was replaced."""
    broken: list[Broken] = []
    deleted = [role for role in roles if role.cloud == IN_ROLES]
    tags = events - 1 - len(deleted) - 2 * len(roles)

    def replace_trust(role: Stormed) -> None:
        account.as_alice.update_assume_role_policy(RoleName=role.name, PolicyDocument=json.dumps(LAMBDA_TRUST))
        broken.append(Broken(role.name, datetime.now(UTC)))

    def apply(role: Stormed) -> None:
        replace_trust(role)
        if role.cloud == IN_ROLES:
            account.as_alice.delete_role_policy(RoleName=role.name, PolicyName=OWN_POLICY_NAME)

    def tag(role: Stormed, number: int) -> None:
        account.as_alice.tag_role(RoleName=role.name, Tags=[{"Key": "storm", "Value": str(number)}])

    account.alice_s3.delete_bucket_policy(Bucket=BUCKET)
    with ThreadPoolExecutor(_CALLERS) as callers:
        list(callers.map(apply, roles))
        list(callers.map(tag, islice(cycle(roles), tags), range(tags)))
        list(callers.map(replace_trust, roles))
    return broken


def _unrepaired(account: DemoAccount, roles: Iterable[Stormed]) -> list[str]:
    """Return the roles without EC2 trust or bucket access, from one listing of all roles."""
    named = _named_in(account.bucket_policy(BUCKET))
    pages = account.iam.get_paginator("get_account_authorization_details").paginate(Filter=["Role"])
    found = {role["RoleName"]: role for page in pages for role in page["RoleDetailList"]}

    def is_repaired(role: Stormed) -> bool:
        raw = found[role.name]
        trusted = "ec2.amazonaws.com" in json.dumps(raw["AssumeRolePolicyDocument"])
        granted = BUCKET in json.dumps(raw["RolePolicyList"]) if role.cloud == IN_ROLES else role.name in named
        return trusted and granted

    return [role.name for role in roles if not is_repaired(role)]


def _changes(account: DemoAccount) -> list[Change]:
    """Return all changes with their documents, oldest first."""
    settings = parse_settings(LOAD_SETTINGS)
    history = HistoryTable(
        account.aws.client("dynamodb"),
        account.outputs["HistoryTableName"],
        limit=settings.write_limit,
        keep_days=settings.history_days,
    )
    listed = (history.read_change(change.change_id) for change in history.list_changes(most=100_000))
    return sorted((change for change in listed if change is not None), key=lambda change: change.intended_at)


def out_of_order(changes: Iterable[Change]) -> list[str]:
    """Return the ids of changes that show, by the history, that a document had two writers at a time.

    A change must not begin before the previous change of the same document was concluded. No other principal writes
    the bucket policy, so each change must have read what the previous one wrote.
    """
    by_document: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        is_shared = change.document.kind is DocumentKind.BUCKET_POLICY
        by_document[str(change.document) if is_shared else f"{change.role_name}/{change.document}"].append(change)
    wrong: list[str] = []
    for listed in by_document.values():
        for previous, later in pairwise(listed):
            overlaps = previous.concluded_at is None or later.intended_at < previous.concluded_at
            is_torn = previous.document.kind is DocumentKind.BUCKET_POLICY and _named_in(previous.after) != _named_in(
                later.before
            )
            if overlaps or is_torn:
                wrong.append(later.change_id)
    return wrong


def _named_in(policy: Any) -> frozenset[str]:  # noqa: ANN401 - a policy document, or None
    """Return the roles in the remediator's statement in a bucket policy, as a set: S3 does not keep their order."""
    statements = [] if policy is None else policy["Statement"]
    named = [each["Principal"]["AWS"] for each in statements if each.get("Sid") == BUCKET_POLICY_SID]
    arns = [arn for names in named for arn in ([names] if isinstance(names, str) else names)]
    return frozenset(arn.rpartition("/")[2] for arn in arns)


def seconds_to_repair(broken: Iterable[Broken], changes: Iterable[Change]) -> list[float]:
    """Return the time to repair of each trust policy, from the first call that broke it.

    That is the first call after the previous repair was confirmed, or else the first one during that repair.
    """
    replaced: dict[str, list[datetime]] = defaultdict(list)
    for each in sorted(broken, key=lambda each: each.at):
        replaced[each.role].append(each.at)
    begun_before: dict[str, datetime] = {}
    seen_before: dict[str, datetime] = {}
    durations = []
    for change in sorted(changes, key=lambda change: change.intended_at):
        is_repair = change.document.kind is DocumentKind.TRUST_POLICY and change.state is ChangeState.COMPLETED
        if not is_repair or change.concluded_at is None:
            continue
        role, seen = change.role_name, change.concluded_at
        times = [at for at in replaced[role] if at <= seen]
        since = [at for at in times if role not in seen_before or at > seen_before[role]]
        since = since or [at for at in times if at > begun_before[role]]
        if since:
            durations.append((seen - since[0]) / timedelta(seconds=1))
        begun_before[role], seen_before[role] = change.intended_at, seen
    return sorted(durations)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest of the sorted values that at least this share of them does not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def _metrics(account: DemoAccount) -> Counter[str]:
    """Return the functions' metrics so far, from their logs."""
    logs = account.aws.client("logs")
    counted: Counter[str] = Counter()
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        for event in (event for page in pages for event in page["events"]):
            for line in event["message"].splitlines():
                record = json.loads(line) if line.startswith('{"_aws"') else {}
                counted.update({name: int(sum(record[name])) for name in _COUNTED if name in record})
    return counted


def _left_in_dead_letters(account: DemoAccount) -> int:
    urls = [url for name, url in account.outputs.items() if name.endswith(_DEAD_LETTERS)]
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    depths = (account.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"] for url in urls)
    return sum(int(count) for each in depths for count in each.values())


def storm(account: DemoAccount, roles: Sequence[Stormed], events: int) -> Json:
    """Run the storm, wait until all roles are repaired and all alerts are sent, and return the results."""
    _create_roles(account, roles)
    account.new_emails()
    account.new_alerts()
    before, requests_before = _metrics(account), account.aws.session_requests()
    start = datetime.now(UTC)
    broken = _storm(account, roles, events)
    stormed = datetime.now(UTC)
    timeout = 60 + events / 2

    def is_over() -> bool:
        return account.is_idle() and not _unrepaired(account, roles)

    wait_until(is_over, "The repair of all roles", timeout)
    account.settle(_IDLE_SECONDS)
    changes = [change for change in _changes(account) if change.intended_at >= start]
    _wait_for_digests(account)
    requests = account.aws.session_requests() - requests_before
    emails = account.new_emails()
    counted = _metrics(account)
    counted.subtract(before)
    durations = seconds_to_repair(broken, changes)
    last = max(change.concluded_at for change in changes if change.concluded_at is not None)
    alerts = account.new_alerts()
    documents = Counter(str(change.document.kind) for change in changes)
    return {
        "roles": len(roles),
        "events": events,
        "storm_seconds": round((stormed - start) / timedelta(seconds=1), 1),
        "seconds": round((last - start) / timedelta(seconds=1), 1),
        "events_per_second": round(events / ((last - start) / timedelta(seconds=1)), 2),
        "repairs_per_second": round(len(changes) / ((last - start) / timedelta(seconds=1)), 2),
        "unrepaired": len(_unrepaired(account, roles)),
        "lost": _left_in_dead_letters(account),
        "out_of_order": out_of_order(changes),
        "replaced": len(broken),
        "seconds_to_repair": [round(seconds, 2) for seconds in durations],
        "p50": round(percentile(durations, 0.5), 2),
        "p99": round(percentile(durations, 0.99), 2),
        "changes": dict(sorted(documents.items())),
        "states": dict(sorted(Counter(str(change.state) for change in changes).items())),
        "alerts": len(alerts),
        "outcomes": dict(sorted(Counter(alert["outcome"] for alert in alerts).items())),
        "letters": len(emails),
        "counted": {name: counted[name] for name in _COUNTED},
        "looks_for_each_repair": round(counted["Reconciled"] / counted["RolesRepaired"], 2),
        "calls_for_each_repair": round(requests / counted["RolesRepaired"], 1),
        "writes_for_each_repair": round(counted["Writes"] / counted["RolesRepaired"], 2),
    }


def _wait_for_digests(account: DemoAccount) -> None:
    """Wait until no alert waits for its digest."""
    digest = account.outputs["DigestQueueUrl"]
    names = ["ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessages"]

    def is_reported() -> bool:
        depths = account.sqs.get_queue_attributes(QueueUrl=digest, AttributeNames=names)["Attributes"]
        return account.is_idle() and not any(map(int, depths.values()))

    wait_until(is_reported, "The last digest", 60 * _DIGEST_MINUTES + 60)
    account.settle(_IDLE_SECONDS)


def load_record(stormed: Json) -> Json:
    """Return the results as JSON, with headlines."""
    return {
        "benchmark": "load",
        **stormed,
        "headlines": [
            Headline("roles left broken", stormed["unrepaired"], "", 0).record(),
            Headline("messages lost", stormed["lost"], "", 0).record(),
            Headline("changes out of order", len(stormed["out_of_order"]), "", 0).record(),
            Headline("event to repair in a storm, p50", stormed["p50"], "s").record(),
            Headline("event to repair in a storm, p99", stormed["p99"], "s").record(),
            Headline("events processed", stormed["events_per_second"], "per second").record(),
            Headline("reconciliations per repaired role", stormed["looks_for_each_repair"], "").record(),
            Headline("AWS calls by all functions per repaired role", stormed["calls_for_each_repair"], "").record(),
            Headline(f"e-mails for {stormed['alerts']} alerts", stormed["letters"], "").record(),
            Headline("of these, digests", stormed["counted"]["DigestsSent"], "").record(),
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Deploy, run the storm, and report."""
    parser = arguments_parser("load", __doc__)
    parser.add_argument("--roles", type=at_least(2), default=DEFAULT_ROLES, help="number of roles, half in each cloud")
    parser.add_argument("--events", type=at_least(2), default=DEFAULT_EVENTS, help="number of calls on all roles")
    options = parser.parse_args(arguments)
    if options.events < 3 * options.roles:
        parser.error(f"--events: {options.roles} roles need at least {3 * options.roles} events")
    with tempfile.TemporaryDirectory(prefix="load-") as temporary, EmbeddedAws() as aws:
        account = DemoAccount(aws)
        account.deploy(lambda _: None, Path(temporary) / "cdk.out", LOAD_SETTINGS)
        account.create_resources()
        account.settle()
        record = load_record(storm(account, stormed_roles(options.roles), options.events))
    report(record, [], options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
