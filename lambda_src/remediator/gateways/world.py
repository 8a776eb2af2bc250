"""One of each thing that a flow needs from outside, made once by a handler, the command line or a test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from remediator.core.history.pause import Pause
from remediator.errors import RemediatorError
from remediator.settings import Settings

if TYPE_CHECKING:  # a function loads the gateways that it has, and no other
    from remediator.errors import AwsError
    from remediator.gateways.account import AccountScan
    from remediator.gateways.history import HistoryTable
    from remediator.gateways.iam import IamGateway
    from remediator.gateways.queue import SweepQueue, WorkQueue
    from remediator.gateways.s3 import S3Gateway
    from remediator.gateways.topic import AlertsTopic


class _NotGiven:
    """Stands for what the caller did not give to its World: to use it is a defect, and says so."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RemediatorError(f"this World was made without what would {name}")


_NOT_GIVEN: Final[Any] = _NotGiven()
_NOTHING_PAUSED: Final = Pause()


def _ignore(change_id: str, error: AwsError) -> None:
    """Whoever is not interested in what could not be recorded gets to know of it with the next reconcile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The account that a flow acts on, the configuration, the clock, and a gateway to each service.

    ``account`` has 12 digits. ``own_role_arn`` is the ARN of the role that the reconciler writes with. ``clock`` gives
    the time with its zone, ``sleep`` waits for some seconds. ``paused`` says what must not be written now.
    ``on_unrecorded`` is called with the id of a change whose result could not be recorded, and with the error.
    """

    account: str
    clock: Callable[[], datetime]
    settings: Settings = _NOT_GIVEN
    sleep: Callable[[float], None] = _NOT_GIVEN
    own_role_arn: str = ""
    paused: Pause = _NOTHING_PAUSED
    on_unrecorded: Callable[[str, AwsError], None] = _ignore
    roles: IamGateway = _NOT_GIVEN
    buckets: S3Gateway = _NOT_GIVEN
    scan: AccountScan = _NOT_GIVEN
    history: HistoryTable = _NOT_GIVEN
    work: WorkQueue = _NOT_GIVEN
    sweeps: SweepQueue = _NOT_GIVEN
    alerts: AlertsTopic = _NOT_GIVEN
