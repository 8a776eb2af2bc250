"""Edits of a policy document that add, and leave everything that is not the remediator's as it was.

A document with faults is never edited: it comes back as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from remediator.core.policy.document import NEW_VERSION, PolicyDocument, read_mapping


def replace_own_statements(
    document: PolicyDocument | None, own_sids: frozenset[str], statements: Iterable[Mapping[str, object]]
) -> PolicyDocument | None:
    """Make ``statements`` the only ones under the remediator's Sids, in a document or in a new one where there is none.

    A statement of the document that has one of the remediator's Sids is replaced in its place (a second one with
    the same Sid goes, as do those no longer wanted); those of the remediator that are not there yet come at the end.
    Doing it twice changes nothing the second time. None where no statement would be left, because no policy can be
    empty.
    """
    waiting = {each["Sid"]: dict(each) for each in statements}
    if document is None:
        return read_mapping({"Version": NEW_VERSION, "Statement": list(waiting.values())}) if waiting else None
    if document.faults:
        return document
    after: list[object] = []
    for each in raw_statements(document):
        if each.get("Sid") not in own_sids:
            after.append(each)
        elif each["Sid"] in waiting:
            after.append(waiting.pop(each["Sid"]))
    after += waiting.values()
    return _with_statements(document, after) if after else None


def append_statement(document: PolicyDocument, statement: Mapping[str, object]) -> PolicyDocument:
    """The document with one more statement at its end.

    Where another statement has the wanted Sid, a number is added to it, from 2 upwards: Sids are unique.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html
    """
    if document.faults:
        return document
    before = raw_statements(document)
    taken = {each.get("Sid") for each in before}
    wanted = str(statement["Sid"])
    sid, number = wanted, 1
    while sid in taken:
        number += 1
        sid = f"{wanted}{number}"
    return _with_statements(document, [*before, {**statement, "Sid": sid}])


def replaced_statement(document: PolicyDocument, index: int, statement: Mapping[str, object]) -> PolicyDocument:
    """The document with the statement at ``index`` (from 0) replaced; itself where that changes nothing."""
    statements = list(raw_statements(document))
    if statements[index] == statement:
        return document
    statements[index] = statement
    return _with_statements(document, statements)


def raw_statements(document: PolicyDocument) -> tuple[Mapping[str, object], ...]:
    """The statements as AWS returned them, whether they are one object or a list of objects."""
    listed = document.raw.get("Statement")
    if isinstance(listed, Mapping):
        return (listed,)
    return tuple([each for each in listed if isinstance(each, Mapping)]) if isinstance(listed, (list, tuple)) else ()


def _with_statements(document: PolicyDocument, statements: Iterable[object]) -> PolicyDocument:
    listed = list(statements)
    single = isinstance(document.raw.get("Statement"), Mapping) and len(listed) == 1
    return read_mapping({**document.raw, "Statement": listed[0] if single else listed})
