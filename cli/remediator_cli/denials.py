"""Calls that AWS denied: what could not be read shows as a finding, and whoever asks must know that it is their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from remediator.errors import DeniedError

if TYPE_CHECKING:
    from botocore.model import OperationModel


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
