"""A file that is written as a whole or not at all, and is not overwritten by mistake."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from remediator.errors import RemediatorError


def refuse_occupied(path: Path, *, force: bool) -> None:
    """Raise RemediatorError where a file could not be written there, or where there is one and ``force`` is not set."""
    with _written(path):
        if path.is_dir():
            raise RemediatorError(f"{path} is a directory: name the file to write in it")
        if not path.parent.is_dir():
            raise RemediatorError(f"there is no directory {path.parent}: make it, or name a file elsewhere")
        if not force and (path.exists() or path.is_symlink()):
            raise RemediatorError(f"{path} exists already: name another file, or overwrite it with --force")


def write_whole(path: Path, text: str, *, force: bool) -> None:
    """Write a text as UTF-8: a reader sees the previous file or the new one, never a part.

    Raises RemediatorError as ``refuse_occupied`` does, and where it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with _written(path):
        try:
            temporary.write_text(text, encoding="utf-8", newline="\n")
            refuse_occupied(path, force=force)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RemediatorError(f"{path} cannot be written: {error.strerror or error}") from error
