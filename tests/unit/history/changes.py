"""Changes that several tests are about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from remediator.core.history.change import Change, ChangeContext, ChangeKind, intended
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.write import Write
from remediator.core.repair.trust import add_ec2_trust
from tests.examples import LAMBDA_STATEMENT, a_cause, a_role, document
from tests.writes import trust_write

NOW = datetime(2026, 3, 4, 10, 0, 20, tzinfo=UTC)
TRUST_STEP = trust_write(document(LAMBDA_STATEMENT), add_ec2_trust(document(LAMBDA_STATEMENT), "aws"))
TRUST_MISSING = Finding(FindingCode.TRUST_MISSING, "trust policy")


def a_change(step: Write = TRUST_STEP, at: datetime = NOW, sequence: int = 0, **fields: Any) -> Change:
    """A change of the example role, by default the repair of its trust policy; keyword arguments replace fields."""
    occasion = ChangeContext.for_role(a_role(LAMBDA_STATEMENT), "production", (a_cause(),))
    change = intended(replace(step, findings=(TRUST_MISSING,)), occasion, ChangeKind.REPAIR, at, sequence)
    return replace(change, **{"code_version": "1.2.3", **fields})
