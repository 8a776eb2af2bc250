"""Edits add, and leave what is not ours as it was."""

from __future__ import annotations

from remediator.core.policy.document import read_mapping, same_policy
from remediator.core.policy.edit import append_statement, replace_own_statements, replaced_statement
from tests.unit.policy.documents import allow, document, trust, upserted

OURS = (allow(Sid="Ours1", Action="s3:GetObject"), allow(Sid="Ours2", Action="s3:ListBucket"))


def test_a_new_document_is_of_the_present_version() -> None:
    assert upserted(None, OURS).raw == {"Version": "2012-10-17", "Statement": list(OURS)}


def test_statements_of_ours_are_replaced_in_their_place_and_the_others_stay() -> None:
    foreign, another = trust(Sid="Foreign"), {**trust(), "Condition": {}}
    before = document(foreign, allow(Sid="Ours2"), another)
    after = upserted(before, OURS)
    assert after.raw["Statement"] == [foreign, OURS[1], another, OURS[0]]
    assert upserted(after, OURS).raw == after.raw


def test_a_second_statement_with_our_sid_goes() -> None:
    after = upserted(document(allow(Sid="Ours1"), trust(), allow(Sid="Ours1")), OURS[:1])
    assert after.raw["Statement"] == [OURS[0], trust()]


def test_version_and_id_are_kept_with_their_order() -> None:
    before = read_mapping({"Statement": [], "Id": "policy", "Version": "2008-10-17"})
    after = upserted(before, OURS)
    assert list(after.raw.items())[1:] == [("Id", "policy"), ("Version", "2008-10-17")]
    assert after.version == "2008-10-17"


def test_a_single_statement_stays_an_object_while_it_is_alone() -> None:
    mine = read_mapping({"Version": "2012-10-17", "Statement": allow(Sid="Ours1")})
    assert upserted(mine, OURS[:1]).raw["Statement"] == OURS[0]
    foreign = read_mapping({"Version": "2012-10-17", "Statement": trust()})
    assert append_statement(foreign, OURS[0]).raw["Statement"] == [trust(), OURS[0]]
    assert foreign.raw["Statement"] == trust()


def test_an_appended_statement_takes_a_free_sid() -> None:
    before = document(trust(Sid="Ours1"), trust(Sid="Ours12"))
    after = append_statement(before, OURS[0])
    assert [each.sid for each in after.statements] == ["Ours1", "Ours12", "Ours13"]


def test_replacing_a_statement_by_itself_changes_nothing() -> None:
    before = document(trust(), allow())
    assert replaced_statement(before, 1, allow()) is before
    assert replaced_statement(before, 1, OURS[0]).raw["Statement"] == [trust(), OURS[0]]


def test_a_document_with_faults_is_never_edited() -> None:
    faulty = document(trust(Effect="allow"))
    assert upserted(faulty, OURS) is faulty
    assert append_statement(faulty, OURS[0]) is faulty
    assert replace_own_statements(faulty, frozenset({"Ours1"}), OURS) is faulty


def test_the_edited_document_is_parsed_anew() -> None:
    after = append_statement(document(trust()), OURS[0])
    assert same_policy(after, document(trust(), OURS[0]))
    assert [each.effect for each in after.statements] == ["Allow", "Allow"]
    assert after.statements[1].position == 2
