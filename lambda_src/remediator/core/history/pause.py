"""The switch that stops all writes, or those for some clouds, at once: the value of one parameter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from remediator.settings import Settings

RUNNING: Final = "running"
PAUSED: Final = "paused"

_CLOUD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Pause:
    """What is paused: everything, or only the roles of ``clouds``; nothing where it is not ``everything`` and empty.

    ``why`` is a sentence for people, empty where nothing is paused.
    """

    everything: bool = False
    clouds: frozenset[str] = frozenset()
    why: str = ""

    def holds(self, cloud: str) -> bool:
        """Whether nothing may be written for the roles of a cloud."""
        return self.everything or cloud in self.clouds

    def unknown(self, settings: Settings) -> list[str]:
        """The names that no configured cloud has, sorted."""
        return sorted(name for name in self.clouds if settings.cloud(name) is None)

    def under(self, settings: Settings) -> Pause:
        """What it means where this is configured: everything is paused if it names a cloud that there is not.

        A name that is misspelt would pause nothing, and whoever wrote it meant to stop something.
        """
        unknown = self.unknown(settings)
        if not unknown:
            return self
        why = f"the parameter that pauses them names {', '.join(unknown)}, and no cloud is called so"
        return Pause(everything=True, why=f"All writes are paused, because {why}.")


def parse_pause(text: str) -> Pause:
    """What the parameter's value says: ``running``, ``paused``, or ``paused: production, staging``.

    Any other value pauses everything: whoever changed it meant to stop something.
    """
    word, colon, rest = text.strip().partition(":")
    word = word.strip().casefold()
    if word == RUNNING and not colon:
        return Pause()
    if word == PAUSED and not colon:
        return Pause(everything=True, why="All writes are paused.")
    names = [name.strip() for name in rest.split(",")]
    if word == PAUSED and all(_CLOUD_NAME.fullmatch(name) for name in names):
        clouds = frozenset(names)
        return Pause(clouds=clouds, why=f"Writes for {', '.join(sorted(clouds))} are paused.")
    return Pause(
        everything=True,
        why="All writes are paused, because the parameter that pauses them has a value that is not understood: "
        f"allowed are {RUNNING}, {PAUSED} and {PAUSED}: CLOUD, CLOUD.",
    )


def pause_text(pause: Pause) -> str:
    """The value of the parameter that ``parse_pause`` reads back."""
    if pause.everything:
        return PAUSED
    return f"{PAUSED}: {', '.join(sorted(pause.clouds))}" if pause.clouds else RUNNING
