"""A storm of events over roles that share a bucket, on the embedded AWS: is all repaired, in order, and how fast?

``python -m benchmarks.load [--roles N] [--events N] [--json FILE]``, on Linux. The stack is deployed by the CDK's
command line. Half of the roles belong to a cloud that grants in the roles, half to one that grants in the policy of
the bucket, and all of them are in order before the storm. Then an apply breaks them all: it deletes the policy of the
bucket and those in the roles, and replaces all trust policies by one without EC2. Tags follow that concern nobody, in
turns, so that the events of one role are mixed with those of the others. At last each trust policy is replaced again.

A repair of a trust policy is timed from the end of the first call that replaced it since the repair before, to the time
at which, by the history, reading it back has shown the repair. The embedded AWS is one process, on the machine that
runs the functions too: how fast a storm is worked off says more of these than of AWS. That nothing is lost, and how
looks and alerts add up, is what is to be seen.
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

from benchmarks.measuring import Headline, Json, arguments_parser, at_least, tell
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
"""The cloud that grants in the roles; the other one does in the bucket's policy."""
_CALLERS: Final = 4
_REST: Final = 1.0
"""Seconds in which nothing happens, after which nothing will."""
_DIGEST_MINUTES: Final = 1
_DEAD_LETTERS: Final = ("DeadLettersUrl", "UndeliveredAlertsUrl", "UndeliveredEventsUrl")
_COUNTED: Final = (
    *("EventsReceived", "EventsQueued", "SweepsRequested", "Reconciled", "RolesRepaired", "RolesClean"),
    *("Writes", "AlertsTold", "AlertsHeld", "DigestsSent"),
)
"""The metrics of the functions that say how the work adds up."""

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
    """A role's trust policy was replaced by one without EC2; ``at`` is when the call was answered."""

    role: str
    at: datetime


def stormed_roles(count: int) -> tuple[Stormed, ...]:
    """As many roles, by turns of one cloud and of the other."""
    clouds = tuple(_PATHS)
    return tuple(Stormed(f"storm-{number:04}", clouds[number % len(clouds)]) for number in range(count))


def _furnish(account: DemoAccount, roles: Sequence[Stormed]) -> None:
    """Create the roles, and wait until they are granted what they lack."""
    for role in roles:
        account.iam.create_role(
            RoleName=role.name,
            Path=_PATHS[role.cloud],
            AssumeRolePolicyDocument=json.dumps(EC2_TRUST),
            Tags=[{"Key": TAG, "Value": role.cloud}],
        )
    wait_until(lambda: account.is_idle() and not _unrepaired(account, roles), "The first grants", 60 + 2 * len(roles))
    account.settle(_REST)
    _wait_for_digests(account)


def _storm(account: DemoAccount, roles: Sequence[Stormed], events: int) -> list[Broken]:
    """Make that many calls, and say when each trust policy was replaced."""
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
    """The roles that EC2 may not assume, or that nothing grants the bucket, in one look at all of them."""
    named = _named_in(account.bucket_policy(BUCKET))
    pages = account.iam.get_paginator("get_account_authorization_details").paginate(Filter=["Role"])
    found = {role["RoleName"]: role for page in pages for role in page["RoleDetailList"]}

    def is_whole(role: Stormed) -> bool:
        raw = found[role.name]
        trusted = "ec2.amazonaws.com" in json.dumps(raw["AssumeRolePolicyDocument"])
        granted = BUCKET in json.dumps(raw["RolePolicyList"]) if role.cloud == IN_ROLES else role.name in named
        return trusted and granted

    return [role.name for role in roles if not is_whole(role)]


def _changes(account: DemoAccount) -> list[Change]:
    """All changes with their documents, oldest first."""
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
    """What contradicts that each document had one writer at a time, by the history: the ids of such changes.

    A change may not begin before the former one, of the same document, was concluded. Nobody else writes the bucket's
    policy, so that each must have found what the former one has left.
    """
    by_document: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        is_shared = change.document.kind is DocumentKind.BUCKET_POLICY
        by_document[str(change.document) if is_shared else f"{change.role_name}/{change.document}"].append(change)
    wrong: list[str] = []
    for listed in by_document.values():
        for former, later in pairwise(listed):
            overlaps = former.concluded_at is None or later.intended_at < former.concluded_at
            is_torn = former.document.kind is DocumentKind.BUCKET_POLICY and _named_in(former.after) != _named_in(
                later.before
            )
            if overlaps or is_torn:
                wrong.append(later.change_id)
    return wrong


def _named_in(policy: Any) -> frozenset[str]:  # noqa: ANN401 - a policy document, or None where there is none
    """The roles that our statement in a bucket's policy names; S3 gives them back in another order than it got them."""
    statements = [] if policy is None else policy["Statement"]
    named = [each["Principal"]["AWS"] for each in statements if each.get("Sid") == BUCKET_POLICY_SID]
    arns = [arn for names in named for arn in ([names] if isinstance(names, str) else names)]
    return frozenset(arn.rpartition("/")[2] for arn in arns)


def seconds_to_repair(broken: Iterable[Broken], changes: Iterable[Change]) -> list[float]:
    """For each repair of a trust policy, how long it took since the first call that had broken it.

    That is the first one since the repair before was seen; or, where there is none, while that was under way.
    """
    replaced: dict[str, list[datetime]] = defaultdict(list)
    for each in sorted(broken, key=lambda each: each.at):
        replaced[each.role].append(each.at)
    begun_before: dict[str, datetime] = {}
    seen_before: dict[str, datetime] = {}
    taken = []
    for change in sorted(changes, key=lambda change: change.intended_at):
        is_repair = change.document.kind is DocumentKind.TRUST_POLICY and change.state is ChangeState.COMPLETED
        if not is_repair or change.concluded_at is None:
            continue
        role, seen = change.role_name, change.concluded_at
        times = [at for at in replaced[role] if at <= seen]
        since = [at for at in times if role not in seen_before or at > seen_before[role]]
        since = since or [at for at in times if at > begun_before[role]]
        if since:
            taken.append((seen - since[0]) / timedelta(seconds=1))
        begun_before[role], seen_before[role] = change.intended_at, seen
    return sorted(taken)


