"""Changes that several tests are about."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from remediator.core.history.change import Change, ChangeKind, intended
from remediator.core.model.finding import Finding, FindingCode
from remediator.core.model.step import Step, TrustStep
from remediator.core.repair.trust import add_ec2_trust
from tests.examples import LAMBDA_STATEMENT, a_cause, a_role, document

NOW = datetime(2026, 3, 4, 10, 0, 20, tzinfo=UTC)
TRUST_STEP = TrustStep(document(LAMBDA_STATEMENT), add_ec2_trust(document(LAMBDA_STATEMENT), "aws"))
TRUST_MISSING = Finding(FindingCode.TRUST_MISSING, "trust policy")


def a_change(step: Step = TRUST_STEP, at: datetime = NOW, sequence: int = 0, **fields: Any) -> Change:
    """A change of the example role, by default the repair of its trust policy; keyword arguments replace fields."""
    change = intended(
        step,
        a_role(LAMBDA_STATEMENT),
        kind=ChangeKind.REPAIR,
        cloud="production",
        findings=(TRUST_MISSING,),
        causes=(a_cause(),),
        code_version="1.2.3",
        at=at,
        sequence=sequence,
    )
    return replace(change, **fields)
