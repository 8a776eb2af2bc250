"""What goes wrong around the calls of a gateway: somebody acts at a chosen moment, or something fails."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from remediator.errors import ThrottledError, TransientError

Moment = Callable[[], None]
_Gateway = TypeVar("_Gateway")


def interfering(gateway: _Gateway, **moments: Moment) -> _Gateway:
    """The gateway, with something that happens before or after calls of its methods.

    A moment is named ``before_write_trust``, ``after_write_trust``, or, for the second call, ``before_read_role_2``.
    """
    known = [name for name in dir(gateway) if not name.startswith("_")]
    counts = dict.fromkeys(known, 0)

    def call(name: str, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        counts[name] += 1
        for moment in (f"before_{name}", f"before_{name}_{counts[name]}"):
            moments.get(moment, _nothing)()
        answer = method(*arguments, **named)
        moments.get(f"after_{name}", _nothing)()
        return answer

    for moment in moments:
        name = moment.partition("_")[2]
        assert name in known or name.rpartition("_")[0] in known, f"no method has the moment {moment}"
    for name in known:
        setattr(gateway, name, partial(call, name, getattr(gateway, name)))
    return gateway


def between_calls(gateway: object, act: Callable[[str], None]) -> Any:
    """The gateway, with something that may happen before and after each call of it; ``act`` is told the method."""
    return _BetweenCalls(gateway, act)


class _BetweenCalls:
    def __init__(self, gateway: object, act: Callable[[str], None]) -> None:
        self._gateway = gateway
        self._act = act

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._gateway, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self._act(name)
            answer = method(*arguments, **named)
            self._act(name)
            return answer

        return call


def raising(error: Exception) -> Moment:
    """Fails every time."""

    def act() -> None:
        raise error

    return act


def once(act: Moment) -> Moment:
    """Acts the first time only."""
    acts = iter([act])

    def act_once() -> None:
        next(acts, _nothing)()

    return act_once


def throttled(operation: str = "iam:Operation") -> Moment:
    """Fails every time with what AWS says when it is asked too often."""
    return raising(ThrottledError(operation, "Throttling", "Rate exceeded"))


def unanswered(operation: str = "iam:Operation") -> Moment:
    """Fails every time with what the SDK says when no answer comes."""
    return raising(TransientError(operation, "ReadTimeoutError", "Read timeout on endpoint URL"))


def _nothing() -> None:
    return
