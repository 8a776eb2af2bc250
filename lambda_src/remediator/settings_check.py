"""Reading what people write as the configuration: every fault is found at once, and explained.

Only synthesis and the command line come here; the functions load what synthesis has written (``remediator.settings``).
A check is handed a value and its place (``clouds.production.buckets[0].region``) and yields each fault as one sentence
that names the place, what was found there and what is allowed.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeAlias

from remediator import settings_rules as rules
from remediator.errors import SettingsError
from remediator.settings import (
    GrantLocation,
    InstanceProfileMode,
    Mode,
    Settings,
    settings_from,
)

LOG_RETENTION_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545),
    *(731, 1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""

_Faults: TypeAlias = Iterator[str]
_Check: TypeAlias = Callable[[object, str], _Faults]

_MAX_EMAILS = 100
_DAY = 24 * 60
_CLOUD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def parse_settings(value: object) -> Settings:
    """Read the configuration from a decoded JSON value.

    Raises SettingsError with every fault, each naming the key, what was found there and what is allowed.
    """
    faults = tuple(_check_settings(value))
    if faults or not isinstance(value, Mapping):
        raise SettingsError(faults)
    return settings_from(value)


# What is where.


def _check_settings(value: object) -> _Faults:
    account = _account_of(value, None)
    window = _number(1, _DAY, "minutes (a day)")
    yield from _object(
        value,
        "",
        needed=("clouds",),
        region=_text(rules.home_region),
        account=_account,
        clouds=partial(_clouds, account=account),
        enrollmentTag=_text(rules.tag_key),
        emails=_emails,
        logRetentionDays=_log_retention,
        sweepMinutes=_number(5, _DAY, "(a day), the minutes between two sweeps"),
        approvers=_list(_text(partial(rules.principal, account=account))),
        writeLimit=partial(_object, writes=_number(1, 100_000, "writes within one window"), minutes=window),
        contest=partial(
            _object,
            repairs=_number(1, 100, "repairs of the same finding within one window"),
            minutes=window,
            coolDownMinutes=_number(1, 30 * _DAY, "minutes (30 days), for which a role in conflict is not repaired"),
        ),
        historyDays=_number(1, 3650, "days for which the record of a change is kept"),
        digest=partial(
            _object,
            alone=_number(1, 100, "alerts of one window that are sent individually"),
            minutes=_number(1, 14, "minutes, because a queue keeps nothing back for longer than 15"),
        ),
        slackWebhookSecret=partial(_secret, account=account),
        # https://docs.aws.amazon.com/chatbot/latest/APIReference/API_CreateSlackChannelConfiguration.html
        amazonQ=partial(
            _object, needed=("workspace", "channel"), workspace=_text(rules.workspace), channel=_text(rules.channel)
        ),
    )


def _clouds(value: object, place: str, *, account: str | None) -> _Faults:
    if not isinstance(value, Mapping):
        yield _unexpected(place, value, "needed is an object with one key per cloud")
        return
    if not value:
        yield f"{place}: is empty; at least one cloud is needed"
    for name, cloud in value.items():
        if not isinstance(name, str) or not _CLOUD_NAME.fullmatch(name):
            yield (
                f"{place}: the cloud's name {_shown(name)} is not possible; allowed are 1 to 64 letters, digits and "
                ". _ -, beginning with a letter or digit, because it is the value of the enrollment tag"
            )
        yield from _cloud(cloud, _key(place, str(name)), account)
    yield from _several_accounts(value, place, account)
    yield from _contradicting_buckets(value, place, account)


def _cloud(value: object, place: str, account: str | None) -> _Faults:
    account = _account_of(value, account)
    yield from _object(
        value,
        place,
        needed=("buckets", "roles"),
        buckets=_list(_bucket, lambda bucket: _member(bucket, "name"), at_least_one="bucket"),
        roles=_list(_text(rules.role_pattern), at_least_one="role pattern"),
        mode=_choice(Mode),
        grant=_choice(GrantLocation),
        formerGrant=_choice(GrantLocation),
        instanceProfile=_choice(InstanceProfileMode),
        account=_account,
        requiredBoundary=_text(partial(rules.boundary, account=account)),
    )
    grant, former = _member(value, "grant", GrantLocation.ROLE_POLICY), _member(value, "formerGrant")
    if former in tuple(GrantLocation) and former == grant:
        allowed = 'allowed is the side where grants were put before "grant" was changed, and "grant" is the same'
        yield _unexpected(_key(place, "formerGrant"), former, allowed)
    if GrantLocation.BUCKET_POLICY in (grant, former):
        yield from _foreign_buckets(value, place, account)


def _bucket(value: object, place: str) -> _Faults:
    region = _member(value, "region")
    yield from _object(
        value,
        place,
        needed=("name", "region"),
        name=_text(rules.bucket_name),
        region=_text(rules.region),
        account=_account,
        key=_text(partial(rules.kms_key, region=region if isinstance(region, str) else "")),
    )


# What does not go together. Whatever is wrong by itself is passed over here: it has its fault already.


def _foreign_buckets(cloud: object, place: str, account: str | None) -> _Faults:
    """Only the account that owns a bucket can write its policy.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html (MethodNotAllowed)
    """
    roles = _shown(account) if account else 'which the key "account" of the cloud must then name'
    for here, bucket in _buckets_of(cloud, place):
        if (owner := _account_of(bucket, account)) != account:
            yield _unexpected(
                _key(here, "account"),
                owner,
                f'allowed with the grant side "bucket-policy" is the account of the roles ({roles}), because only the '
                "account that owns a bucket can write its policy",
            )


def _several_accounts(clouds: Mapping[Any, object], place: str, account: str | None) -> _Faults:
    """A stack reaches the roles of its own account only, so clouds in two accounts cannot both be served."""
    stated = {name: found for name, cloud in clouds.items() if (found := _account_of(cloud, account))}
    home = account or next(iter(stated.values()), None)
    for name, found in stated.items():
        if found != home:
            yield _unexpected(
                _key(_key(place, str(name)), "account"),
                found,
                f"allowed is {_shown(home)}, because a deployment writes only to roles of its own account; "
                "deploy one per account",
            )


def _contradicting_buckets(clouds: Mapping[Any, object], place: str, account: str | None) -> _Faults:
    """Two clouds may share a bucket, but a bucket has one region, one owner and one key."""
    first: dict[str, tuple[object, dict[str, object], str]] = {}
    for cloud_name, cloud in clouds.items():
        for here, bucket in _buckets_of(cloud, _key(place, str(cloud_name))):
            name = _member(bucket, "name")
            if not isinstance(name, str):
                continue
            ours = {
                "region": _member(bucket, "region"),
                "account": _account_of(bucket, _account_of(cloud, account)),
                "key": _member(bucket, "key"),
            }
            other, known, where = first.setdefault(name, (cloud_name, ours, here))
            if other == cloud_name:  # the first mention, or a repetition that is reported as such
                continue
            for key, found in ours.items():
                if found != known[key] and ((found and known[key]) or key == "key"):
                    said = f"{where} gives {_shown(known[key])} for the same bucket {_shown(name)}"
                    yield _unexpected(_key(here, key), found, said)


def _buckets_of(cloud: object, place: str) -> Iterator[tuple[str, object]]:
    buckets = _member(cloud, "buckets")
    for index, bucket in enumerate(buckets if isinstance(buckets, list | tuple) else ()):
        yield f"{_key(place, 'buckets')}[{index}]", bucket


def _member(value: object, key: str, default: object = None) -> object:
    return value.get(key, default) if isinstance(value, Mapping) else default


def _account_of(value: object, default: str | None) -> str | None:
    account = _member(value, "account")
    return account if isinstance(account, str) and rules.ACCOUNT.fullmatch(account) else default


# What is of which kind.


def _object(value: object, place: str, *, needed: tuple[str, ...] = (), **checks: _Check) -> _Faults:
    known = (*needed, *(key for key in checks if key not in needed))
    if not isinstance(value, Mapping):
        yield _unexpected(place, value, f"needed is an object with {_words(needed or known, 'and')}")
        return
    yield from _keys(value, place or "the configuration", needed, known)
    for key, check in checks.items():
        if key in value:
            yield from check(value[key], _key(place, key))


def _keys(value: Mapping[Any, object], place: str, needed: tuple[str, ...], known: tuple[str, ...]) -> _Faults:
    for key in value:
        if key not in known:
            meant = _did_you_mean(key, known)
            yield f"{place}: the key {_shown(key)} is unknown; {meant}allowed are {_words(known, 'and')}"
    for key in needed:
        if key not in value:
            yield f"{place}: the key {_shown(key)} is missing"


def _list(check: _Check, identity: Callable[[Any], object] = lambda item: item, *, at_least_one: str = "") -> _Check:
    """A list; two items of the same identity are a fault, and so is none where one thing is needed."""

    def listed(value: object, place: str) -> _Faults:
        if not isinstance(value, list | tuple):
            yield _unexpected(place, value, "needed is a list")
            return
        if at_least_one and not value:
            yield f"{place}: is empty; at least one {at_least_one} is needed"
        first: dict[str, int] = {}
        for index, item in enumerate(value):
            yield from check(item, f"{place}[{index}]")
        for index, item in enumerate(value):
            name = identity(item)
            if isinstance(name, str) and name and first.setdefault(name, index) != index:
                yield f"{place}[{index}]: {_shown(name)} is listed already, at [{first[name]}]"

    return listed


def _text(rule: rules.Rule) -> _Check:
    def text(value: object, place: str) -> _Faults:
        if not isinstance(value, str):
            yield _unexpected(place, value, "needed is a text in quotes")
        elif (allowed := rule(value)) is not None:
            yield _unexpected(place, value, allowed)

    return text


def _choice(choices: type[StrEnum]) -> _Check:
    known = tuple(choice.value for choice in choices)

    def choice(value: object, place: str) -> _Faults:
        if value not in known:
            yield _unexpected(place, value, f"{_did_you_mean(value, known)}allowed is {_words(known, 'or')}")

    return choice


def _number(least: int, most: int, what: str) -> _Check:
    def number(value: object, place: str) -> _Faults:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            yield _unexpected(place, value, f"allowed are {least} to {most} {what}")

    return number


def _log_retention(value: object, place: str) -> _Faults:
    if not isinstance(value, int) or isinstance(value, bool) or value not in LOG_RETENTION_DAYS:
        *days, last = map(str, LOG_RETENTION_DAYS)
        yield _unexpected(place, value, f"CloudWatch Logs allows {', '.join(days)} or {last}")


def _account(value: object, place: str) -> _Faults:
    if not isinstance(value, str) or not rules.ACCOUNT.fullmatch(value):
        yield _unexpected(place, value, "allowed are the 12 digits of an AWS account, as a text in quotes")


def _emails(value: object, place: str) -> _Faults:
    yield from _list(_text(rules.email), lambda item: item.lower() if isinstance(item, str) else None)(value, place)
    if isinstance(value, list | tuple) and len(value) > _MAX_EMAILS:
        allowed = f"allowed are {_MAX_EMAILS}, because each is a resource of the stack; use a mailing list"
        yield _unexpected(place, value, allowed)


def _secret(value: object, place: str, *, account: str | None) -> _Faults:
    """A wrong text is not shown: it may be the very URL that nobody else may see."""
    if not isinstance(value, str):
        yield _unexpected(place, value, "needed is a text in quotes")
    elif (allowed := rules.secret(value, account)) is not None:
        yield f"{place}: {allowed}; what was found is not repeated here"


# How faults are written.

_SHOWN_CHARACTERS = 80
_SHOWN_BITS = 128


def _key(place: str, key: str) -> str:
    if re.fullmatch("[A-Za-z0-9_-]+", key):
        return f"{place}.{key}" if place else key
    return f"{place}[{_shown(key)}]"


def _unexpected(place: str, found: object, allowed: str) -> str:
    return f"{place or 'the configuration'}: found {_shown(found)}; {allowed}"


def _shown(value: object) -> str:
    """A found value in JSON's spelling, cut to a readable length, in ASCII whatever it holds."""
    match value:
        case Mapping():
            return "an object"
        case list() | tuple():
            return f"a list of {len(value)}"
        case int() if value.bit_length() > _SHOWN_BITS:
            return "a huge number"
        case str() if len(value) > _SHOWN_CHARACTERS:
            return f"{json.dumps(value[:_SHOWN_CHARACTERS])}... ({len(value)} characters)"
        case None | str() | bool() | int() | float():
            return json.dumps(value)
        case _:
            return f"a {type(value).__name__}"


def _did_you_mean(found: object, known: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(found[:_SHOWN_CHARACTERS], known, n=1) if isinstance(found, str) else []
    return f"did you mean {_shown(close[0])}? " if close else ""


def _words(words: tuple[str, ...], joint: str) -> str:
    quoted = [json.dumps(word) for word in words]
    return f" {joint} ".join(filter(None, (", ".join(quoted[:-1]), quoted[-1])))
