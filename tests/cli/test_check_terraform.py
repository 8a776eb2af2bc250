"""``remediator check-terraform``: what becomes of the enrolled roles, by a plan that was not applied yet."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto.iam.aws_managed_policies import aws_managed_policies_data

from remediator.core.model.own_names import OWN_POLICY_NAME
from remediator.core.policy.reading import Present
from remediator.core.repair.bucket_policy import bucket_policy_statement
from remediator.errors import RemediatorError
from remediator.settings_check import parse_settings
from remediator_cli.checks.change import check_change
from remediator_cli.checks.output_formats import CheckFormat, checks_table, github_annotations, json_lines, sarif_log
from remediator_cli.checks.state import Language, granting
from remediator_cli.checks.verdicts import RoleCheck, Verdict
from remediator_cli.commands import check_terraform as command
from remediator_cli.iac.aws_managed import aws_managed, published
from remediator_cli.iac.terraform_plan import read_plan
from remediator_cli.terminal.exits import ExitCode
from remediator_cli.terminal.output import print_text
from tests.cli.plans import (
    ACCOUNT,
    BUCKET,
    EC2,
    GRANT,
    LAMBDA,
    ROLE,
    ROLE_ARN,
    ROLE_NAME,
    TAGS,
    Json,
    bucket_access,
    configuration,
    grant_values,
    new_role_values,
    plan,
    resource,
    role_values,
    text,
    usable,
    written,
)
from tests.cli.terminal import Remediator
from tests.properties.test_settings_properties import any_json

DENY = {"Sid": "NoWrites", "Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
PROFILE = "aws_iam_instance_profile.head_node"
ATTACHED = "aws_iam_role_policy_attachment.data"
MANAGED = "aws_iam_policy.data"
MANAGED_ARN = f"arn:aws:iam::{ACCOUNT}:policy/data"
BUCKET_POLICY = "aws_s3_bucket_policy.data"
ALLOWS = text(bucket_access())


def checked(value: object, **cloud: Any) -> tuple[RoleCheck, ...]:
    """The verdicts on a plan, in the example configuration with some changes to its cloud."""
    known = parse_settings(configuration(**cloud))
    change = read_plan(value, "plan.json", partition="aws", account=known.account)
    return check_change(change, known, account=None, language=Language.TERRAFORM)


def only(value: object, **cloud: Any) -> RoleCheck:
    (check,) = checked(value, **cloud)
    return check


def codes(check: RoleCheck) -> dict[str, str]:
    return {each.code: each.verdict.value for each in check.said}


def blamed(check: RoleCheck) -> dict[str, str]:
    """The address that each thing that is said is reported at."""
    return {each.code: each.place.address for each in check.said}


def kept(values: Json, address: str = ROLE) -> Json:
    return resource(address, values, values)


def references(expressions: dict[str, dict[str, list[str]]], **members: Any) -> Json:
    """A configuration in which attributes of resources refer to others: by address, by attribute."""
    listed = []
    for address, attributes in expressions.items():
        kind, _, name = address.partition(".")
        shown = {attribute: {"references": names} for attribute, names in attributes.items()}
        listed.append({"address": address, "mode": "managed", "type": kind, "name": name, "expressions": shown})
    return {"configuration": {"root_module": {"resources": listed, **members}}}


# What a plan takes away.


def test_a_plan_that_changes_nothing_is_ok() -> None:
    check = only(usable())
    assert (check.verdict, check.said, check.cloud) == (Verdict.OK, (), "production")


def test_losing_the_trust_of_ec2_is_repaired_and_the_statement_to_add_is_shown() -> None:
    check = only(usable(role=role_values(assume_role_policy=text(LAMBDA))))
    assert codes(check) == {"trust-missing": "repaired-by-us"}
    assert "This apply will be undone by the remediator each time" in check.said[0].text
    assert 'Service = "ec2.amazonaws.com"' in check.fix


def test_in_observe_mode_a_lost_trust_stays_lost() -> None:
    check = only(usable(role=role_values(assume_role_policy=text(LAMBDA))), mode="observe")
    assert codes(check) == {"trust-missing": "breaks"}
    tagged = {**TAGS, "anyscale:remediation": "observe"}
    check = only(usable(role=role_values(assume_role_policy=text(LAMBDA), tags=tagged, tags_all=tagged)))
    assert codes(check) == {"trust-missing": "breaks"}


@pytest.mark.parametrize(
    ("trust", "code"),
    [
        (text(EC2, {**EC2, "Effect": "Deny", "Condition": {"Bool": {"aws:ViaAWSService": "false"}}}), "trust-blocked"),
        (text({**EC2, "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}), "trust-conditional"),
    ],
)
def test_what_requires_manual_action_breaks(trust: str, code: str) -> None:
    check = only(usable(role=role_values(assume_role_policy=trust)))
    assert codes(check) == {code: "breaks"}
    assert check.said[0].place.address == ROLE


def test_a_deleted_grant_is_repaired_and_the_policy_is_to_blame() -> None:
    check = only(plan(kept(role_values()), resource(GRANT, grant_values(), None)))
    assert codes(check) == {"grant-missing": "repaired-by-us"}
    assert check.said[0].place.address == GRANT
    assert "aws_iam_role_policy" in check.fix


def test_a_narrower_grant_is_reported_by_the_lost_actions() -> None:
    check = only(usable(grant=grant_values(bucket_access("s3:GetObject", "s3:ListBucket"))))
    assert codes(check) == {"grant-missing": "repaired-by-us"}
    assert check.said[0].actions == ("s3:DeleteObject", "s3:PutObject")


def test_a_role_that_could_do_too_little_and_may_do_less_loses_something() -> None:
    was, now = (
        grant_values(bucket_access("s3:GetObject", "s3:ListBucket")),
        grant_values(bucket_access("s3:ListBucket")),
    )
    check = only(plan(kept(role_values()), resource(GRANT, was, now)))
    assert codes(check) == {"grant-missing": "repaired-by-us"}
    check = only(plan(kept(role_values()), resource(GRANT, now, was)))
    assert codes(check) == {"grant-missing": "undecided"}


def test_a_deny_that_goes_together_with_the_grant_leaves_the_role_as_unusable_as_it_was() -> None:
    was, now = grant_values(bucket_access(), DENY), grant_values(bucket_access("s3:ListBucket"))
    check = only(plan(kept(role_values()), resource(GRANT, was, now)))
    assert codes(check) == {"grant-missing": "undecided"}


def test_the_remediators_policy_in_other_code_is_restored_each_time() -> None:
    own = granting(parse_settings(configuration()).clouds[0])
    assert own is not None
    was = {"name": OWN_POLICY_NAME, "role": ROLE_NAME, "policy": json.dumps(own.raw)}
    statements: Any = json.loads(was["policy"])["Statement"]
    statements[0]["Action"].append("s3:GetBucketTagging")
    check = only(plan(kept(role_values()), resource(GRANT, was, {**was, "policy": text(*statements)})))
    assert codes(check) == {"grant-altered": "repaired-by-us"}
    assert "leave the remediator's own policy out of your code" in check.said[0].text
    assert check.fix == ""


def test_a_new_deny_breaks_and_its_policy_is_to_blame() -> None:
    check = only(usable(grant=grant_values(bucket_access(), DENY)))
    assert codes(check) == {"grant-blocked": "breaks"}
    assert check.said[0].place.address == GRANT
    assert "NoWrites" in check.said[0].because[0]


def test_a_grant_that_moves_to_a_managed_policy_takes_nothing_away() -> None:
    moved = plan(
        kept(role_values()),
        resource(GRANT, grant_values(), None),
        resource(MANAGED, None, {"name": "data", "path": "/", "policy": text(bucket_access())}, unknown={"arn": True}),
        resource(ATTACHED, None, {"role": ROLE_NAME}, unknown={"policy_arn": True}),
        **references({ATTACHED: {"policy_arn": ["aws_iam_policy.data.arn", "aws_iam_policy.data"]}}),
    )
    assert only(moved).verdict is Verdict.OK


def test_a_managed_policy_that_grants_less_is_to_blame() -> None:
    policy = {"name": "data", "path": "/", "arn": MANAGED_ARN, "policy": text(bucket_access())}
    attachment = {"role": ROLE_NAME, "policy_arn": MANAGED_ARN}
    check = only(
        plan(
            kept(role_values(managed_policy_arns=[MANAGED_ARN])),
            kept(attachment, ATTACHED),
            resource(MANAGED, policy, {**policy, "policy": text(bucket_access("s3:ListBucket"))}),
        )
    )
    assert codes(check) == {"grant-missing": "repaired-by-us"}
    assert blamed(check) == {"grant-missing": MANAGED}


def test_a_managed_policy_that_denies_is_to_blame_unless_it_is_newly_attached() -> None:
    policy = {"name": "data", "path": "/", "arn": MANAGED_ARN, "policy": text(bucket_access())}
    denying = {**policy, "policy": text(bucket_access(), DENY)}
    attachment = {"role": ROLE_NAME, "policy_arn": MANAGED_ARN}
    roles = (kept(role_values()), kept(grant_values(), GRANT))
    changed = plan(*roles, kept(attachment, ATTACHED), resource(MANAGED, policy, denying))
    assert blamed(only(changed)) == {"grant-blocked": MANAGED}
    attached = plan(*roles, resource(ATTACHED, None, attachment), kept(denying, MANAGED))
    assert blamed(only(attached)) == {"grant-blocked": ATTACHED}
    mighty = {**policy, "policy": text({"Effect": "Allow", "Action": "*", "Resource": "*"})}
    changed = plan(*roles, kept(attachment, ATTACHED), resource(MANAGED, policy, mighty))
    assert blamed(only(changed)) == {"refused-powerful": MANAGED}


def test_a_detached_policy_is_lost_though_the_provider_still_reads_it_from_the_role() -> None:
    policy = {"name": "data", "path": "/", "arn": MANAGED_ARN, "policy": text(bucket_access())}
    role = role_values(managed_policy_arns=[MANAGED_ARN])
    attachment = {"role": ROLE_NAME, "policy_arn": MANAGED_ARN}
    detached = plan(kept(role), kept(policy, MANAGED), resource(ATTACHED, attachment, None))
    assert codes(only(detached)) == {"grant-missing": "repaired-by-us"}
    group = {"roles": [ROLE_NAME], "policy_arn": MANAGED_ARN, "name": "x"}
    detached = plan(kept(role), kept(policy, MANAGED), resource("aws_iam_policy_attachment.x", group, None))
    assert codes(only(detached)) == {"grant-missing": "repaired-by-us"}


def test_a_grant_that_others_gave_counts_and_stays() -> None:
    role = role_values(inline_policy=[{"name": "by-hand", "policy": text(bucket_access())}])
    assert only(plan(kept(role))).verdict is Verdict.OK
    assert only(plan(kept(role), resource(GRANT, grant_values(), None))).verdict is Verdict.OK


def test_inline_policies_that_the_role_itself_manages_are_all_that_it_has() -> None:
    own = {"name": OWN_POLICY_NAME, "policy": text(bucket_access())}
    role = role_values(inline_policy=[own])
    check = only(plan(resource(ROLE, role, {**role, "inline_policy": []})))
    assert codes(check) == {"grant-missing": "repaired-by-us"}
    managing = references({ROLE: {"inline_policy": []}})
    check = only(plan(resource(ROLE, role, role), **managing))
    assert check.verdict is Verdict.OK


def test_a_list_that_excludes_the_remediators_policy_is_repaired_each_time() -> None:
    was = {"role_name": ROLE_NAME, "policy_names": [OWN_POLICY_NAME]}
    exclusive = resource("aws_iam_role_policies_exclusive.x", was, {**was, "policy_names": []})
    check = only(plan(kept(role_values()), exclusive))
    assert codes(check) == {"grant-missing": "repaired-by-us"}
    listed = role_values(inline_policy=[{"name": OWN_POLICY_NAME, "policy": text(bucket_access())}])
    check = only(plan(kept(listed), resource("aws_iam_role_policies_exclusive.x", was, {**was, "policy_names": []})))
    assert codes(check) == {"grant-missing": "repaired-by-us"}


def test_a_list_of_attachments_that_excludes_the_grant_takes_it_away() -> None:
    policy = {"name": "data", "path": "/", "arn": MANAGED_ARN, "policy": text(bucket_access())}
    role = role_values(managed_policy_arns=[MANAGED_ARN])
    empty = {"role_name": ROLE_NAME, "policy_arns": []}
    exclusive = resource("aws_iam_role_policy_attachments_exclusive.x", None, empty)
    assert codes(only(plan(kept(role), kept(policy, MANAGED), exclusive))) == {"grant-missing": "repaired-by-us"}


@pytest.mark.parametrize(
    ("kind", "attribute", "listed"),
    [
        ("aws_iam_role_policies_exclusive", "policy_names", {"inline_policy": [{"name": "x", "policy": ALLOWS}]}),
        ("aws_iam_role_policy_attachments_exclusive", "policy_arns", {"managed_policy_arns": [MANAGED_ARN]}),
    ],
)
def test_a_list_that_is_partly_unknown_may_keep_what_it_does_not_name(kind: str, attribute: str, listed: Json) -> None:
    policy = {"name": "data", "path": "/", "arn": MANAGED_ARN, "policy": text(bucket_access())}
    state = (kept(role_values(**listed)), kept(policy, MANAGED))
    after = {"role_name": ROLE_NAME, attribute: ["arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore", None]}
    partly = resource(f"{kind}.x", None, after, unknown={attribute: [False, True]})
    assert only(plan(*state, partly)).verdict is Verdict.UNDECIDED
    wholly = resource(f"{kind}.x", None, {"role_name": ROLE_NAME}, unknown={attribute: True})
    assert only(plan(*state, wholly)).verdict is Verdict.UNDECIDED
    known_after_all = resource(f"{kind}.x", None, after, unknown={attribute: [False, False]})
    assert only(plan(*state, known_after_all)).verdict is Verdict.REPAIRED_BY_US


def test_managed_policy_arns_that_are_partly_unknown_keep_the_verdict_open() -> None:
    policy = {"name": "data", "path": "/", "arn": MANAGED_ARN, "policy": text(bucket_access())}
    was = role_values(managed_policy_arns=[MANAGED_ARN])
    linked = references({ROLE: {"managed_policy_arns": []}})
    for unknown, verdict in (([False], Verdict.OK), ([False, True], Verdict.UNDECIDED)):
        change = resource(ROLE, was, was, unknown={"managed_policy_arns": unknown})
        assert only(plan(kept(policy, MANAGED), change, **linked)).verdict is verdict


def test_a_policy_attached_to_an_unknown_role_keeps_the_verdict_open() -> None:
    policy = {"name": "data", "path": "/", "arn": MANAGED_ARN, "policy": text(bucket_access(), DENY)}
    group = {"name": "x", "policy_arn": MANAGED_ARN, "roles": [None]}
    change = resource("aws_iam_policy_attachment.x", None, group, unknown={"roles": [True]})
    check = only(plan(kept(role_values()), kept(grant_values(), GRANT), kept(policy, MANAGED), change))
    assert check.verdict is Verdict.UNDECIDED
    assert "aws_iam_policy_attachment.x" in str(check.said)


def test_managed_policy_arns_of_the_role_are_all_that_it_has() -> None:
    policy = {"name": "data", "path": "/", "arn": MANAGED_ARN, "policy": text(bucket_access())}
    role = role_values(managed_policy_arns=[MANAGED_ARN])
    check = only(plan(kept(policy, MANAGED), resource(ROLE, role, {**role, "managed_policy_arns": []})))
    assert codes(check) == {"grant-missing": "repaired-by-us"}


def test_a_role_that_is_replaced_loses_what_others_gave_it() -> None:
    role = role_values(inline_policy=[{"name": "by-hand", "policy": text(bucket_access())}])
    new, unknown = new_role_values(path="/anyscale/production/new/")
    replaced = resource(ROLE, role, new, unknown=unknown)
    replaced["change"]["actions"] = ["delete", "create"]
    assert codes(only(plan(replaced))) == {"grant-missing": "repaired-by-us"}
    replaced["change"]["before"] = role_values(managed_policy_arns=["arn:aws:iam::aws:policy/AmazonS3FullAccess"])
    assert codes(only(plan(replaced))) == {"grant-missing": "repaired-by-us"}


def test_a_resource_that_terraform_forgets_stays_as_it_is() -> None:
    forgotten = resource(GRANT, grant_values(), None)
    forgotten["change"]["actions"] = ["forget"]
    assert only(plan(kept(role_values()), forgotten)).verdict is Verdict.OK


def test_losing_the_instance_profile_depends_on_the_setting_of_the_cloud() -> None:
    profile = {"name": ROLE_NAME, "role": ROLE_NAME, "path": "/"}
    lost = plan(kept(role_values()), kept(grant_values(), GRANT), resource(PROFILE, profile, None))
    assert codes(only(lost, instanceProfile="repair")) == {"profile-missing": "repaired-by-us"}
    check = only(lost, instanceProfile="report")
    assert codes(check) == {"profile-missing": "breaks"}
    assert check.said[0].place.address == PROFILE
    assert only(lost, instanceProfile="ignore").verdict is Verdict.OK
    other = {**profile, "role": "other"}
    occupied = plan(kept(role_values()), kept(grant_values(), GRANT), resource(PROFILE, profile, other))
    assert codes(only(occupied, instanceProfile="repair")) == {"profile-occupied": "breaks"}


def test_an_instance_profile_that_the_plan_neither_knows_nor_changes_is_not_spoken_of() -> None:
    assert only(usable(), instanceProfile="report").verdict is Verdict.OK


# The resource to blame.


def test_of_several_policies_that_change_the_one_that_takes_the_grant_away_is_to_blame() -> None:
    logs = {"name": "logs", "role": ROLE_NAME, "policy": text({**bucket_access(), "Action": "logs:*"})}
    state = (resource("aws_iam_role_policy.a", logs, None), resource(GRANT, grant_values(), None))
    assert blamed(only(plan(kept(role_values()), *state))) == {"grant-missing": GRANT}
    by_bucket = bucket_policy({**bucket_access(), "Principal": {"AWS": ROLE_ARN}})
    lost = plan(kept(role_values()), state[0], resource(BUCKET_POLICY, by_bucket, bucket_policy()))
    assert blamed(only(lost)) == {"grant-missing": BUCKET_POLICY}


@pytest.mark.parametrize(
    ("inner", "outer", "address"),
    [("s3:DeleteObject", "s3:PutObject", BUCKET_POLICY), ("s3:PutObject", "s3:DeleteObject", GRANT)],
)
def test_of_several_reasons_the_first_one_that_changed_names_the_resource_to_blame(
    inner: str, outer: str, address: str
) -> None:
    grant = grant_values(bucket_access(), {**DENY, "Action": inner})
    policy = bucket_policy({**FOR_ALL, "Action": outer})
    changed_grant, changed_policy = resource(GRANT, grant_values(), grant), resource(BUCKET_POLICY, None, policy)
    for changes, blame in (
        ((changed_grant, changed_policy), address),
        ((changed_grant, kept(policy, BUCKET_POLICY)), GRANT),
        ((kept(grant, GRANT), changed_policy), BUCKET_POLICY),
    ):
        check = checked(plan(kept(role_values()), *changes))[0]
        assert codes(check) == {"grant-blocked": "breaks"}
        assert blamed(check) == {"grant-blocked": blame}


def test_the_policy_that_makes_an_administrator_is_to_blame() -> None:
    attachment = {"role": ROLE_NAME, "policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    check = only(plan(kept(role_values()), kept(grant_values(), GRANT), resource(ATTACHED, None, attachment)))
    assert blamed(check) == {"refused-powerful": ATTACHED}


def test_a_boundary_is_the_role_s_own_unless_its_policy_changes() -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/limits"
    limits = {"name": "limits", "path": "/", "arn": boundary, "policy": text({**bucket_access(), "Action": "ec2:*"})}
    logs = {"name": "logs", "role": ROLE_NAME, "policy": text({**bucket_access(), "Action": "logs:*"})}
    put = plan(
        resource(ROLE, role_values(), role_values(permissions_boundary=boundary)),
        kept(grant_values(), GRANT),
        resource("aws_iam_role_policy.logs", logs, None),
        kept(limits, "aws_iam_policy.limits"),
    )
    assert blamed(only(put)) == {"grant-blocked": ROLE}
    wider = {**limits, "policy": text({**bucket_access(), "Action": "*"})}
    narrowed = plan(
        kept(role_values(permissions_boundary=boundary)),
        kept(grant_values(), GRANT),
        resource("aws_iam_policy.limits", wider, limits),
    )
    assert blamed(only(narrowed)) == {"grant-blocked": "aws_iam_policy.limits"}


def test_only_an_instance_profile_of_the_role_is_to_blame() -> None:
    others = {"name": "other", "role": "other"}
    mine = {"name": ROLE_NAME, "role": ROLE_NAME}
    state = (kept(role_values()), kept(grant_values(), GRANT), resource("aws_iam_instance_profile.a", others, None))
    check = only(plan(*state, resource(PROFILE, mine, None)), instanceProfile="report")
    assert blamed(check) == {"profile-missing": PROFILE}
    check = only(plan(*state, resource(PROFILE, None, {**mine, "role": "other"})), instanceProfile="report")
    assert blamed(check) == {"profile-occupied": PROFILE}


# Enrollment.


def test_a_role_that_loses_its_tag_is_un_enrolled() -> None:
    check = only(usable(role=role_values(tags={}, tags_all={})))
    assert (check.verdict, check.cloud, [*codes(check)]) == (Verdict.BREAKS, "production", ["un-enrolled"])


def test_a_role_that_never_had_the_tag_is_not_enrolled() -> None:
    check = only(plan(kept(role_values(tags={}, tags_all={}))))
    assert check.verdict is Verdict.NOT_ENROLLED


def test_the_providers_default_tags_enroll_as_well() -> None:
    assert only(plan(kept(role_values(tags={})), kept(grant_values(), GRANT))).verdict is Verdict.OK


def test_setting_a_role_to_off_is_intended() -> None:
    tags = {**TAGS, "anyscale:remediation": "off"}
    assert only(usable(role=role_values(tags=tags, tags_all=tags))).verdict is Verdict.NOT_ENROLLED


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"path": "/elsewhere/"}, "not-allowed"),
        ({"tags": {"anyscale:cluster-role": "x"}, "tags_all": {"anyscale:cluster-role": "x"}}, "unknown-cloud"),
        (
            {"assume_role_policy": text(EC2, {**EC2, "Principal": {"AWS": "arn:aws:iam::999999999999:root"}})},
            "trusts-others",
        ),
    ],
)
def test_a_role_that_would_be_refused_breaks(changes: Json, refusal: str) -> None:
    assert codes(only(usable(role=role_values(**changes)))) == {f"refused-{refusal}": "breaks"}
    assert only(plan(kept(role_values(**changes)))).verdict is Verdict.NOT_ENROLLED


def test_a_role_that_becomes_an_administrator_would_be_refused() -> None:
    attachment = {"role": ROLE_NAME, "policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"}
    check = only(plan(kept(role_values()), kept(grant_values(), GRANT), resource(ATTACHED, None, attachment)))
    assert codes(check) == {"refused-powerful": "breaks"}


def test_the_required_boundary_must_stay() -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/limits"
    limited = role_values(permissions_boundary=boundary)
    lost = plan(resource(ROLE, limited, role_values()), kept(grant_values(), GRANT))
    assert codes(only(lost, requiredBoundary=boundary)) == {"refused-boundary-lacking": "breaks"}
    stays = plan(kept(limited), kept(grant_values(), GRANT))
    assert only(stays, requiredBoundary=boundary).verdict is Verdict.OK
    unknown = resource(ROLE, limited, role_values(), unknown={"permissions_boundary": True})
    check = only(plan(unknown, kept(grant_values(), GRANT)), requiredBoundary=boundary)
    assert (check.verdict, check.cloud) == (Verdict.UNDECIDED, "production")
    assert f"permissions_boundary of {ROLE}" in check.said[0].because[0]


def test_a_boundary_that_does_not_let_the_bucket_through_breaks() -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/limits"
    limits = {"name": "limits", "path": "/", "arn": boundary, "policy": text({**bucket_access(), "Action": "ec2:*"})}
    put = plan(
        resource(ROLE, role_values(), role_values(permissions_boundary=boundary)),
        kept(grant_values(), GRANT),
        kept(limits, "aws_iam_policy.limits"),
    )
    assert codes(only(put)) == {"grant-blocked": "breaks"}
    unknown = plan(
        resource(ROLE, role_values(), role_values(permissions_boundary=boundary)), kept(grant_values(), GRANT)
    )
    assert codes(only(unknown)) == {"grant-undecided": "undecided"}


def test_a_boundary_that_is_created_with_the_role_is_found_by_its_reference() -> None:
    values, unknown = new_role_values()
    del values["permissions_boundary"]
    limits = {"name": "limits", "path": "/", "policy": text({**bucket_access(), "Action": "ec2:*"})}
    new = plan(
        resource(ROLE, None, values, unknown={**unknown, "permissions_boundary": True}),
        kept(grant_values(), GRANT),
        resource("aws_iam_policy.limits", None, limits, unknown={"arn": True}),
        **references({ROLE: {"permissions_boundary": ["aws_iam_policy.limits.arn", "aws_iam_policy.limits"]}}),
    )
    assert codes(only(new)) == {"grant-blocked": "breaks"}
    required = f"arn:aws:iam::{ACCOUNT}:policy/limits"
    assert codes(only(new, requiredBoundary=required)) == {"grant-blocked": "breaks"}


def test_an_unchanged_boundary_of_unknown_content_blocks_nothing() -> None:
    limited = role_values(permissions_boundary=f"arn:aws:iam::{ACCOUNT}:policy/limits")
    assert only(plan(kept(limited), kept(grant_values(), GRANT))).verdict is Verdict.OK
    assert codes(only(plan(kept(limited), resource(GRANT, grant_values(), None)))) == {
        "grant-missing": "repaired-by-us"
    }


def test_the_key_of_the_bucket_counts_as_far_as_the_role_s_policies_decide() -> None:
    key = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    buckets = [{"name": BUCKET, "region": "us-west-2", "key": key}]
    allowed = {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": key}
    lost = usable(grant=grant_values())
    lost["resource_changes"][1]["change"]["before"] = grant_values(bucket_access(), allowed)
    check = only(lost, buckets=buckets)
    assert codes(check) == {"key-missing": "repaired-by-us"}
    assert key in check.fix


@pytest.mark.parametrize("name", ["no such name", "x" * 65])
def test_a_name_that_no_role_can_have_is_undecided(name: str) -> None:
    check = only(plan(kept(role_values(name=name))))
    assert check.said[0].code == "enrollment-undecided"


def test_a_deleted_role_that_was_not_enrolled_is_not_spoken_of() -> None:
    bare = role_values(tags={}, tags_all={})
    assert only(plan(resource(ROLE, bare, None))).verdict is Verdict.NOT_ENROLLED


def test_a_deleted_role_breaks_unless_it_was_set_to_off_first() -> None:
    check = only(plan(resource(ROLE, role_values(), None), resource(GRANT, grant_values(), None)))
    assert (check.cloud, codes(check)) == ("production", {"role-deleted": "breaks"})
    retired = {**TAGS, "anyscale:remediation": "off"}
    check = only(plan(resource(ROLE, role_values(tags=retired, tags_all=retired), None)))
    assert codes(check) == {"role-deleted": "not-enrolled"}


def test_a_role_that_is_replaced_by_one_of_another_name_is_deleted() -> None:
    other, unknown = new_role_values(name="other")
    change = resource(ROLE, role_values(), other, unknown=unknown)
    change["change"]["actions"] = ["delete", "create"]
    renamed, deleted = checked(plan(change))
    assert (renamed.role, renamed.verdict) == ("other", Verdict.UNDECIDED)
    assert (deleted.role, codes(deleted)) == (ROLE_NAME, {"role-deleted": "breaks"})
    assert deleted.place.address == ROLE
    change["change"]["actions"] = ["create", "forget"]
    _, left = checked(plan(change))
    assert (left.role, left.verdict) == (ROLE_NAME, Verdict.OK)
    taken_over = resource("aws_iam_role.again", None, role_values())
    assert "role-deleted" not in str(checked(plan(change, taken_over)))


def test_a_role_whose_code_is_moved_is_the_same_role() -> None:
    moved = plan(
        resource(ROLE, role_values(), None),
        resource("module.nodes.aws_iam_role.this", None, role_values(), module_address="module.nodes"),
        kept(grant_values(), GRANT),
    )
    assert only(moved).verdict is Verdict.OK


# What is not known.


def test_an_attribute_that_is_known_only_after_apply_is_undecided_and_named() -> None:
    was = role_values()
    unknown = {**was}
    del unknown["assume_role_policy"]
    check = only(plan(resource(ROLE, was, unknown, unknown={"assume_role_policy": True}), kept(grant_values(), GRANT)))
    assert codes(check) == {"trust-undecided": "undecided"}
    assert f"assume_role_policy of {ROLE}" in check.said[0].because[0]


def test_an_unknown_trust_hides_nothing_else() -> None:
    was = role_values()
    change = resource(ROLE, was, {**was, "assume_role_policy": None}, unknown={"assume_role_policy": True})
    check = only(plan(change, resource(GRANT, grant_values(), None)))
    assert codes(check) == {"trust-undecided": "undecided", "grant-missing": "repaired-by-us"}
    assert blamed(check) == {"trust-undecided": ROLE, "grant-missing": GRANT}


@pytest.mark.parametrize("attribute", ["tags_all", "path"])
def test_an_unknown_input_of_enrollment_is_undecided(attribute: str) -> None:
    after = role_values(tags={} if attribute == "tags_all" else TAGS)
    del after[attribute]
    check = only(plan(resource(ROLE, role_values(), after, unknown={attribute: True})))
    assert codes(check) == {"enrollment-undecided": "undecided"}
    assert attribute in check.said[0].because[0]


def test_a_tag_s_unknown_value_is_undecided() -> None:
    hidden = {"anyscale:cluster-role": True}
    change = resource(ROLE, role_values(), role_values(tags={}, tags_all={}), unknown={"tags": hidden})
    assert codes(only(plan(change))) == {"enrollment-undecided": "undecided"}


def test_a_policy_that_becomes_unknown_is_undecided() -> None:
    change = resource(GRANT, grant_values(), {"name": "data", "role": ROLE_NAME}, unknown={"policy": True})
    check = only(plan(kept(role_values()), change))
    assert check.verdict is Verdict.UNDECIDED
    assert f"policy of {GRANT}" in str(check.said)


def test_an_inline_policy_of_the_role_s_own_that_becomes_unknown_is_undecided() -> None:
    was = role_values(inline_policy=[{"name": "data", "policy": text(bucket_access())}])
    after = {**was, "inline_policy": [{"name": "data"}]}
    change = resource(ROLE, was, after, unknown={"inline_policy": [{"policy": True}]})
    check = only(plan(change))
    assert check.verdict is Verdict.UNDECIDED
    assert f"inline_policy of {ROLE} is known only after apply" in str(check.said)


def test_an_unchanged_attachment_of_unknown_content_blocks_nothing() -> None:
    attachment = {"role": ROLE_NAME, "policy_arn": f"arn:aws:iam::{ACCOUNT}:policy/elsewhere"}
    same = plan(kept(role_values()), kept(grant_values(), GRANT), kept(attachment, ATTACHED))
    assert only(same).verdict is Verdict.OK
    added = plan(kept(role_values()), kept(grant_values(), GRANT), resource(ATTACHED, None, attachment))
    assert only(added).verdict is Verdict.UNDECIDED


def test_a_policy_of_unknown_content_that_is_detached_may_have_been_the_grant() -> None:
    attachment = {"role": ROLE_NAME, "policy_arn": f"arn:aws:iam::{ACCOUNT}:policy/elsewhere"}
    check = only(plan(kept(role_values()), resource(ATTACHED, attachment, None)))
    assert codes(check) == {"grant-missing": "undecided"}
    assert "Whether this was the case before is undecided" in check.said[0].text


def test_what_was_wrong_before_and_stays_so_is_not_the_plan_s_doing() -> None:
    check = only(plan(kept(role_values())))
    assert codes(check) == {"grant-missing": "undecided"}
    check = only(plan(kept(role_values()), kept(grant_values(bucket_access(), DENY), GRANT)))
    assert codes(check) == {"grant-blocked": "undecided"}


def test_a_new_role_without_a_grant_is_undecided_until_the_bucket_s_policy_is_known() -> None:
    values, unknown = new_role_values()
    new = resource(ROLE, None, values, unknown=unknown)
    assert codes(only(plan(new))) == {"grant-missing": "undecided"}
    policy = {"bucket": BUCKET, "policy": text()}
    assert codes(only(plan(new, kept(policy, BUCKET_POLICY)))) == {"grant-missing": "repaired-by-us"}


def test_a_policy_of_a_role_that_the_plan_does_not_hold_is_undecided() -> None:
    check = only(plan(resource(GRANT, grant_values(role="far-away"), None)))
    assert (check.role, codes(check)) == ("far-away", {"role-not-in-file": "undecided"})
    assert checked(plan(kept(grant_values(role="far-away"), GRANT))) == ()


def test_a_role_from_a_data_source_is_evaluated_as_well() -> None:
    values = role_values()
    prior = {"values": {"root_module": {"resources": [_looked_up("aws_iam_role", "node", values)]}}}
    check = only(plan(resource(GRANT, grant_values(), None), prior_state=prior))
    assert codes(check) == {"grant-missing": "repaired-by-us"}


def _looked_up(kind: str, name: str, values: Json) -> Json:
    address = f"data.{kind}.{name}"
    return {"address": address, "mode": "data", "type": kind, "name": name, "values": values}


def deferred(change: Json, reason: str = "resource_config_unknown") -> Json:
    """The member of a plan that puts a change off to a later apply."""
    return {"deferred_changes": [{"reason": reason, "resource_change": change}]}


@pytest.mark.parametrize("action", ["update", "delete", "create"])
def test_a_role_whose_change_is_deferred_is_undecided_with_the_reason(action: str) -> None:
    was = None if action == "create" else role_values()
    now = None if action == "delete" else role_values(assume_role_policy=text(LAMBDA))
    check = only(plan(kept(grant_values(), GRANT), **deferred(resource(ROLE, was, now))))
    assert (check.role, check.verdict, check.cloud) == (ROLE_NAME, Verdict.UNDECIDED, "production")
    assert check.said[0].code == "trust-undecided"
    assert f"the plan puts the change of {ROLE} off (resource_config_unknown)" in check.said[0].because[0]


def test_a_new_role_that_is_deferred_with_few_values_is_undecided() -> None:
    unknown = {"name": True, "tags": True, "tags_all": True, "assume_role_policy": True}
    check = only(plan(**deferred(resource(f"{ROLE}", None, {}, unknown=unknown), "instance_count_unknown")))
    assert codes(check) == {"enrollment-undecided": "undecided"}
    assert "the plan puts the change" in check.said[0].because[0]


def test_a_role_that_is_not_enrolled_stays_so_where_its_change_is_put_off() -> None:
    bare = role_values(tags={}, tags_all={})
    assert only(plan(**deferred(resource(ROLE, bare, {**bare, "path": "/x/"})))).verdict is Verdict.NOT_ENROLLED


@pytest.mark.parametrize(
    ("address", "before", "code"),
    [
        (GRANT, grant_values(), "refused-power-unknown"),
        (BUCKET_POLICY, {"bucket": BUCKET, "policy": text()}, "grant-undecided"),
        (ATTACHED, {"role": ROLE_NAME, "policy_arn": MANAGED_ARN}, "refused-power-unknown"),
        (PROFILE, {"name": ROLE_NAME, "role": ROLE_NAME}, "profile-undecided"),
        ("aws_s3_bucket.data", {"bucket": BUCKET}, "bucket-absent"),
    ],
)
def test_whatever_of_a_role_s_is_put_off_is_undecided_and_to_blame(address: str, before: Json, code: str) -> None:
    state = [kept(role_values()), *([] if address == GRANT else [kept(grant_values(), GRANT)])]
    check = checked(plan(*state, **deferred(resource(address, before, None))), instanceProfile="report")[0]
    assert codes(check) == {code: "undecided"}
    assert f"the plan puts the change of {address} off" in str(check.said)
    assert blamed(check) == {code: address}


def test_malformed_deferred_changes_are_reported() -> None:
    wrong: tuple[Any, ...] = ({}, [{"reason": "x", "resource_change": {}}])
    for value in wrong:
        with pytest.raises(RemediatorError, match="deferred_changes"):
            checked(plan(deferred_changes=value))


# References.


def test_references_lead_to_the_role_through_variables_and_outputs_of_modules() -> None:
    values, unknown = new_role_values()
    del values["name"], unknown["name_prefix"]
    values["name_prefix"] = "head-"
    role = resource(
        'module.roles["a"].aws_iam_role.this',
        None,
        values,
        unknown={**unknown, "name": True},
        module_address='module.roles["a"]',
    )
    grant = resource(
        "module.grants.aws_iam_role_policy.data",
        None,
        {"name": "data", "policy": text(bucket_access())},
        unknown={"role": True},
        module_address="module.grants",
    )
    root = {
        "module_calls": {
            "roles": {
                "module": {"outputs": {"name": {"expression": {"references": ["aws_iam_role.this.name"]}}}},
            },
            "grants": {
                "expressions": {"role": {"references": ['module.roles["a"].name', 'module.roles["a"]']}},
                "module": {
                    "resources": [
                        {
                            "mode": "managed",
                            "type": "aws_iam_role_policy",
                            "name": "data",
                            "expressions": {"role": {"references": ["var.role"]}},
                        }
                    ]
                },
            },
        }
    }
    check = only(plan(role, grant, configuration={"root_module": root}))
    assert (check.verdict, check.role) == (Verdict.OK, "head-" + "0" * 26)


def test_a_reference_to_one_of_two_roles_leads_to_neither() -> None:
    other, unknown = new_role_values(name="other")
    change = resource(GRANT, None, {"name": "data", "policy": grant_values()["policy"]}, unknown={"role": True})
    both = references({GRANT: {"role": ["aws_iam_role.head_node.id", "aws_iam_role.other.id"]}})
    roles = (kept(role_values()), resource("aws_iam_role.other", None, other, unknown=unknown))
    assert {check.verdict for check in checked(plan(*roles, change, **both))} == {Verdict.UNDECIDED}


@pytest.mark.parametrize("key", ['"a"', "0"])
def test_each_instance_of_a_resource_refers_to_its_own(key: str) -> None:
    def of(name: str, at: str) -> list[Json]:
        values, unknown = new_role_values(name=name)
        lost = {"name": "data", "policy": text(bucket_access() if at == key else bucket_access("s3:ListBucket"))}
        return [
            resource(f"aws_iam_role.node[{at}]", None, values, unknown=unknown),
            resource(f"aws_iam_role_policy.data[{at}]", None, lost, unknown={"role": True}),
        ]

    linked = references({"aws_iam_role_policy.data": {"role": ["aws_iam_role.node", "each.key"]}})
    other = '"b"' if key == '"a"' else "1"
    first, second = checked(plan(*of("one", key), *of("two", other), **linked))
    assert (first.role, first.verdict) == ("one", Verdict.OK)
    assert (second.role, second.verdict) == ("two", Verdict.UNDECIDED)


def test_a_policy_of_a_role_not_known_yet_keeps_the_verdict_open() -> None:
    lost = resource(GRANT, grant_values(), {"name": "data", "policy": grant_values()["policy"]}, unknown={"role": True})
    check = only(plan(kept(role_values()), lost))
    assert codes(check) == {"grant-missing": "undecided"}
    assert f"which role {GRANT} belongs to is not known yet" in check.said[0].because
    harmless = resource(
        "aws_iam_role_policy.logs",
        None,
        {"name": "logs", "policy": text({**bucket_access(), "Action": "logs:*"})},
        unknown={"role": True},
    )
    assert only(plan(kept(role_values()), kept(grant_values(), GRANT), harmless)).verdict is Verdict.OK


# Buckets.


def bucket_policy(*statements: Json) -> Json:
    return {"bucket": BUCKET, "policy": text(*statements)}


FOR_ALL = {**DENY, "Principal": "*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}


def test_a_deny_in_the_bucket_s_policy_breaks_the_roles_of_the_plan_and_all_others() -> None:
    change = resource(BUCKET_POLICY, bucket_policy(), bucket_policy(FOR_ALL))
    checks = checked(plan(kept(role_values()), kept(grant_values(), GRANT), change))
    assert [(check.role, check.verdict) for check in checks] == [
        (ROLE_NAME, Verdict.BREAKS),
        ("every role of cloud production", Verdict.BREAKS),
    ]
    assert {check.said[0].place.address for check in checks} == {BUCKET_POLICY}


def test_a_deny_that_excepts_some_roles_is_undecided_for_those_that_the_plan_does_not_hold() -> None:
    but = {**FOR_ALL, "Condition": {"ArnNotLike": {"aws:PrincipalArn": ROLE_ARN}}}
    (check,) = [
        each
        for each in checked(
            plan(
                kept(role_values()),
                kept(grant_values(), GRANT),
                resource(BUCKET_POLICY, bucket_policy(), bucket_policy(but)),
            )
        )
        if each.verdict is not Verdict.OK
    ]
    assert (check.role, check.verdict) == ("every role of cloud production", Verdict.UNDECIDED)


def test_a_deny_that_keeps_no_cluster_out_is_ok() -> None:
    tls = {**FOR_ALL, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    assert checked(plan(resource(BUCKET_POLICY, bucket_policy(), bucket_policy(tls)))) == ()


def test_a_bucket_policy_without_the_remediators_statement_is_repaired_for_its_roles() -> None:
    own = bucket_policy_statement(BUCKET, (ROLE_ARN,), "aws")
    check = only(plan(resource(BUCKET_POLICY, bucket_policy(own), None)), grant="bucket-policy")
    assert (check.role, codes(check)) == (ROLE_NAME, {"grant-missing": "repaired-by-us"})
    assert check.said[0].place.address == BUCKET_POLICY
    here = plan(kept(role_values()), resource(BUCKET_POLICY, bucket_policy(own), None))
    assert codes(only(here, grant="bucket-policy")) == {"grant-missing": "repaired-by-us"}


def test_a_new_bucket_s_policy_is_found_by_its_reference() -> None:
    change = resource(BUCKET_POLICY, None, {"policy": text(FOR_ALL)}, unknown={"bucket": True})
    bucket = resource("aws_s3_bucket.data", None, {"bucket": BUCKET}, unknown={"id": True})
    linked = references({BUCKET_POLICY: {"bucket": ["aws_s3_bucket.data.id", "aws_s3_bucket.data"]}})
    found = checked(plan(kept(role_values()), kept(grant_values(), GRANT), bucket, change, **linked))
    assert {check.verdict for check in found} == {Verdict.BREAKS}
    (lost,) = checked(plan(kept(role_values()), kept(grant_values(), GRANT), bucket, change))
    assert lost.verdict is Verdict.UNDECIDED


def test_a_bucket_s_policy_that_is_public_counts_with_the_block_of_public_access() -> None:
    theirs = [{"name": BUCKET, "region": "us-west-2", "account": "999999999999"}]
    public = {
        **FOR_ALL,
        "Effect": "Allow",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{BUCKET}{end}" for end in ("", "/*")],
    }
    block = {"bucket": BUCKET, "block_public_policy": False, "restrict_public_buckets": False}
    shut = {**block, "restrict_public_buckets": True}
    state = (kept(role_values()), kept(grant_values(), GRANT), kept(bucket_policy(public), BUCKET_POLICY))
    address = "aws_s3_bucket_public_access_block.data"
    assert only(plan(*state, kept(block, address)), buckets=theirs).verdict is Verdict.OK
    check = only(plan(*state, resource(address, block, shut)), buckets=theirs)
    assert codes(check) == {"grant-blocked": "breaks"}


DATA = "aws_s3_bucket.data"
EVERY = "every role of cloud production"


def bucket_values(**changes: Any) -> Json:
    return {"bucket": BUCKET, "id": BUCKET, "policy": "", **changes}


def with_bucket(before: Json | None, after: Json | None, *actions: str, unknown: Json | None = None) -> Json:
    """A plan for a usable role and for its bucket."""
    change = resource(DATA, before, after, unknown=unknown)
    if actions:
        change["change"]["actions"] = list(actions)
    return plan(kept(role_values()), kept(grant_values(), GRANT), change)


@pytest.mark.parametrize(
    ("after", "actions", "said"),
    [
        (None, (), f"{DATA}, which is the bucket {BUCKET}, would be deleted"),
        (bucket_values(bucket="other"), ("delete", "create"), "would be replaced by the bucket other"),
        (bucket_values(bucket="other"), ("create", "delete"), "would be replaced by the bucket other"),
    ],
)
def test_a_bucket_that_goes_away_breaks_every_role_of_its_cloud(
    after: Json | None, actions: tuple[str, ...], said: str
) -> None:
    value = with_bucket(bucket_values(), after, *actions)
    checks = checked(value)
    assert [(check.role, check.cloud, codes(check)) for check in checks] == [
        (ROLE_NAME, "production", {"bucket-absent": "breaks"}),
        (EVERY, "production", {"bucket-absent": "breaks"}),
    ]
    for check in checks:
        assert blamed(check) == {"bucket-absent": DATA}
        assert said in check.said[0].because[0]
        assert check.fix == ""
    alone = plan(*value["resource_changes"][2:])
    assert [(check.role, check.verdict) for check in checked(alone)] == [(EVERY, Verdict.BREAKS)]


def test_a_bucket_deleted_together_with_its_policy_is_reported_once() -> None:
    own = bucket_policy_statement(BUCKET, (ROLE_ARN,), "aws")
    gone = plan(resource(DATA, bucket_values(), None), resource(BUCKET_POLICY, bucket_policy(own), None))
    check = only(gone, grant="bucket-policy")
    assert (check.role, codes(check)) == (EVERY, {"bucket-absent": "breaks"})


@pytest.mark.parametrize("actions", [("forget",), ("create", "forget")])
def test_a_bucket_that_terraform_forgets_stays(actions: tuple[str, ...]) -> None:
    after = None if actions == ("forget",) else bucket_values(bucket="other")
    assert only(with_bucket(bucket_values(), after, *actions)).verdict is Verdict.OK


def test_a_bucket_that_is_created_or_that_no_cloud_uses_is_not_spoken_of() -> None:
    assert only(with_bucket(None, bucket_values())).verdict is Verdict.OK
    assert only(with_bucket(bucket_values(bucket="other"), None)).verdict is Verdict.OK


def test_a_bucket_that_is_deleted_and_created_again_is_undecided() -> None:
    replaced = with_bucket(bucket_values(), bucket_values(), "delete", "create")
    moved = with_bucket(bucket_values(), None)
    moved["resource_changes"].append(resource("aws_s3_bucket.new", None, bucket_values()))
    for value in (replaced, moved):
        checks = checked(value)
        assert [(check.role, codes(check)) for check in checks] == [
            (ROLE_NAME, {"bucket-absent": "undecided"}),
            (EVERY, {"bucket-absent": "undecided"}),
        ]
        assert "created again" in checks[0].said[0].because[0]


def test_a_bucket_whose_new_name_is_unknown_is_undecided() -> None:
    unnamed = bucket_values()
    del unnamed["bucket"]
    checks = checked(with_bucket(bucket_values(), unnamed, "delete", "create", unknown={"bucket": True}))
    assert [codes(check) for check in checks] == [{"bucket-absent": "undecided"}] * 2
    assert f"bucket of {DATA} is known only after apply" in checks[0].said[0].because[0]


def test_other_effects_on_a_role_whose_bucket_may_go_away_are_reported_too() -> None:
    value = with_bucket(bucket_values(), bucket_values(), "delete", "create")
    value["resource_changes"][1] = resource(GRANT, grant_values(), None)
    assert codes(checked(value)[0]) == {"grant-missing": "repaired-by-us", "bucket-absent": "undecided"}


def test_the_policy_in_the_bucket_itself_counts() -> None:
    value = with_bucket(bucket_values(), bucket_values(policy=text(FOR_ALL)))
    checks = checked(value)
    assert [(check.role, codes(check)) for check in checks] == [
        (ROLE_NAME, {"grant-blocked": "breaks"}),
        (EVERY, {"grant-blocked": "breaks"}),
    ]
    assert {check.said[0].place.address for check in checks} == {DATA}
    assert only(with_bucket(bucket_values(policy=text(FOR_ALL)), bucket_values())).verdict is Verdict.OK
    made_unknown = with_bucket(bucket_values(policy=text()), bucket_values(policy=None), unknown={"policy": True})
    assert codes(only(made_unknown)) == {"grant-undecided": "undecided"}


def test_the_policy_that_the_provider_only_reads_from_the_bucket_gives_way_to_the_resource_of_its_own() -> None:
    denied = bucket_values(policy=text(FOR_ALL))
    roles = (kept(role_values()), kept(grant_values(), GRANT))
    freed = plan(*roles, kept(denied, DATA), resource(BUCKET_POLICY, bucket_policy(FOR_ALL), bucket_policy()))
    assert only(freed).verdict is Verdict.OK
    freed = plan(*roles, kept(denied, DATA), resource(BUCKET_POLICY, bucket_policy(FOR_ALL), None))
    assert only(freed).verdict is Verdict.OK
    granted = text({**bucket_access(), "Principal": {"AWS": ROLE_ARN}})
    overwritten = plan(kept(role_values()), kept(bucket_values(policy=granted), DATA))
    assert only(overwritten).verdict is Verdict.OK
    overwritten["resource_changes"].append(resource(BUCKET_POLICY, None, bucket_policy()))
    assert codes(only(overwritten)) == {"grant-missing": "repaired-by-us"}


def test_a_plan_of_a_thousand_roles_takes_seconds() -> None:
    resources = [
        each
        for number in range(1_000)
        for each in (
            kept(role_values(name=f"n{number}"), f"aws_iam_role.n[{number}]"),
            kept(grant_values(role=f"n{number}"), f"aws_iam_role_policy.n[{number}]"),
            kept({"role": f"n{number}", "policy_arn": MANAGED_ARN}, f"aws_iam_role_policy_attachment.n[{number}]"),
        )
    ]
    started = time.process_time()
    checks = checked(plan(*resources))
    assert {check.verdict for check in checks} == {Verdict.OK}
    assert time.process_time() - started < 30


# The account.


def test_the_account_defaults_to_that_of_the_plan() -> None:
    unnamed = parse_settings({"clouds": configuration()["clouds"]})
    identity = _looked_up("aws_caller_identity", "current", {"account_id": ACCOUNT})
    values, unknown = new_role_values()
    new = plan(resource(ROLE, None, values, unknown=unknown), kept(grant_values(), GRANT))
    prior = {"values": {"root_module": {"child_modules": [{"resources": [identity]}]}}}
    for value in (usable(), {**new, "prior_state": prior}):
        change = read_plan(value, "plan.json", partition="aws")
        assert check_change(change, unnamed, account=None, language=Language.TERRAFORM)[0].verdict is Verdict.OK
    with pytest.raises(RemediatorError, match="--account"):
        check_change(read_plan(new, "plan.json", partition="aws"), unnamed, account=None, language=Language.TERRAFORM)


# The command.


@pytest.fixture
def known(tmp_path: Path) -> str:
    return written(tmp_path, "settings.json", configuration())


def test_the_exit_code_says_whether_something_was_found(known: str, tmp_path: Path, remediator: Remediator) -> None:
    good = written(tmp_path, "good.json", usable())
    bad = written(tmp_path, "bad.json", usable(role=role_values(assume_role_policy=text(LAMBDA))))
    answer = remediator("check-terraform", "--settings", known, good)
    assert (answer.code, answer.err) == (ExitCode.OK, "")
    assert answer.out.startswith("ok ")
    answer = remediator("check-terraform", "--settings", known, good, bad)
    assert answer.code == ExitCode.FOUND
    assert "repaired-by-us" in answer.out
    answer = remediator("check-terraform", "--settings", known, bad, str(tmp_path / "none.json"))
    assert answer.code == ExitCode.BAD_INPUT
    assert "repaired-by-us" in answer.out
    assert answer.err == f"{tmp_path / 'none.json'}: no such file\n"


def test_a_missing_file_is_reported_by_its_name(known: str, tmp_path: Path, remediator: Remediator) -> None:
    missing = str(tmp_path / "no-such-plan.json")
    answer = remediator("check-terraform", "--settings", known, missing)
    assert (answer.code, answer.out) == (ExitCode.BAD_INPUT, "")
    assert answer.err == f"{missing}: no such file\n"
    settings_missing = str(tmp_path / "no-such-cdk.json")
    answer = remediator("check-terraform", "--settings", settings_missing, written(tmp_path, "plan.json", usable()))
    assert (answer.code, answer.out) == (ExitCode.BAD_INPUT, "")
    assert answer.err.startswith(f"{settings_missing}: the file cannot be read: No such file")


def test_in_strict_mode_what_is_undecided_ends_as_what_breaks(
    known: str, tmp_path: Path, remediator: Remediator
) -> None:
    ungranted = written(tmp_path, "ungranted.json", plan(kept(role_values())))
    good = written(tmp_path, "good.json", usable())
    bare = written(tmp_path, "bare.json", plan(kept(role_values(tags={}, tags_all={}))))
    assert remediator("check-terraform", "--settings", known, ungranted).code == ExitCode.OK
    answer = remediator("check-terraform", "--settings", known, "--strict", ungranted)
    assert (answer.code, answer.err) == (ExitCode.FOUND, "")
    assert remediator("check-terraform", "--settings", known, "--strict", "--all", good, bare).code == ExitCode.OK


def test_the_settings_are_those_of_the_working_directory_where_none_are_named(
    tmp_path: Path, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, "plan.json", usable())
    answer = remediator("check-terraform", path)
    assert (answer.code, answer.out) == (ExitCode.ERROR, "")
    assert "there is no cdk.json in the working directory" in answer.err
    assert "--settings" in answer.err
    written(tmp_path, "cdk.json", configuration())
    answer = remediator("check-terraform", path)
    assert (answer.code, answer.err) == (ExitCode.OK, "")
    assert answer.out.startswith("ok ")


def test_roles_that_are_not_enrolled_are_listed_on_request_only(
    known: str, tmp_path: Path, remediator: Remediator
) -> None:
    path = written(tmp_path, "plan.json", plan(kept(role_values(tags={}, tags_all={}))))
    answer = remediator("check-terraform", "--settings", known, path)
    assert answer.code == 0
    assert " ".join(answer.out.split()).startswith("No enrolled role is in ")
    assert remediator("check-terraform", "--settings", known, "--json", path).out == ""
    assert remediator("check-terraform", "--settings", known, "--json", "--all", path).record["verdict"] == (
        "not-enrolled"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04rest", "looks like a binary plan"),
        (b"PK\x03\x04rest", "run: terraform show -json tfplan > plan.json"),
        (b"\xff\x80rest", "looks like a binary plan"),
        (b"tfplan\x02\x00\x00rest", "looks like a binary plan"),
        (b"\x00\x01rest", "run: terraform show -json tfplan > plan.json"),
        (b'{"@level":"info","@message":"x"}\n{"@level":"info"}\n', "is the log of `terraform plan -json`"),
        (b'{"@level":"info","@message":"x"}\n', "is the log of `terraform plan -json`"),
        (b'{"format_version":"1.0","values":{}}', "is a state and not a plan"),
        (b'{"version":4,"serial":1,"lineage":"x"}', "is a state and not a plan"),
        (b'{"format_version":"2.0"}', "'2.0'"),
        (b'{"format_version":"1.2","errored":true}', "is an incomplete plan that failed"),
        (b'{"format_version":"1.2","resource_changes":{}}', "resource_changes is not a list"),
        (b'{"format_version":"1.2","resource_changes":[{}]}', "resource_changes[0] has no address"),
        (b"{}", "has no format_version"),
        (b"[]", "is not a plan but a list"),
        (b"{", "is not JSON"),
        ("{}".encode("utf-16"), "UTF-16"),
        ("\ufeff{}".encode("utf-16-be"), "UTF-16"),
        ("{}".encode("utf-16-le"), "UTF-16"),
        (b'{"a": "\xff"}', "is not UTF-8: byte 8 cannot be read"),
        (b"  ", "is empty"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_plan_is_reported_with_a_remedy(
    content: bytes, said: str, known: str, tmp_path: Path, remediator: Remediator
) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    answer = remediator("check-terraform", "--settings", known, str(path))
    assert (answer.code, answer.out) == (ExitCode.BAD_INPUT, "")
    assert answer.err.startswith(f"{path}: ")
    assert answer.err.count("\n") == 1
    assert said in answer.err


def test_a_directory_and_standard_input_can_be_named(known: str, tmp_path: Path, remediator: Remediator) -> None:
    answer = remediator("check-terraform", "--settings", known, str(tmp_path))
    assert "is a directory" in answer.err
    answer = remediator("check-terraform", "--settings", known, "--json", "-", stdin=json.dumps(usable()).encode())
    assert answer.record["file"] == "<stdin>"


def test_a_wrong_call_says_what_is_wrong(known: str, tmp_path: Path, remediator: Remediator) -> None:
    path = written(tmp_path, "plan.json", usable())
    for arguments, said in (
        (("--settings", known, "--account", "1", path), "12 digits"),
        (("--settings", known, "--json", "--output", "sarif", path), "--json and --output sarif exclude each other"),
    ):
        answer = remediator("check-terraform", *arguments)
        assert (answer.code, answer.out) == (2, "")
        assert said in answer.err


def test_a_fault_of_the_program_is_one_line(
    known: str, tmp_path: Path, remediator: Remediator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(command, "read_plan", fail)
    answer = remediator("check-terraform", "--settings", known, written(tmp_path, "plan.json", usable()))
    assert (answer.code, answer.err) == (1, "error: this is a bug in the program: KeyError: 'x'\n")


# AWS's own policies.


@pytest.mark.parametrize("name", sorted(published()))
def test_the_policies_of_aws_are_what_they_were_published_as(name: str) -> None:
    known = aws_managed(f"arn:aws:iam::aws:policy/{name}", "plan")
    published: Json = json.loads(aws_managed_policies_data)[name]["Document"]
    assert isinstance(known, Present)
    strip = [{key: value for key, value in each.items() if key != "Sid"} for each in published["Statement"]]
    mine: Any = json.loads(json.dumps(known.value.raw))["Statement"]
    for each in mine:
        each.pop("Sid", None)
    for each in (*strip, *mine):
        each["Action"] = [each["Action"]] if isinstance(each["Action"], str) else each["Action"]
    assert mine == strip


# Properties.

PLACES: list[Callable[[Json], Json]] = [
    lambda value: value,
    lambda value: value["resource_changes"][0],
    lambda value: value["resource_changes"][0]["change"],
    lambda value: value["resource_changes"][0]["change"]["after"],
    lambda value: value["resource_changes"][1]["change"]["after"],
    lambda value: value["resource_changes"][2]["change"]["after"],
    lambda value: value["resource_changes"][4]["change"],
    lambda value: value["resource_changes"][4]["change"]["before"],
    lambda value: value["resource_changes"][4]["change"]["after"],
    lambda value: value["deferred_changes"][0],
    lambda value: value["deferred_changes"][0]["resource_change"]["change"],
    lambda value: value["configuration"]["root_module"],
    lambda value: value["configuration"]["root_module"]["resources"][0],
]


def _rich() -> Json:
    profile = {"name": ROLE_NAME, "role": ROLE_NAME}
    return plan(
        resource(ROLE, role_values(), {**role_values(), "description": "x"}),
        resource(GRANT, grant_values(), {**grant_values(), "x": 1}),
        resource(BUCKET_POLICY, bucket_policy(), bucket_policy(FOR_ALL)),
        resource(PROFILE, profile, profile),
        resource(DATA, bucket_values(), bucket_values(policy=text())),
        **deferred(resource("aws_iam_role.other", None, role_values(name="other"))),
        **references({GRANT: {"role": ["aws_iam_role.head_node.id", "aws_iam_role.head_node"]}}),
    )


@settings(max_examples=300)
@given(st.integers(0, len(PLACES) - 1), st.data(), any_json)
def test_every_plan_gets_a_verdict_or_a_clear_error(place: int, data: st.DataObject, value: object) -> None:
    broken = _rich()
    target = PLACES[place](broken)
    target[data.draw(st.sampled_from(sorted(target)))] = value
    _has_an_answer(broken)


@given(any_json)
def test_whatever_json_is_given_there_is_a_verdict_or_a_clear_error(value: object) -> None:
    _has_an_answer(value)
    _has_an_answer(plan() | {"resource_changes": value})
    _has_an_answer(plan() | {"deferred_changes": value})
    _has_an_answer(plan() | {"configuration": value, "prior_state": value})


def _has_an_answer(value: object) -> None:
    try:
        checks = checked(value, instanceProfile="report")
    except RemediatorError as error:
        assert str(error)
        return
    assert json_lines(checks).count("\n") == len(checks)
    json.loads(sarif_log(checks))
    assert all(line.startswith("::") for line in github_annotations(checks).splitlines())
    print_text(checks_table(checks, ["plan.json"]))


@given(st.sampled_from(["assume_role_policy", "path", "name", "tags", "tags_all", "permissions_boundary"]))
def test_what_is_only_unknown_is_never_said_to_break(attribute: str) -> None:
    was = role_values()
    after = {key: value for key, value in was.items() if key != attribute}
    checks = checked(plan(resource(ROLE, was, after, unknown={attribute: True}), kept(grant_values(), GRANT)))
    assert {check.verdict for check in checks} <= {Verdict.OK, Verdict.UNDECIDED}


@given(st.sampled_from(["bucket", "policy"]), st.booleans())
def test_what_is_only_unknown_of_a_bucket_is_never_said_to_break(attribute: str, is_replaced: bool) -> None:
    was = bucket_values(policy=text())
    after = {key: value for key, value in was.items() if key != attribute}
    actions = ("delete", "create") if is_replaced else ("update",)
    checks = checked(with_bucket(was, after, *actions, unknown={attribute: True}))
    assert {check.verdict for check in checks} <= {Verdict.OK, Verdict.UNDECIDED}


def test_the_forms_are_those_of_the_command(known: str, tmp_path: Path, remediator: Remediator) -> None:
    path = written(tmp_path, "plan.json", usable())
    for form in CheckFormat:
        assert remediator("check-terraform", "--settings", known, "--output", form.value, path).code == 0
