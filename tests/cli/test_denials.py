"""What is said of a call that AWS denied: everything that its message says, and nothing twice."""

from __future__ import annotations

import pytest

from remediator.errors import DeniedError
from remediator_cli.deployment.aws import NoAccess, answered
from remediator_cli.deployment.denials import denial, reported_once

ME = "arn:aws:sts::111122223333:assumed-role/reader/alice"


WORKER = "arn:aws:iam::111122223333:role/worker"
SCP = "arn:aws:organizations::111122223333:policy/o-example/service_control_policy/p-example"
MAY_NOT = f"User: {ME} is not authorized to perform: iam:TagRole"


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            f"{MAY_NOT} on resource: role worker because no identity-based policy allows the iam:TagRole action",
            " on role worker: no identity-based policy allows the iam:TagRole action. Your credentials are those of "
            + ME,
        ),
        (
            f"{MAY_NOT} on resource: {WORKER} with an explicit deny in a service control policy: {SCP}",
            f" on {WORKER}: an explicit deny in a service control policy: {SCP}. Your credentials are those of " + ME,
        ),
        (
            f"{MAY_NOT} because no session policy allows the iam:TagRole action.",
            ": no session policy allows the iam:TagRole action. Your credentials are those of " + ME,
        ),
        (
            f"{MAY_NOT} on resource: role worker",
            " on role worker. Your credentials are those of " + ME,
        ),
        ("Access Denied", ": Access Denied"),
        ("", ""),
    ],
)
def test_the_call_is_named_once_with_who_on_what_and_which_kind_of_policy(message: str, said: str) -> None:
    error = DeniedError("iam:TagRole", "AccessDenied", message)
    assert denial(error) == f"your credentials may not call iam:TagRole{said}"
    with pytest.raises(NoAccess) as raised, answered():
        raise error
    assert str(raised.value) == denial(error)
    read = f"iam:TagRole failed with AccessDenied: {message}"
    assert reported_once(read) == (f"iam:TagRole failed with AccessDenied{said}" if ME in message else read)
