"""What the two checks have in common: options, reading files, checking them, and exit codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, assert_never

import typer

from remediator_cli.checks.change import check_change
from remediator_cli.checks.output_formats import CheckFormat, checks_table, github_annotations, json_lines, sarif_log
from remediator_cli.checks.state import Language
from remediator_cli.checks.verdicts import FOUND, FOUND_IF_STRICT, RoleCheck, Verdict
from remediator_cli.iac.declared import DeclaredChange, NotReadable
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.json_lines import NotOpened, label_of, opened
from remediator_cli.terminal.options import account_digits
from remediator_cli.terminal.output import print_error, print_text, put
from remediator_cli.terminal.settings_file import needed_settings

LARGEST_FILE = 512 * 1024 * 1024
"""Bytes. The plans of thousands of resources have a tenth of it."""

_ZIP = b"PK\x03\x04"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff", b"{\0", b"\0{")
_BEGINNING = 1_000
"""Bytes in which a file that is no text has a zero."""
_JSON_BEGINS = re.compile(rb"(?:\xef\xbb\xbf)?[ \t\r\n]*[{\[]")
_NO_TEXT = {
    Language.TERRAFORM: "looks like a binary plan, not its JSON; run: terraform show -json tfplan > plan.json",
    Language.CLOUDFORMATION: "is not text, so it is not a template; if it is UTF-16, save it as UTF-8",
}

Account = Annotated[
    str | None,
    typer.Option(
        "--account",
        metavar="DIGITS",
        callback=account_digits,
        help="The account to deploy to, if neither the file nor the settings name it.",
    ),
]
All = Annotated[bool, typer.Option("--all", help="Also list roles that are not enrolled.")]
Strict = Annotated[bool, typer.Option("--strict", help="Also exit with 3 if something is undecided.")]

Read = Callable[[str, str], DeclaredChange]
"""Understands the text of a file, whose name is given for places; raises NotReadable for what it is not."""


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What the two checks are asked for; ``account`` is the one to deploy to, where it is named."""

    settings: Path | None
    account: str | None
    form: CheckFormat
    show_all: bool
    is_strict: bool


def run_check(
    files: Sequence[str], read: Callable[[str | None], Read], language: Language, options: CheckOptions
) -> ExitCode:
    """Check each file by itself and print the result for its roles; an unreadable file does not affect the others.

    ``read`` is given the account that the files are for. Raises RemediatorError where no settings are
    named and the working directory has none.
    """
    settings = needed_settings(options.settings)
    understand = read(options.account or settings.account)
    checks: list[RoleCheck] = []
    is_bad = False
    for name in files:
        label = label_of(name)
        try:
            change = understand(read_text(name, language), label)
        except NotReadable as error:
            print_error(label, str(error))
            is_bad = True
            continue
        checks.extend(check_change(change, settings, account=options.account, language=language))
    listed = [check for check in checks if options.show_all or check.verdict is not Verdict.NOT_ENROLLED]
    if listed or not is_bad:
        _show(listed, files, options.form)
    return ExitCode.BAD_INPUT if is_bad else _exit_code(checks, is_strict=options.is_strict)


def _exit_code(checks: Sequence[RoleCheck], *, is_strict: bool) -> ExitCode:
    found = FOUND_IF_STRICT if is_strict else FOUND
    return ExitCode.FOUND if any(check.verdict in found for check in checks) else ExitCode.OK


def _show(checks: Sequence[RoleCheck], files: Sequence[str], form: CheckFormat) -> None:
    match form:
        case CheckFormat.TEXT:
            print_text(checks_table(checks, files))
        case CheckFormat.JSON:
            put(json_lines(checks))
        case CheckFormat.SARIF:
            put(sarif_log(checks))
        case CheckFormat.GITHUB:
            put(github_annotations(checks))
        case _ as never:
            assert_never(never)


def read_text(name: str, language: Language) -> str:
    """The text of a file, ``-`` being standard input; raises NotReadable for what is none."""
    content = _content(name)
    if len(content) > LARGEST_FILE:
        raise NotReadable(f"is larger than {LARGEST_FILE // 1024**2} MiB")
    if content.startswith(_UTF_16):
        raise NotReadable("is not text, or is UTF-16; save it as UTF-8")
    if content.startswith(_ZIP) or b"\0" in content[:_BEGINNING]:
        raise NotReadable(_NO_TEXT[language])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if language is Language.TERRAFORM and not _JSON_BEGINS.match(content):
            raise NotReadable(_NO_TEXT[language]) from error
        raise NotReadable(f"is not UTF-8: byte {error.start + 1} cannot be read") from error
    if not text.strip():
        raise NotReadable("is empty")
    return text


def _content(name: str) -> bytes:
    try:
        with opened(name, if_directory="name the files in it") as stream:
            return stream.read(LARGEST_FILE + 1)
    except NotOpened as error:
        raise NotReadable(str(error)) from error