def percentile(values: Sequence[float], share: float) -> float:
    """The least of the sorted values that at least this share of them does not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def _metrics(account: DemoAccount) -> Counter[str]:
    """What the functions have counted so far, by their logs."""
    logs = account.aws.client("logs")
    counted: Counter[str] = Counter()
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        for event in (event for page in pages for event in page["events"]):
            for line in event["message"].splitlines():
                told = json.loads(line) if line.startswith('{"_aws"') else {}
                counted.update({name: int(sum(told[name])) for name in _COUNTED if name in told})
    return counted


def _left_in_dead_letters(account: DemoAccount) -> int:
    urls = [url for name, url in account.outputs.items() if name.endswith(_DEAD_LETTERS)]
    asked = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = (account.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=asked)["Attributes"] for url in urls)
    return sum(int(count) for each in told for count in each.values())


def storm(account: DemoAccount, roles: Sequence[Stormed], events: int) -> Json:
    """Let the storm loose, wait until all is repaired and told, and say what came of it."""
    _furnish(account, roles)
    account.new_emails()
    account.new_alerts()
    before, asked_before = _metrics(account), account.aws.session_requests()
    start = datetime.now(UTC)
    broken = _storm(account, roles, events)
    stormed = datetime.now(UTC)
    patience = 60 + events / 2

    def is_over() -> bool:
        """Nothing is waiting, and nothing is broken."""
        return account.is_idle() and not _unrepaired(account, roles)

    wait_until(is_over, "The repair of all roles", patience)
    account.settle(_REST)
    changes = [change for change in _changes(account) if change.intended_at >= start]
    _wait_for_digests(account)
    asked = account.aws.session_requests() - asked_before
    letters = account.new_emails()
    counted = _metrics(account)
    counted.subtract(before)
    taken = seconds_to_repair(broken, changes)
    last = max(change.concluded_at for change in changes if change.concluded_at is not None)
    records = account.new_alerts()
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
        "seconds_to_repair": [round(seconds, 2) for seconds in taken],
        "p50": round(percentile(taken, 0.5), 2),
        "p99": round(percentile(taken, 0.99), 2),
        "changes": dict(sorted(documents.items())),
        "states": dict(sorted(Counter(str(change.state) for change in changes).items())),
        "alerts": len(records),
        "outcomes": dict(sorted(Counter(record["outcome"] for record in records).items())),
        "letters": len(letters),
        "counted": {name: counted[name] for name in _COUNTED},
        "looks_for_each_repair": round(counted["Reconciled"] / counted["RolesRepaired"], 2),
        "calls_for_each_repair": round(asked / counted["RolesRepaired"], 1),
        "writes_for_each_repair": round(counted["Writes"] / counted["RolesRepaired"], 2),
    }


def _wait_for_digests(account: DemoAccount) -> None:
    """Wait until no alert waits for its digest any more."""
    digest = account.outputs["DigestQueueUrl"]
    asked = ["ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessages"]

    def is_reported() -> bool:
        told = account.sqs.get_queue_attributes(QueueUrl=digest, AttributeNames=asked)["Attributes"]
        return account.is_idle() and not any(map(int, told.values()))

    wait_until(is_reported, "The last digest", 60 * _DIGEST_MINUTES + 60)
    account.settle(_REST)


def load_record(stormed: Json) -> Json:
    """The figures for programs."""
    return {
        "benchmark": "load",
        **stormed,
        "headlines": [
            Headline("roles that stayed broken", stormed["unrepaired"], "", 0).record(),
            Headline("messages lost", stormed["lost"], "", 0).record(),
            Headline("changes out of order", len(stormed["out_of_order"]), "", 0).record(),
            Headline("event to repair in a storm, half of all", stormed["p50"], "s").record(),
            Headline("event to repair in a storm, 99 of 100", stormed["p99"], "s").record(),
            Headline("events worked off", stormed["events_per_second"], "a second").record(),
            Headline("looks at a role, for each that ends in a repair", stormed["looks_for_each_repair"], "").record(),
            Headline("calls of all functions, for each repair", stormed["calls_for_each_repair"], "").record(),
            Headline(f"e-mails for {stormed['alerts']} alerts", stormed["letters"], "").record(),
            Headline("of these, digests", stormed["counted"]["DigestsSent"], "").record(),
        ],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Deploy, storm, and tell."""
    parser = arguments_parser("load", __doc__)
    parser.add_argument("--roles", type=at_least(2), default=DEFAULT_ROLES, help="roles, half of each cloud")
    parser.add_argument("--events", type=at_least(2), default=DEFAULT_EVENTS, help="calls, over all roles")
    asked = parser.parse_args(arguments)
    if asked.events < 3 * asked.roles:
        parser.error(f"--events: {asked.events} are too few for {asked.roles} roles, each of which needs three")
    with tempfile.TemporaryDirectory(prefix="load-") as temporary, EmbeddedAws() as aws:
        account = DemoAccount(aws)
        account.deploy(lambda _: None, Path(temporary) / "cdk.out", LOAD_SETTINGS)
        account.create_resources()
        account.settle()
        record = load_record(storm(account, stormed_roles(asked.roles), asked.events))
    tell(record, [], asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
