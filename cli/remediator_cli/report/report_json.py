"""A report as a JSON object."""

from __future__ import annotations

from typing import Any

from remediator.core.history.role_record import Contest, Incident
from remediator_cli.report.contents import Report
from remediator_cli.report.past import Past


def report_record(report: Report) -> dict[str, Any]:
    """The members in their fixed order; all of them are always there."""
    return {
        "account": report.account,
        "at": report.at.isoformat(),
        "counts": {standing.value: count for standing, count in report.counts.items()},
        "roles": [
            {
                "name": each.name,
                "arn": each.arn,
                "standing": each.standing,
                "repairs": each.repairs,
                "last_repair": None if each.last_repair is None else each.last_repair.isoformat(),
            }
            for each in report.roles
        ],
        "plan": report.plan,
        "without_history": report.without_past or None,
        "history": None if report.past is None else _past_record(report.past),
    }


def _past_record(past: Past) -> dict[str, Any]:
    return {
        "stack": past.stack,
        "region": past.region,
        "days": past.days,
        "cut": past.is_cut,
        "repairs_by_day": [{"day": day.isoformat(), "repairs": count} for day, count in past.by_day],
        "breakers": [
            {
                "principal": each.principal,
                "tools": list(each.tools),
                "repairs": each.repairs,
                "roles": list(each.roles),
                "last": each.last.isoformat(),
            }
            for each in past.breakers
        ],
        "unexplained": past.unexplained,
        "open": [
            {"name": name, "contest": _contest(memory.contest), "incident": _incident(memory.incident)}
            for name, memory in past.open
        ],
    }


def _contest(contest: Contest | None) -> dict[str, Any] | None:
    if contest is None:
        return None
    return {
        "since": contest.since.isoformat(),
        "until": contest.until.isoformat(),
        "findings": [{"code": finding.code, "subject": finding.subject} for finding in contest.findings],
        "undone_by": list(contest.actors),
        "events": contest.events,
    }


def _incident(incident: Incident | None) -> dict[str, Any] | None:
    return None if incident is None else {"id": incident.incident_id, "opened": incident.opened.isoformat()}
