"""Alerts about every outcome, with what the product says of example roles, and absurdly long ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from remediator.core.alerts.alert_json import attributes_of, record_json
from remediator.core.alerts.decide import AlertDecision, AlertReason
from remediator.core.alerts.describe import describe
from remediator.core.alerts.digest import DIGEST, digest_item
from remediator.core.alerts.digest_json import digest_json, digest_of
from remediator.core.alerts.layout import Layout, email_text
from remediator.core.alerts.notification import Notification, SystemNotice, limit_reached, test_system_notice
from remediator.core.alerts.topic_messages import topic_message_layout
from remediator.core.alerts.window import window_of
from remediator.core.events.event import Actor, Cause
from remediator.core.events.request import ReconcileRequest
from remediator.core.events.sweep import sweep_cause
from remediator.core.history.change import ChangeState
from remediator.core.history.pause import parse_pause
from remediator.core.history.role_record import Conflict, Incident, RoleRecord
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.policy.reading import Present
from remediator.core.repair.outcome import (
    Applied,
    Hold,
    NotApplied,
    Outcome,
    OutcomeKind,
    Unconfirmed,
    after_the_last_try,
    gave_up,
)
from remediator.core.repair.trust import add_ec2_trust
from remediator.errors import DeniedError, QuotaError, ThrottledError
from remediator.flows import write
from remediator.settings import GrantLocation, WriteLimit
from tests.examples import ACCOUNT, BUCKET, ENROLLED, LAMBDA_STATEMENT, ROLE_ARN, a_cause, document
from tests.unit.alerts import situations
from tests.unit.history.changes import NOW, TRUST_STEP, a_change
from tests.writes import inline_write, trust_write

TRUST_MISSING, GRANT_MISSING, GRANT_STEP = situations.TRUST_MISSING, situations.GRANT_MISSING, situations.GRANT_STEP
(GRANT_BLOCKED,) = situations.FROZEN

HOSTILE = 'x\r\nBcc: all@example.com\n<!channel> \u202eevil\u2028"}\x1b[31m'

_INCIDENT = "0123456789abcdef"
_TRUST_CHANGE = "head-node/20260304T100020000000Z-0a1b2c3d"
_GRANT_CHANGE = "head-node/20260304T100020000000Z-4e5f6a7b"
_TERRAFORM = Cause(
    "6344a4bf-135d-4259-8927-9abb39a8c472",
    "UpdateAssumeRolePolicy",
    "2026-03-04T10:00:17Z",
    Actor(
        "AssumedRole",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/ci/apply-42",
        f"arn:aws:iam::{ACCOUNT}:role/ci",
        user_agent="APN/1.0 HashiCorp/1.0 Terraform/1.9.5 (+https://www.terraform.io) terraform-provider-aws/5.67.0 "
        "aws-sdk-go-v2/1.30.5 os/linux lang/go#1.23.1 md/GOOS#linux md/GOARCH#amd64 api/iam#1.35.2",
    ),
    region="us-east-1",
)
_SWEEP = sweep_cause("5d1f", datetime(2026, 3, 4, 11, 0, tzinfo=UTC))
_OPEN = Incident(_INCIDENT, "fedcba9876543210", NOW, alerted=True)
_LATER = NOW + timedelta(days=2)
_INTERRUPTED = situations.recovered(Present(TRUST_STEP.after or {}))
_MANY_LAMBDAS = document(*({**LAMBDA_STATEMENT, "Sid": f"Lambda{n}"} for n in range(1, 41)))
_QUOTA = QuotaError("iam:UpdateAssumeRolePolicy", "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048")
_THROTTLED = ThrottledError("iam:PutRolePolicy", "Throttling", "Rate exceeded")
_DENIED = DeniedError("iam:PutRolePolicy", "AccessDenied", "with an explicit deny in a service control policy")


def outcome(kind: OutcomeKind = OutcomeKind.REPAIRED, **fields: Any) -> Outcome:
    """An outcome about the example role; by default everything was wrong and was repaired."""
    defaults: dict[str, Any] = {
        "account": ACCOUNT,
        "role_name": "head-node",
        "role_arn": ROLE_ARN,
        "cloud": "production",
        "causes": (a_cause(),),
        "findings": (TRUST_MISSING, GRANT_MISSING),
        "results": (Applied(TRUST_STEP), Applied(GRANT_STEP)),
    }
    return Outcome(kind=kind, **{**defaults, **fields})


@dataclass(frozen=True, slots=True)
class Published:
    """An alert as it is published for programs, and as each channel shows it."""

    json: str
    attributes: Mapping[str, str]

    @property
    def layout(self) -> Layout:
        return topic_message_layout(self.json)

    @property
    def subject(self) -> str:
        return self.layout.subject

    @property
    def text(self) -> str:
        return email_text(self.layout)


def published(message: Notification | SystemNotice) -> Published:
    """A message as it is published."""
    return Published(record_json(message), attributes_of(message))


def decision(reason: AlertReason, *, is_over: bool = False) -> AlertDecision:
    """The decision to alert, as part of the example incident; a reminder comes two days later."""
    at = _LATER if reason is AlertReason.REMINDER else NOW
    return AlertDecision(reason, _INCIDENT, RoleRecord(incident=None if is_over else _OPEN), at)


def alert(
    of: Outcome, reason: AlertReason = AlertReason.NEW, grant: GrantLocation = GrantLocation.ROLE_POLICY
) -> Published:
    """An outcome as it is published."""
    return published(
        describe(of, decision(reason, is_over=of.kind is OutcomeKind.REPAIRED), buckets=(BUCKET,), grant=grant)
    )


def hostile() -> Published:
    """An alert in which all foreign text tries to be more than text."""
    actor = Actor(kind="AssumedRole", arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/x/{HOSTILE}", user_agent=HOSTILE)
    return alert(
        outcome(
            OutcomeKind.REFUSED,
            cloud=HOSTILE,
            why=HOSTILE,
            causes=(Cause(HOSTILE, HOSTILE, HOSTILE, actor),),
            findings=(Finding(FindingCode.GRANT_BLOCKED, BUCKET, (HOSTILE,)),),
            results=(),
        )
    )


def longest() -> Published:
    """An alert about everything at once, at full length."""
    statements = [
        {**LAMBDA_STATEMENT, "Sid": f"S{n}", "Condition": {"StringEquals": {"k": "v" * 90}}} for n in range(60)
    ]
    big = document(*statements)
    step = inline_write("n" * 128, big, add_ec2_trust(big, "aws"))
    long_actor = Actor(kind="k" * 1024, arn="a" * 1024, invoked_by="i" * 1024, user_agent="é" * 1024)
    return alert(
        outcome(
            OutcomeKind.FAILED,
            role_name="r" * 64,
            cloud="c" * 256,
            findings=tuple(
                Finding(
                    code,
                    situations.KEY_ARN if code is FindingCode.KEY_MISSING else "b" * 63,
                    tuple(f"{n}" + "ü" * 5000 for n in range(50)),
                    ("s3:GetObject",) * 8,
                )
                for code in FindingCode
            ),
            results=(NotApplied(step, "w" * 5000), Applied(step)),
            causes=tuple(Cause("e" * 1024, "c", "t", long_actor) for _ in range(10)),
        )
    )


_LONG_TRUST = document(*({**LAMBDA_STATEMENT, "Sid": f"Lambda{n}"} for n in range(2_000)))
_LONG_STEP = trust_write(_LONG_TRUST, add_ec2_trust(_LONG_TRUST, "aws"))


def long(of: Outcome) -> Outcome:
    """The same outcome with names as long as AWS allows, and more and longer reasons than anybody reads."""
    name = "head-node-" + "n" * 54
    arn = f"arn:aws:iam::{ACCOUNT}:role/anyscale/{'p' * 501}/{name}"
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/{'r' * 64}/{'s' * 64}"
    actor = Actor("AssumedRole", session, f"arn:aws:iam::{ACCOUNT}:role/{'r' * 64}", user_agent="Mosaic/1.0 " * 90)
    return replace(
        of,
        role_name=name,
        role_arn=of.role_arn and arn,
        cloud=of.cloud and "production-" + "c" * 245,
        why=of.why and f"{of.why} {'And so on. ' * 500}",
        causes=tuple(
            replace(a_cause(), event_id=f"{n:08d}-2222-4333-8444-555555555555", actor=actor) for n in range(9)
        ),
        findings=tuple(
            replace(finding, because=tuple(f"reason {n}: {'because it is so, ' * 90}" for n in range(1, 41)))
            for finding in of.findings
        ),
        proposed=of.proposed and (_LONG_STEP, GRANT_STEP),
        results=tuple(replace(result, write=_LONG_STEP) for result in of.results),
        blocked=tuple(replace(each, because=("it does not fit, " * 90,) * 40) for each in of.blocked),
        conflict=of.conflict and replace(of.conflict, actors=(f"Terraform, as {session}",) * 5),
    )


_OTHER_PATH = f"arn:aws:iam::{ACCOUNT}:role/head-node"
_ELSEWHERE = situations.refused(arn=_OTHER_PATH)
_POWERFUL = situations.refused(arn=ROLE_ARN, powerful=True)

_OUTCOMES = {
    OutcomeKind.NOT_ENROLLED: outcome(
        OutcomeKind.NOT_ENROLLED,
        causes=(a_cause("UntagRole"),),
        cloud=None,
        findings=(),
        results=(),
        why=situations.why_not_managed({}),
    ),
    OutcomeKind.OFF: outcome(
        OutcomeKind.OFF,
        causes=(a_cause("TagRole"),),
        findings=(),
        results=(),
        why=situations.why_not_managed({**ENROLLED, "anyscale:remediation": "off"}),
    ),
    OutcomeKind.CLEAN: outcome(OutcomeKind.CLEAN, causes=(a_cause("DeleteBucketPolicy"),), findings=(), results=()),
    OutcomeKind.REPAIRED: outcome(
        causes=(_TERRAFORM,), results=(Applied(TRUST_STEP, _TRUST_CHANGE), Applied(GRANT_STEP, _GRANT_CHANGE))
    ),
    OutcomeKind.WOULD_REPAIR: outcome(
        OutcomeKind.WOULD_REPAIR, results=(), proposed=(TRUST_STEP, GRANT_STEP), hold=Hold.OBSERVE
    ),
    OutcomeKind.REFUSED: outcome(
        OutcomeKind.REFUSED,
        causes=(a_cause("TagRole"),),
        findings=(),
        results=(),
        refusal=_ELSEWHERE.refusal,
        why=_ELSEWHERE.why,
        role_arn=_OTHER_PATH,
    ),
    OutcomeKind.CONFLICT: outcome(
        OutcomeKind.CONFLICT,
        causes=(_TERRAFORM,),
        findings=(TRUST_MISSING,),
        results=(),
        proposed=(TRUST_STEP,),
        conflict=Conflict(
            NOW, NOW + timedelta(days=1), (TRUST_MISSING,), (f"Terraform, as {_TERRAFORM.actor.arn}",), events=4
        ),
    ),
    OutcomeKind.MANUAL_ACTION: outcome(
        OutcomeKind.MANUAL_ACTION, causes=(a_cause("PutBucketPolicy"),), findings=(GRANT_BLOCKED,), results=()
    ),
    OutcomeKind.FAILED: outcome(
        OutcomeKind.FAILED,
        findings=(TRUST_MISSING,),
        results=(NotApplied(TRUST_STEP, str(_QUOTA), change_id=_TRUST_CHANGE, error=_QUOTA),),
    ),
}

_RESOLVED = frozenset({OutcomeKind.NOT_ENROLLED, OutcomeKind.OFF, OutcomeKind.CLEAN})

ALERTS = {
    **{
        kind.value: alert(of, AlertReason.RESOLVED if kind in _RESOLVED else AlertReason.NEW)
        for kind, of in _OUTCOMES.items()
    },
    **{
        f"{kind}-long": alert(long(of), AlertReason.RESOLVED if kind in _RESOLVED else AlertReason.NEW)
        for kind, of in _OUTCOMES.items()
    },
    "limit-reached": published(limit_reached(ACCOUNT, WriteLimit(500, 60), NOW)),
    "test": published(test_system_notice(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice", NOW)),
    "needs-person-reminder": alert(_OUTCOMES[OutcomeKind.MANUAL_ACTION], AlertReason.REMINDER),
    "needs-person-partly-repaired": alert(
        outcome(
            OutcomeKind.MANUAL_ACTION,
            findings=situations.HALF_FROZEN,
            results=(Applied(TRUST_STEP, _TRUST_CHANGE),),
        )
    ),
    "needs-person-withheld": alert(
        outcome(
            OutcomeKind.MANUAL_ACTION,
            findings=situations.FULL,
            results=(),
            blocked=situations.FULL_PLAN.blocked,
        )
    ),
    "needs-person-condition": alert(outcome(OutcomeKind.MANUAL_ACTION, findings=situations.CONDITIONAL, results=())),
    "refused-after-a-repair": alert(
        outcome(
            OutcomeKind.REFUSED,
            causes=(a_cause("AttachRolePolicy"),),
            findings=(),
            results=(),
            refusal=_POWERFUL.refusal,
            why=_POWERFUL.why,
            in_place=(a_change(state=ChangeState.COMPLETED),),
        )
    ),
    "failed-denied": alert(
        outcome(
            OutcomeKind.FAILED,
            findings=(GRANT_MISSING,),
            causes=(a_cause("DeleteRolePolicy"),),
            results=(NotApplied(GRANT_STEP, str(_DENIED), change_id=_GRANT_CHANGE, error=_DENIED),),
        )
    ),
    "no-longer-managed-after-a-repair": alert(
        outcome(
            findings=(TRUST_MISSING,),
            results=(Applied(TRUST_STEP, _TRUST_CHANGE),),
            why=situations.why_not_managed({}),
        )
    ),
    "needs-person-key-policy": alert(
        outcome(
            OutcomeKind.MANUAL_ACTION, causes=(a_cause("PutKeyPolicy"),), findings=situations.LOCKED_KEY, results=()
        )
    ),
    "needs-person-instance-profile": alert(
        outcome(
            OutcomeKind.MANUAL_ACTION,
            causes=(a_cause("DeleteInstanceProfile"),),
            findings=situations.NO_PROFILE,
            results=(),
            blocked=situations.NO_PROFILE_PLAN.blocked,
        )
    ),
    "needs-person-quarantined": alert(
        outcome(
            OutcomeKind.MANUAL_ACTION,
            causes=(a_cause("AttachRolePolicy"),),
            findings=situations.QUARANTINED,
            results=(),
        )
    ),
    "needs-person-superseded": alert(
        outcome(
            OutcomeKind.MANUAL_ACTION,
            findings=(),
            results=(),
            recovered=(situations.recovered(Present(document().raw)),),
        )
    ),
    "needs-person-unknown": alert(
        outcome(
            OutcomeKind.MANUAL_ACTION,
            findings=(),
            results=(),
            recovered=(situations.recovered(Present(document(LAMBDA_STATEMENT).raw)),),
        )
    ),
    "repaired-after-interruption": alert(
        outcome(
            findings=(),
            results=(),
            recovered=(_INTERRUPTED,),
        )
    ),
    "repaired-bucket-policy": alert(
        outcome(
            causes=(a_cause("PutBucketPolicy"),),
            findings=(GRANT_MISSING,),
            results=(*(Applied(write, _GRANT_CHANGE) for write in situations.TO_BUCKET_POLICY_PLAN.writes),),
        ),
        grant=GrantLocation.BUCKET_POLICY,
    ),
    "repaired-instance-profile": alert(
        outcome(
            causes=(a_cause("DeleteInstanceProfile"),),
            findings=situations.NO_PROFILE,
            results=tuple(Applied(write, _TRUST_CHANGE) for write in situations.NEW_PROFILE_PLAN.writes),
        )
    ),
    "repaired-long-diff": alert(
        outcome(
            findings=(TRUST_MISSING,),
            results=(
                Applied(trust_write(_MANY_LAMBDAS, add_ec2_trust(document(LAMBDA_STATEMENT), "aws")), _TRUST_CHANGE),
            ),
        )
    ),
    "repaired-lost-event": alert(
        outcome(causes=(_SWEEP,), findings=(TRUST_MISSING,), results=(Applied(TRUST_STEP, _TRUST_CHANGE),))
    ),
    "would-repair-paused": alert(
        outcome(
            OutcomeKind.WOULD_REPAIR,
            results=(),
            proposed=(TRUST_STEP, GRANT_STEP),
            hold=Hold.PAUSED,
            notes=(parse_pause("paused").why,),
        )
    ),
    "would-repair-capped": alert(
        outcome(
            OutcomeKind.WOULD_REPAIR,
            results=(Applied(TRUST_STEP, _TRUST_CHANGE),),
            proposed=(GRANT_STEP,),
            hold=Hold.CAPPED,
            notes=("No more than 500 writes are made within 60 minutes.",),
        )
    ),
    "would-repair-own-event": alert(
        outcome(
            OutcomeKind.WOULD_REPAIR,
            results=(),
            proposed=(GRANT_STEP,),
            own=True,
            recovered=(_INTERRUPTED,),
        )
    ),
    "failed-unconfirmed": alert(
        outcome(
            OutcomeKind.FAILED,
            findings=(TRUST_MISSING,),
            results=(Unconfirmed(TRUST_STEP, write._NOT_SEEN, _TRUST_CHANGE),),
        )
    ),
    "failed-retried": alert(
        outcome(
            OutcomeKind.FAILED,
            results=(
                Applied(TRUST_STEP, _TRUST_CHANGE),
                NotApplied(GRANT_STEP, str(_THROTTLED), retried=True, error=_THROTTLED),
            ),
        )
    ),
    "failed-interrupted": alert(
        outcome(
            OutcomeKind.FAILED,
            findings=(TRUST_MISSING,),
            results=(Applied(TRUST_STEP, _TRUST_CHANGE),),
            why="The rest is tried again within minutes: iam:GetRolePolicy failed with Throttling: Rate exceeded",
            again=True,
        )
    ),
    "failed-unreadable": alert(
        outcome(
            OutcomeKind.FAILED,
            role_arn=None,
            cloud=None,
            findings=(),
            results=(),
            why="the role could not be read: iam:GetRole failed with AccessDenied",
        )
    ),
    "failed-for-good": published(
        describe(
            gave_up(
                ReconcileRequest(ACCOUNT, "head-node", a_cause()),
                "iam:GetRole failed with ServiceFailure: Internal error",
            ),
            AlertDecision(AlertReason.NEW, None, RoleRecord(), NOW),
        )
    ),
    "failed-the-last-time": alert(
        after_the_last_try(
            outcome(
                OutcomeKind.FAILED,
                findings=(TRUST_MISSING,),
                results=(Unconfirmed(TRUST_STEP, write._NOT_SEEN, _TRUST_CHANGE),),
            )
        )
    ),
    "hostile": hostile(),
}
"""Every alert that has a golden rendering, by its name."""


def storm() -> Published:
    """A digest of what a Terraform run broke: most is repaired, and two roles require manual action."""
    broken = (outcome(causes=(_TERRAFORM,), role_name=f"worker-{n:02}") for n in range(1, 25))
    blocked = (
        outcome(
            OutcomeKind.MANUAL_ACTION,
            causes=(_TERRAFORM,),
            findings=(GRANT_BLOCKED,),
            results=(),
            role_name=f"head-node-{n}",
        )
        for n in range(1, 3)
    )
    items = tuple(digest_item(describe(each, decision(AlertReason.NEW))) for each in (*broken, *blocked))
    digest = digest_of(window_of(NOW, 5), items)
    attributes = {"outcome": DIGEST, "severity": digest.severity.value, "account": ACCOUNT}
    return Published(digest_json(digest), attributes)


def alarm() -> Published:
    """An alarm as CloudWatch publishes it, in the fields that are read."""
    content = {
        "AlarmName": "AnyscaleRemediator-work-dead-letters",
        "AlarmDescription": "Roles could not be reconciled and may be broken. Find the error in the reconciler's log, "
        "then redrive the dead-letter queue. See docs/runbook.md#work-dead-letters",
        "AWSAccountId": ACCOUNT,
        "NewStateValue": "ALARM",
        "NewStateReason": "Threshold Crossed: 1 datapoint [1.0] was greater than or equal to the threshold (1.0).",
        "StateChangeTime": "2026-03-04T10:00:20.000+0000",
        "Region": "US East (N. Virginia)",
    }
    return Published(json.dumps(content), {})
