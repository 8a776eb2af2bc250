"""What is ours in a role, a bucket and an instance profile, and what is left of each document without it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from remediator import __version__
from remediator.core.history.change import ChangeKind, ChangeState, intended, split_change_id
from remediator.core.model.instance_profile import InstanceProfile
from remediator.core.model.own_names import OWN_POLICY_NAME, TRUST_SID
from remediator.core.model.role import InlinePolicy
from remediator.core.model.scan import ScannedRole
from remediator.core.model.write import DocumentId, DocumentKind
from remediator.core.policy.document import PolicyDocument
from remediator.core.policy.reading import Absent, Present, Reading, Unreadable
from remediator.core.repair.removal import (
    Removal,
    removals_from_bucket,
    removals_from_role,
    removals_of_profile,
)
from remediator.core.repair.trust import ec2_trust_statement
from remediator.core.repair.write_blockers import Retained
from remediator.settings import BucketSettings, Cloud, Settings
from tests.examples import a_cause
from tests.unit.history.changes import NOW, a_change
from tests.unit.policy.documents import (
    ACCOUNT,
    BUCKET,
    ROLE_ARN,
    ROLE_ID,
    allow,
    deny,
    document,
    our_bucket_policy,
    our_bucket_statement,
    our_policy,
    role,
    trust,
)
from tests.writes import profile_write

CLOUDS = ("production",)
SETTINGS = Settings(clouds=(Cloud("production", (BucketSettings(BUCKET, "us-west-2"),), ()),))
LAMBDA = trust(Principal={"Service": "lambda.amazonaws.com"})
OUR_TRUST = ec2_trust_statement("aws")
OTHER_ROLE_ARN = f"{ROLE_ARN}-2"
FOREIGN = allow(Sid="Theirs", Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/alice"}, Action="s3:GetObject")
DELETED = "AROAOLDOLDOLDOLDOLD01"
IN_BUCKET = DocumentId(DocumentKind.BUCKET_POLICY, BUCKET, account=ACCOUNT, region="us-west-2")
INLINE = DocumentId(DocumentKind.INLINE_POLICY, OWN_POLICY_NAME)
TRUST = DocumentId(DocumentKind.TRUST_POLICY)


def scanned(
    *trusting: Any,
    own: Reading[PolicyDocument] | None = None,
    reading: Reading[PolicyDocument] | None = None,
    arn: str = ROLE_ARN,
) -> ScannedRole:
    """A role with these trust statements (or this reading of its trust policy), and somebody's policy beside ours."""
    found = role(*trusting, arn=arn)
    theirs = InlinePolicy("theirs", Present(our_policy(Absent(), "theirs")))
    inline = (theirs,) if own is None else (theirs, InlinePolicy(OWN_POLICY_NAME, own))
    return ScannedRole(found if reading is None else replace(found, trust=reading), inline, (), ())


def in_role(of: ScannedRole) -> tuple[Removal | Retained, ...]:
    return tuple(removals_from_role(of, CLOUDS))


def in_bucket(policy: Reading[PolicyDocument], *names: str, there: tuple[str, ...] = (ROLE_ARN,)) -> Removal | Retained:
    """The one thing of ours in the policy of the bucket."""
    (found,) = all_in_bucket(policy, *names, there=there)
    return found


def all_in_bucket(
    policy: Reading[PolicyDocument], *names: str, there: tuple[str, ...] = (ROLE_ARN,)
) -> tuple[Removal | Retained, ...]:
    roles = {arn: scanned(arn=arn) for arn in there}
    return tuple(removals_from_bucket(IN_BUCKET, policy, roles, frozenset(names), ACCOUNT, SETTINGS))


def reason(found: tuple[Removal | Retained, ...]) -> tuple[str, str]:
    """What is left, and why: the only thing that was found."""
    (left,) = found
    assert isinstance(left, Retained)
    return left.what, left.why


