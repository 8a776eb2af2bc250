"""Calls that AWS denied: the caller must see which of their own permissions are missing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from remediator.errors import DeniedError

if TYPE_CHECKING:
    from botocore.model import OperationModel

_DENIAL: Final = re.compile(
    r"User: (?P<who>\S+) is not authorized to perform: \S+"
    r"(?: on resource: (?P<what>\S.*?))?"
    r"(?: (?:because|with) (?P<why>an? .+|no .+))?"
)
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""


def denial(error: DeniedError) -> str:
    """A denied call in a sentence: the call, on what, which kind of policy said no, and to whom, as far as AWS says.

    AWS's own message says the call twice. One that has another form is kept as it is.
    """
    call = f"your credentials may not call {error.operation}"
    return f"{call}{_once(error.message)}"


def reported_once(why: str) -> str:
    """Why something could not be read, of which a denied call is the reason maybe, without AWS's repetition of it."""
    call, user, rest = why.partition(": User: ")
    return f"{call}{_once(f'{user[2:]}{rest}')}" if user else why


def _once(message: str) -> str:
    """What follows the name of the call that AWS denied with a message."""
    found = _DENIAL.fullmatch(message.rstrip("."))
    if found is None:
        return f": {message}" if message else ""
    what = f" on {found['what']}" if found["what"] else ""
    why = f": {found['why']}" if found["why"] else ""
    return f"{what}{why}. Your credentials are those of {found['who']}"


class Denials:
    """Which calls were denied to the clients that were ``watched``, by their names (``s3:GetBucketPolicy``)."""

    def __init__(self) -> None:
        self.calls: dict[str, None] = {}

    def watched(self, client: Any) -> Any:  # noqa: ANN401 - the types of the clients are those of the callers
        """The same client, of which denied calls are noted from now on."""
        client.meta.events.register("after-call", self._note)
        return client

    def _note(self, model: OperationModel, parsed: Mapping[str, Mapping[str, str]], **_: object) -> None:
        from remediator.gateways.aws_errors import ERROR_CLASSES  # noqa: PLC0415  # only commands that ask AWS pay

        if ERROR_CLASSES.get(parsed.get("Error", {}).get("Code", "")) is DeniedError:
            self.calls[f"{model.service_model.service_name}:{model.name}"] = None
