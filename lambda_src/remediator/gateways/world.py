"""What the flows need from outside, as one value: the account, its settings, the time, and one of each gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NoReturn

from remediator.core.history.pause import Pause

if TYPE_CHECKING:
    # Types only: a function must not pay at its cold start for what it does not use.
    from remediator.errors import AwsError
    from remediator.gateways.account import AccountScan
    from remediator.gateways.digests import DigestQueue, DigestWindows
    from remediator.gateways.history import HistoryTable
    from remediator.gateways.iam import IamGateway
    from remediator.gateways.queue import SweepQueue, WorkQueue
    from remediator.gateways.s3 import S3Gateway
    from remediator.gateways.topic import AlertsTopic
    from remediator.settings import Settings

_NOTHING_PAUSED: Final = Pause()


class _Missing:
    """Is for what a world was made without, and fails by its name where it is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> NoReturn:
        raise TypeError(f"this world was made without `{self._name}`, of which `{attribute}` was asked")

    def __call__(self, *_: object) -> NoReturn:
        raise TypeError(f"this world was made without `{self._name}`, which was called")


def _missing(name: str) -> Any:  # noqa: ANN401 - it stands for a value of any type
    return _Missing(name)


def _unnoticed(change_id: str, error: AwsError) -> None:
    """Leave it to the next reconcile, which finds the result out, without a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Made once by a handler, by the command line or by a test, which leave out what their flows do not use.

    ``account`` has 12 digits. ``clock`` gives the time with its zone, ``sleep`` waits for some seconds.
    ``own_role_arn`` is the role that repairs are made with. ``paused`` says what must not be written now.
    ``on_unrecorded`` is called with the id of a change whose result could not be recorded, and with the reason.
    """

    account: str
    clock: Callable[[], datetime]
    settings: Settings = field(default=_missing("settings"))
    sleep: Callable[[float], None] = field(default=_missing("sleep"))
    own_role_arn: str = ""
    paused: Pause = _NOTHING_PAUSED
    on_unrecorded: Callable[[str, AwsError], None] = _unnoticed
    roles: IamGateway = field(default=_missing("roles"))
    buckets: S3Gateway = field(default=_missing("buckets"))
    scan: AccountScan = field(default=_missing("scan"))
    history: HistoryTable = field(default=_missing("history"))
    work: WorkQueue = field(default=_missing("work"))
    sweeps: SweepQueue = field(default=_missing("sweeps"))
    alerts: AlertsTopic = field(default=_missing("alerts"))
    digests: DigestWindows = field(default=_missing("digests"))
    digest_queue: DigestQueue = field(default=_missing("digest_queue"))