class TestARole:
    def test_loses_our_inline_policy_and_our_trust_statement_and_nothing_of_others(self) -> None:
        ours = our_policy(Absent(), BUCKET)
        inline, trusting = in_role(scanned(LAMBDA, OUR_TRUST, own=Present(ours)))
        assert isinstance(inline, Removal)
        assert (inline.write.document, inline.write.before, inline.write.after) == (INLINE, ours.raw, None)
        assert isinstance(trusting, Removal)
        assert trusting.write.document == TRUST
        assert trusting.write.before == document(LAMBDA, OUR_TRUST).raw
        assert trusting.write.after == document(LAMBDA).raw
        for taking in (inline, trusting):
            assert (str(taking.role), taking.role_id, taking.clouds) == (ROLE_ARN, ROLE_ID, CLOUDS)

    def test_keeps_what_somebody_put_into_our_inline_policy(self) -> None:
        foreign = allow(Sid="Somebody", Action="ec2:DescribeInstances", Resource="*")
        (taking,) = in_role(scanned(own=Present(our_policy(Present(document(foreign)), BUCKET))))
        assert isinstance(taking, Removal)
        assert taking.write.after == document(foreign).raw
        assert in_role(scanned(own=Present(document(foreign)))) == ()

    @pytest.mark.parametrize(
        ("own", "why"),
        [
            (Present(document(allow(Sid="AnyscaleRemediatorBucket", Effect="allow"))), "It cannot be understood: "),
            (Present(document(deny(Sid="AnyscaleRemediatorBucket"))), "into a Deny, which is never removed"),
            (Unreadable("iam:GetRolePolicy was denied"), "It could not be read: iam:GetRolePolicy was denied"),
        ],
    )
    def test_keeps_our_inline_policy_where_it_is_not_understood_or_no_longer_ours(
        self, own: Reading[PolicyDocument], why: str
    ) -> None:
        what, because = reason(in_role(scanned(LAMBDA, own=own)))
        assert what == "inline policy AnyscaleRemediatorS3Access of cluster"
        assert why in because

    def test_whose_inline_policy_is_gone_by_now_has_nothing_of_ours(self) -> None:
        assert in_role(scanned(LAMBDA, own=Absent())) == ()

    @pytest.mark.parametrize("reading", [Absent(), Unreadable("denied")])
    def test_whose_trust_policy_is_not_seen_loses_our_inline_policy_alone(
        self, reading: Reading[PolicyDocument]
    ) -> None:
        (taking,) = in_role(scanned(reading=reading, own=Present(our_policy(Absent(), BUCKET))))
        assert isinstance(taking, Removal)
        assert taking.write.document == INLINE

    @pytest.mark.parametrize(
        ("trusting", "why"),
        [
            ((LAMBDA, OUR_TRUST, trust(Effect="allow")), "It cannot be understood: "),
            ((LAMBDA, {**OUR_TRUST, "Condition": {"Bool": {"aws:ViaAWSService": "false"}}}), "which owns it now"),
            ((OUR_TRUST,), "a trust policy cannot be empty"),
        ],
    )
    def test_keeps_its_trust_policy_where_our_statement_cannot_go(self, trusting: tuple[Any, ...], why: str) -> None:
        what, because = reason(in_role(scanned(*trusting)))
        assert what == "trust policy of cluster"
        assert why in because

    def test_whose_trust_policy_holds_a_statement_under_a_numbered_sid_loses_that(self) -> None:
        theirs = trust(Sid=TRUST_SID, Principal={"Service": "lambda.amazonaws.com"})
        (taking,) = in_role(scanned(theirs, {**OUR_TRUST, "Sid": f"{TRUST_SID}2"}))
        assert isinstance(taking, Removal)
        assert taking.write.after == document(theirs).raw


class TestABucket:
    def test_loses_our_statement_and_nothing_of_others(self) -> None:
        before = our_bucket_policy(Present(document(FOREIGN)), ROLE_ARN)
        taking = in_bucket(Present(before))
        assert isinstance(taking, Removal)
        assert (taking.write.document, taking.write.before, taking.write.after) == (
            IN_BUCKET,
            before.raw,
            document(FOREIGN).raw,
        )
        assert taking.write.note == f"cluster may lose the bucket {BUCKET}."
        assert (str(taking.role), taking.role_id, taking.clouds) == (ROLE_ARN, ROLE_ID, CLOUDS)

    def test_has_no_policy_any_more_where_nothing_else_is_in_it(self) -> None:
        taking = in_bucket(Present(our_bucket_policy(Absent(), ROLE_ARN)))
        assert isinstance(taking, Removal)
        assert taking.write.after is None

    def test_keeps_the_other_roles_in_our_statement_where_some_are_named(self) -> None:
        before = Present(our_bucket_policy(Absent(), ROLE_ARN, OTHER_ROLE_ARN))
        taking = in_bucket(before, "cluster-2", there=(ROLE_ARN, OTHER_ROLE_ARN))
        assert isinstance(taking, Removal)
        assert taking.write.after == document(our_bucket_statement(ROLE_ARN)).raw
        assert str(taking.role) == OTHER_ROLE_ARN
        assert all_in_bucket(before, "somebody-elses") == ()

    @pytest.mark.parametrize(
        ("statement", "losing"),
        [
            (our_bucket_statement(ROLE_ARN), "cluster may"),
            ({**our_bucket_statement(), "Principal": {"AWS": DELETED}}, "a role that does not exist any more may"),
        ],
    )
    def test_of_which_no_role_is_left_is_recorded_under_none(self, statement: dict[str, Any], losing: str) -> None:
        taking = in_bucket(Present(document(statement)), there=())
        assert isinstance(taking, Removal)
        assert (taking.role, taking.role_id) == (None, None)
        assert taking.write.note.startswith(losing)

    @pytest.mark.parametrize("policy", [Absent(), Present(document(FOREIGN)), Present(document())])
    def test_without_our_statement_has_nothing_of_ours(self, policy: Reading[PolicyDocument]) -> None:
        assert all_in_bucket(policy) == ()

    @pytest.mark.parametrize(
        ("policy", "why"),
        [
            (Unreadable("s3:GetBucketPolicy was denied"), "It could not be read: s3:GetBucketPolicy was denied"),
            (Present(document(our_bucket_statement(), allow(Effect="allow"))), "It cannot be understood: "),
            (Present(document({**our_bucket_statement(), "Effect": "Deny"})), "into a Deny, which is never removed"),
        ],
    )
    def test_keeps_a_policy_that_is_not_understood_or_no_longer_ours(
        self, policy: Reading[PolicyDocument], why: str
    ) -> None:
        what, because = reason(all_in_bucket(policy))
        assert what == f"bucket policy of {BUCKET}"
        assert why in because


