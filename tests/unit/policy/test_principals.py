"""Who a Principal element names."""

from __future__ import annotations

import pytest

from remediator.core.policy.extent import ALWAYS, NEVER, UNKNOWN, Extent
from remediator.core.policy.principals import Named, RoleSession, service_is_named, stale_principals
from remediator.core.policy.statement import Principals, read_statement
from tests.unit.policy.documents import ACCOUNT, ROLE_ARN, ROLE_ID, document, trust

SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/cluster/i-1"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
CALLER = RoleSession(frozenset({ACCOUNT, ROOT}), frozenset({ROLE_ARN, ROLE_ID}), SESSION)
BOUNDED = RoleSession(CALLER.accounts, CALLER.roles, CALLER.session, is_bounded=True)


def principals(written: object, *, negated: bool = False) -> Principals | None:
    return read_statement({"NotPrincipal" if negated else "Principal": written}, 1, True).principals


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("*", Named.SESSION),
        ({"AWS": "*"}, Named.SESSION),
        ({"AWS": SESSION}, Named.SESSION),
        ({"AWS": [ROLE_ARN, SESSION]}, Named.SESSION),
        ({"AWS": ROLE_ARN}, Named.ROLE),
        ({"AWS": [ROOT, ROLE_ARN]}, Named.ROLE),
        ({"AWS": [ROLE_ARN, ROOT]}, Named.ROLE),
        ({"AWS": ROLE_ID}, Named.ROLE),
        ({"AWS": ROOT}, Named.ACCOUNT),
        ({"AWS": ACCOUNT}, Named.ACCOUNT),
        ({"AWS": ACCOUNT, "CanonicalUser": "x"}, Named.ACCOUNT),
        ({"CanonicalUser": "x"}, Named.PERHAPS),
        ({"AWS": ROLE_ARN.lower() + "X"}, Named.NOT),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/cluster"}, Named.NOT),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/*"}, Named.NOT),
        ({"AWS": SESSION.replace("i-1", "i-2")}, Named.NOT),
        ({"AWS": SESSION.replace("i-1", "*")}, Named.NOT),
        ({"AWS": "AROAOLDOLDOLDOLDOLD01"}, Named.NOT),
        ({"Service": "ec2.amazonaws.com"}, Named.NOT),
        ({"Federated": "*"}, Named.NOT),
        (7, Named.NOT),
    ],
)
def test_an_allow_names_the_session_as_closely_as_it_says(written: object, named: Named) -> None:
    assert CALLER.allowed_as(principals(written)) is named


def test_a_deny_is_about_the_session_however_it_names_it() -> None:
    for written in ("*", {"AWS": ROOT}, {"AWS": ROLE_ARN}, {"AWS": SESSION}, {"AWS": ROLE_ID}):
        assert CALLER.denied_by(principals(written)) is ALWAYS
    assert CALLER.denied_by(principals({"AWS": "222222222222"})) is NEVER
    assert CALLER.denied_by(principals({"CanonicalUser": "x"})) is UNKNOWN
    assert CALLER.denied_by(None) is UNKNOWN


@pytest.mark.parametrize(
    ("listed", "denied"),
    [
        ([ROLE_ARN, ROOT], NEVER),
        ([ROLE_ID, ACCOUNT], NEVER),
        ([SESSION, ROLE_ARN, ROOT], NEVER),
        ([SESSION, ROOT], NEVER),
        ([ROLE_ARN], ALWAYS),
        ([ROOT], ALWAYS),
        (["222222222222"], ALWAYS),
        (["*"], NEVER),
    ],
)
def test_a_deny_to_all_but_some_spares_the_role_where_its_account_is_listed_too(
    listed: list[str], denied: Extent
) -> None:
    assert CALLER.denied_by(principals({"AWS": listed}, negated=True)) is denied


def test_a_deny_to_all_but_some_never_spares_a_role_with_a_boundary() -> None:
    assert BOUNDED.denied_by(principals({"AWS": [ROLE_ARN, ROOT]}, negated=True)) is ALWAYS


def test_an_allow_to_all_but_some_names_the_others_directly() -> None:
    assert CALLER.allowed_as(principals({"AWS": "222222222222"}, negated=True)) is Named.SESSION
    assert CALLER.allowed_as(principals({"AWS": ROLE_ARN}, negated=True)) is Named.NOT


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("*", True),
        ({"AWS": "*"}, True),
        ({"Service": "ec2.amazonaws.com"}, True),
        ({"Service": ["a.amazonaws.com", "ec2.amazonaws.com"]}, True),
        ({"Service": "EC2.amazonaws.com"}, False),
        ({"Service": "ec2.amazonaws.com.cn"}, False),
        ({"AWS": "ec2.amazonaws.com"}, False),
        ({"AWS": ROOT}, False),
        (None, False),
    ],
)
def test_a_service_is_named_in_lower_case_or_as_everybody(written: object, named: bool) -> None:
    assert service_is_named(principals(written), "ec2.amazonaws.com") is named
    if written is not None:
        assert service_is_named(principals(written, negated=True), "ec2.amazonaws.com") is not named


def test_ids_of_deleted_roles_and_users_are_stale_and_our_own_is_not() -> None:
    held = document(
        trust(),
        trust(Principal={"AWS": ["AROAOLDOLDOLDOLDOLD01", ROLE_ID, ROOT]}),
        {"Effect": "Deny", "NotPrincipal": {"AWS": "AIDAOLDOLDOLDOLDOLD01"}, "Action": "*"},
    )
    assert list(stale_principals(held, ROLE_ID)) == [(1, "AROAOLDOLDOLDOLDOLD01"), (2, "AIDAOLDOLDOLDOLDOLD01")]