class TestAnInstanceProfile:
    MADE = a_change(profile_write("head-node", "/anyscale/", is_new=True), state=ChangeState.COMPLETED)
    ARN = f"arn:aws:iam::{ACCOUNT}:instance-profile/anyscale/head-node"

    def test_that_is_empty_goes(self) -> None:
        (taking,) = removals_of_profile(self.MADE, Present(InstanceProfile(self.ARN, "head-node", ())))
        assert isinstance(taking, Removal)
        assert taking.write.before == {"InstanceProfileName": "head-node", "Path": "/anyscale/", "Roles": []}
        assert taking.write.after is None
        assert (str(taking.role), taking.role_id) == (self.MADE.role_arn, self.MADE.role_id)

    def test_that_holds_a_role_stays_with_the_commands_that_remove_it(self) -> None:
        (left,) = removals_of_profile(self.MADE, Present(InstanceProfile(self.ARN, "head-node", ("theirs",))))
        assert isinstance(left, Retained)
        assert left.what == "instance profile head-node"
        assert "--instance-profile-name head-node --role-name theirs" in left.why

    def test_that_could_not_be_read_stays(self) -> None:
        (left,) = removals_of_profile(self.MADE, Unreadable("denied"))
        assert left == Retained("instance profile head-node", "It could not be read: denied")

    def test_that_is_gone_is_no_matter(self) -> None:
        assert not tuple(removals_of_profile(self.MADE, Absent()))


class TestTheRecord:
    AT = NOW.astimezone(timezone(timedelta(hours=5)))

    def test_stands_under_the_role_and_is_an_undo_that_names_who_takes_it_back(self) -> None:
        taking = in_bucket(Present(our_bucket_policy(Absent(), ROLE_ARN)))
        assert isinstance(taking, Removal)
        cause = a_cause("RemoveGrants")
        change = intended(taking.write, taking.occasion(ACCOUNT, cause), ChangeKind.UNDO, self.AT, 0)
        assert split_change_id(change.change_id)[0] == "cluster"
        assert (change.role_name, change.role_arn, change.role_id) == ("cluster", ROLE_ARN, ROLE_ID)
        assert (change.kind, change.state, change.causes) == (ChangeKind.UNDO, ChangeState.INTENDED, (cause,))
        assert (change.document, change.before, change.after) == (IN_BUCKET, taking.write.before, None)
        assert (change.account, change.cloud, change.code_version) == (ACCOUNT, "production", __version__)
        assert change.intended_at == datetime(2026, 3, 4, 10, 0, 20, tzinfo=UTC)
        assert change.intended_at.tzinfo is UTC

    def test_has_no_role_where_none_is_left(self) -> None:
        taking = in_bucket(Present(our_bucket_policy(Absent(), ROLE_ARN)), there=())
        assert isinstance(taking, Removal)
        nameless = replace(taking, clouds=())
        change = intended(nameless.write, nameless.occasion(ACCOUNT, a_cause()), ChangeKind.UNDO, NOW, 0)
        assert (change.role_name, change.role_arn, change.role_id, change.cloud) == ("", "", "", None)
        assert change.change_id.startswith("/20260304T100020")

    def test_of_two_removals_of_one_moment_has_two_ids(self) -> None:
        taking = in_bucket(Present(our_bucket_policy(Absent(), ROLE_ARN)))
        assert isinstance(taking, Removal)
        ids = {
            intended(taking.write, taking.occasion(ACCOUNT, a_cause()), ChangeKind.UNDO, NOW, number).change_id
            for number in range(3)
        }
        assert len(ids) == 3
