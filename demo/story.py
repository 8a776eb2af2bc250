"""The demo: users break roles on an embedded AWS, and the deployed remediator repairs them.

``python -m demo.story`` exits with 0 if every step succeeds, else with 1.
"""

from __future__ import annotations

import difflib
import html
import json
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.account import (
    ACCOUNT,
    BUCKET,
    BUCKET_ACCESS,
    BUCKET_POLICY_SID,
    CLOUD,
    EC2_TRUST,
    LAMBDA_TRUST,
    RESEARCH,
    RESEARCH_BUCKET,
    RESEARCH_PATH,
    RESEARCH_REGION,
    ROLE_PATH,
    TAG,
    Alert,
    CommandFailed,
    DemoAccount,
    Email,
    wait_until,
)
from demo.deployment import PROJECT, DeploymentError
from demo.embedded import EmbeddedAws, EmbeddedAwsError, allow, policy_document
from demo.slack_page import page

_COLORS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_WIDTH = 100
_SLACK_LINES = 24

SLACK_PAGE = PROJECT / ".build" / "slack.html"
"""The page with all Slack messages of the demo."""


class StepFailed(Exception):
    """A step did not have the expected result."""


def main() -> int:
    """Run the whole demo and return the exit code."""
    started = time.monotonic()
    output = Path(tempfile.mkdtemp(prefix="remediator-demo-"))
    try:
        with EmbeddedAws() as aws:
            account = set_up(aws, output)
            for number, step in enumerate(STEPS, start=1):
                print(f"\n{paint('bold', f'Step {number} of {len(STEPS)}: {step.title}')}\n")
                step.run(account)
    except (StepFailed, CommandFailed, DeploymentError, EmbeddedAwsError, TimeoutError) as error:
        print(f"\n{paint('red', 'The demo failed.')} {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(output, ignore_errors=True)
    seconds = time.monotonic() - started
    print(f"\n{paint('green', f'All {len(STEPS)} steps succeeded')} in {seconds:.0f} s. Nothing is left running.")
    return 0


def set_up(aws: EmbeddedAws, output: Path) -> DemoAccount:
    """Deploy the stack, create buckets and users, and print the progress."""
    print(paint("bold", "Setup"))
    print(f"  An embedded AWS runs at {aws.endpoint}. It enforces IAM on every call.")
    account = DemoAccount(aws)
    print("  The CDK deploys the remediator, as it would to a real account:")
    account.deploy(Progress(), output)
    account.create_resources()
    print("  Two clouds are configured:")
    for cloud, path, bucket, grant in (
        (CLOUD, ROLE_PATH, BUCKET, "a policy of the role"),
        (RESEARCH, RESEARCH_PATH, f"{RESEARCH_BUCKET} in {RESEARCH_REGION}", "the bucket policy"),
    ):
        print(f"    {cloud}: roles role{path}*, bucket {bucket}; access is granted in {grant}")
    return account


class Progress:
    """Prints the CDK's progress lines, with the seconds since the start, and drops all others."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._stacks: set[str] = set()

    def __call__(self, line: str) -> None:
        if any(word in line for word in ("Synthesis time", "Deployment time", "bootstrapped", "deploying...", "✅")):
            print(
                paint("dim", f"    {time.monotonic() - self._start:5.1f} s  {line.strip()[: _WIDTH - 14]}"), flush=True
            )


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the demo: its title, and the function that runs it."""

    title: str
    run: Callable[[DemoAccount], None]


def enroll_role(account: DemoAccount) -> None:
    """Enroll a role that lacks EC2 trust, S3 access and an instance profile."""
    role = "head-node"
    account.as_alice.create_role(RoleName=role, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(LAMBDA_TRUST))
    narrate(
        "alice creates the role head-node. It trusts Lambda instead of EC2, has no access to the bucket, and is in no "
        "instance profile. An Anyscale cluster cannot use it."
    )
    before = account.trust(role)
    account.settle(0.3)
    narrate(f"She enrolls it with a tag:  aws iam tag-role --role-name {role} --tags Key={TAG},Value={CLOUD}")
    account.as_alice.tag_role(RoleName=role, Tags=[{"Key": TAG, "Value": CLOUD}])
    wait_for_repair(lambda: account.trusts_ec2(role) and account.is_granted(role) and account.instance_profile(role))
    show_diff("Trust policy", before, account.trust(role))
    show_diff("Inline policies", {}, account.inline(role))
    narrate(f"The role is now in an instance profile of the same name: {account.instance_profile(role)}")
    expect(before["Statement"][0] in account.trust(role)["Statement"], "The statement for Lambda is gone.")
    show_email(next_email(account, "repaired"))


def replace_trust_policy(account: DemoAccount) -> None:
    """Let Terraform replace the trust policy."""
    role = "head-node"
    narrate("A Terraform run replaces the trust policy of head-node with its own version, which allows only Lambda.")
    before = account.trust(role)
    account.as_terraform.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
    broken = account.trust(role)
    wait_for_repair(lambda: account.trusts_ec2(role))
    show_diff("Trust policy: after Terraform → after the repair", broken, account.trust(role))
    expect(LAMBDA_TRUST["Statement"][0] in account.trust(role)["Statement"], "The statement for Lambda is gone.")  # type: ignore[index]  # a policy's Statement is a list here
    expect(before == account.trust(role), "The repaired policy differs from the original one.")
    (email,), (alert,) = next_messages(account, "repaired", 1)
    expect("terraform/apply-42" in email.body, "The alert does not name Terraform's session.")
    narrate("The alert names the Terraform run that changed the role, and the code that makes the repair permanent:")
    show_email(email)
    expect(alert["headline"] in email.body, "The e-mail lacks the alert's headline.")
    expect(alert["headline"] in account.latest_slack_message()["text"], "The alert did not arrive in Slack.")
    show_slack(account)
    show_alert(alert)


def remove_grant(account: DemoAccount) -> None:
    """Detach the policy that grants the bucket, and then delete the remediator's own policy."""
    role = "worker-node"
    trust = {"Version": "2012-10-17", "Statement": account.trust("head-node")["Statement"][1:]}
    policy = account.as_alice.create_policy(PolicyName="bucket-access", PolicyDocument=json.dumps(BUCKET_ACCESS))
    arn = policy["Policy"]["Arn"]
    account.as_alice.create_role(RoleName=role, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(trust))
    account.as_alice.attach_role_policy(RoleName=role, PolicyArn=arn)
    account.create_instance_profile(role)
    account.as_alice.tag_role(RoleName=role, Tags=[{"Key": TAG, "Value": CLOUD}])
    account.settle()
    narrate(
        "The role worker-node is enrolled and healthy: a managed policy grants it the bucket. "
        "The remediator writes nothing and sends no alert."
    )
    expect(account.inline(role) == {}, "The remediator wrote to a healthy role.")
    expect(account.new_emails() == [], "The remediator sent an alert about a healthy role.")
    narrate("alice detaches that managed policy.")
    account.as_alice.detach_role_policy(RoleName=role, PolicyArn=arn)
    wait_for_repair(lambda: account.is_granted(role))
    show_diff("Inline policies", {}, account.inline(role))
    show_email(next_email(account, "repaired"))
    (name,) = account.inline(role)
    narrate(f"alice deletes {name}, the inline policy that the remediator has just added.")
    account.as_alice.delete_role_policy(RoleName=role, PolicyName=name)
    wait_for_repair(lambda: account.is_granted(role))
    next_email(account, "repaired")


def change_unmanaged_role(account: DemoAccount) -> None:
    """Make the same change to a role without the tag."""
    role = "unmanaged-node"
    account.as_alice.create_role(
        RoleName=role, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(account.trust("head-node"))
    )
    narrate(
        "The role unmanaged-node does not have the enrollment tag. alice replaces its trust policy in the same way."
    )
    account.as_alice.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
    account.settle(1.5)
    expect(account.trust(role) == LAMBDA_TRUST, "The remediator changed the role.")
    expect(account.inline(role) == {}, "The remediator added a policy to the role.")
    expect(account.new_emails() == [], "The remediator sent an alert.")
    narrate("The remediator writes nothing and sends no alert.", "green")


def change_policy_version(account: DemoAccount) -> None:
    """Give a managed policy a new default version without the bucket."""
    roles = ["gpu-node-1", "gpu-node-2"]
    policy = account.as_alice.create_policy(PolicyName="gpu-access", PolicyDocument=json.dumps(BUCKET_ACCESS))
    arn = policy["Policy"]["Arn"]
    for role in roles:
        account.as_alice.create_role(RoleName=role, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(EC2_TRUST))
        account.as_alice.attach_role_policy(RoleName=role, PolicyArn=arn)
        account.create_instance_profile(role)
        account.as_alice.tag_role(RoleName=role, Tags=[{"Key": TAG, "Value": CLOUD}])
    account.settle()
    expect(account.new_emails() == [], "The remediator sent an alert about a healthy role.")
    narrate("The managed policy gpu-access grants the bucket to gpu-node-1 and gpu-node-2. Both roles are healthy.")
    narrate(
        "alice creates a new default version of gpu-access that grants another bucket. This call names no role, so the "
        "remediator looks up the roles that use the policy."
    )
    other = policy_document(allow("s3:*", "arn:aws:s3:::elsewhere/*"))
    account.as_alice.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(other), SetAsDefault=True)
    wait_for_repair(lambda: all(account.is_granted(role) for role in roles))
    emails = next_emails(account, "repaired", len(roles))
    expect(all("CreatePolicyVersion" in email.body for email in emails), "An alert does not name the call.")
    narrate("Each role is repaired separately, with its own alert:")
    show_subjects(emails)


def replace_bucket_policy(account: DemoAccount) -> None:
    """Replace the policy of a bucket in another Region that grants access to two roles."""
    roles = ["notebook", "trainer"]
    for role in roles:
        account.as_alice.create_role(
            RoleName=role,
            Path=RESEARCH_PATH,
            AssumeRolePolicyDocument=json.dumps(EC2_TRUST),
            Tags=[{"Key": TAG, "Value": RESEARCH}],
        )
    narrate(
        "alice creates two enrolled roles for the cloud research: notebook and trainer. They have no access to the "
        "bucket. This cloud is configured to grant access in the bucket policy."
    )
    wait_for_repair(lambda: account.named_roles() == roles)
    next_emails(account, "repaired", len(roles))
    granted = account.bucket_policy()
    show_diff(f"Bucket policy of {RESEARCH_BUCKET}", {}, granted)
    expect([statement["Sid"] for statement in granted["Statement"]] == [BUCKET_POLICY_SID], "One statement is enough.")
    audit = {
        "Sid": "Audit",
        **allow(
            "s3:ListBucket",
            f"arn:aws:s3:::{RESEARCH_BUCKET}",
            Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:role/ci/terraform"},
        ),
    }
    tls = {
        "Sid": "OnlyEncrypted",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{RESEARCH_BUCKET}", f"arn:aws:s3:::{RESEARCH_BUCKET}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    replacement = policy_document(audit, tls)
    narrate(
        f"Then alice replaces the whole policy of the bucket, which is in {RESEARCH_REGION}. Her policy allows an "
        "auditor and denies unencrypted requests, but names neither role."
    )
    account.alice_research_s3.put_bucket_policy(Bucket=RESEARCH_BUCKET, Policy=json.dumps(replacement))
    wait_for_repair(lambda: account.named_roles() == roles)
    show_diff("Bucket policy: after alice → after the repair", replacement, account.bucket_policy())
    kept = [statement for statement in account.bucket_policy()["Statement"] if statement["Sid"] != BUCKET_POLICY_SID]
    expect(kept == replacement["Statement"], "The remediator changed an existing statement.")
    emails = next_emails(account, "repaired", len(roles))
    expect(all("PutBucketPolicy" in email.body for email in emails), "An alert does not name the call.")
    narrate(
        "The event from the other Region triggered a sweep of the cloud's roles. One statement names both roles again, "
        "and alice's statements are unchanged:"
    )
    show_subjects(emails)


def lose_event(account: DemoAccount) -> None:
    """Lose the event of a change, so that only the sweep finds the role."""
    role = "head-node"
    narrate(
        "The Terraform run replaces the trust policy of head-node again. This time EventBridge loses the event, so the "
        "remediator does not react."
    )
    with account.aws.lose_events():
        account.as_terraform.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
    account.settle(1.5)
    expect(not account.trusts_ec2(role), "The role was repaired without an event.")
    narrate(
        "The role stays broken until the next sweep. EventBridge Scheduler requests one every hour; the demo requests "
        "one now."
    )
    account.sweep_now()
    wait_for_repair(lambda: account.trusts_ec2(role))
    (email,), (alert,) = next_messages(account, "repaired", 1)
    expect([cause["actorType"] for cause in alert["causes"]] == ["Sweep"], "The alert does not name the sweep alone.")
    show_email(email)


def remove_instance_profile(account: DemoAccount) -> None:
    """Delete the instance profile of a role."""
    role = "head-node"
    before = account.instance_profile(role)
    narrate(f"alice deletes the instance profile {role}. New EC2 instances can no longer get the role.")
    delete_instance_profile(account, role)
    wait_for_repair(lambda: account.instance_profile(role) == before)
    email = next_email(account, "repaired")
    expect(f'"Arn": "{before}"' in email.body, "The alert lacks the compute configuration.")
    show_email(email)


def delete_instance_profile(account: DemoAccount, role: str) -> None:
    """Remove the role from its instance profile and delete the profile; retry if the role was added back in between."""

    def is_deleted() -> bool:
        with suppress(account.as_alice.exceptions.NoSuchEntityException):
            account.as_alice.remove_role_from_instance_profile(InstanceProfileName=role, RoleName=role)
        with suppress(account.as_alice.exceptions.DeleteConflictException):
            account.as_alice.delete_instance_profile(InstanceProfileName=role)
            return True
        return False

    wait_until(is_deleted, "The deletion")


def deny_bucket(account: DemoAccount) -> None:
    """Deny writes to the bucket for every role of the cloud."""
    role = "head-node"
    deny = {
        "Sid": "FreezeForAudit",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:PutObject", "s3:DeleteObject"],
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
    }
    narrate("A new bucket policy denies writes to all principals. This affects every role of the cloud.")
    account.alice_s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy_document(deny)))
    emails = next_emails(account, "needs-person", len(enrolled_roles(account)))
    show_subjects(emails)
    email = next(email for email in emails if role in email.subject)
    for part in ("FreezeForAudit", BUCKET, "s3:PutObject"):
        expect(part in email.body, f"The alert does not name {part}.")
    narrate(
        "An additional Allow cannot override a Deny, so the remediator writes nothing. The alert shows which statement "
        "blocks the role, and where it is:"
    )
    show_email(email)
    narrate("Now alice also deletes the remediator's grant of head-node.")
    (name,) = account.inline(role)
    account.as_alice.delete_role_policy(RoleName=role, PolicyName=name)
    account.settle(1.5)
    expect(account.inline(role) == {}, "The remediator wrote a policy although a Deny blocks the role.")
    expect(account.new_emails() == [], "The remediator sent the same alert twice.")
    narrate("The remediator writes nothing, and does not repeat the alert.", "green")
    narrate("The audit ends, and alice deletes the bucket policy.")
    account.alice_s3.delete_bucket_policy(Bucket=BUCKET)
    wait_for_repair(lambda: account.is_granted(role))
    account.settle(1.5)
    emails, alerts = account.new_emails(), account.new_alerts()
    expect(
        len(emails) == len(alerts) == len(enrolled_roles(account))
        and all(alert["news"] == "resolved" or alert["outcome"] == "repaired" for alert in alerts),
        f"Not every role is reported as recovered: {[email.subject for email in emails]}",
    )
    show_subjects(emails)


def run_repair_loop(account: DemoAccount) -> None:
    """Let Terraform undo every repair."""
    role = "ci-node"
    narrate("Terraform creates another enrolled role, ci-node. It trusts EC2, but has no access to the bucket.")
    account.as_terraform.create_role(RoleName=role, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(EC2_TRUST))
    account.create_instance_profile(role)
    account.as_terraform.tag_role(RoleName=role, Tags=[{"Key": TAG, "Value": CLOUD}])
    wait_for_repair(lambda: account.is_granted(role))
    next_email(account, "repaired")
    narrate(
        "The Terraform code for ci-node allows only Lambda, and it runs all day. Each run restores its own trust "
        "policy, and the remediator adds EC2 again."
    )
    subjects: list[str] = []
    conflict: Email | None = None
    for run in range(1, _RUNS + 1):
        account.as_terraform.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
        account.settle()
        emails, alerts = account.new_emails(), account.new_alerts()
        subjects += [email.subject for email in emails]
        state = "EC2 trust restored" if account.trusts_ec2(role) else "EC2 trust not restored"
        narrate(f"Run {run:2}: {state}; {len(emails)} alert{'' if len(emails) == 1 else 's'}")
        if any(alert["outcome"] == "contested" for alert in alerts):
            conflict = emails[-1]
    written = len(account.changes(role)) - 1
    expect(written == _REPAIRS, f"The trust policy was repaired {written} times, not {_REPAIRS} times.")
    expect(len(subjects) == _REPAIRS + 1, f"There were {len(subjects)} alerts: {subjects}")
    if conflict is None or "terraform/apply-42" not in conflict.body:
        raise StepFailed("No alert names the principal that undoes the repairs.")
    narrate(
        f"After {_REPAIRS} repairs the remediator stops. One alert names the principal that undoes the repairs, and "
        "shows what to change:",
        "green",
    )
    show_email(conflict)
    narrate("The team fixes the Terraform code. The next run allows EC2 as well, which ends the conflict.")
    both = {**LAMBDA_TRUST, "Statement": [*LAMBDA_TRUST["Statement"], *EC2_TRUST["Statement"]]}  # type: ignore[misc]  # lists here
    account.as_terraform.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(both))
    (email,), (alert,) = next_messages(account, None, 1)
    expect(alert["news"] == "resolved", "The alert does not report the end of the conflict.")
    show_subjects([email])


_RUNS = 10
_REPAIRS = 3


def undo_change(account: DemoAccount) -> None:
    """List the changes of a role, and undo one."""
    role = "worker-node"
    narrate("Which changes did the remediator make to worker-node?  remediator history worker-node")
    show_output(account.remediator("history", role))
    change = account.changes(role)[0]
    narrate(f"alice decides to undo the latest change:  remediator undo {change} --yes")
    show_output(account.remediator("undo", change, "--yes"))
    expect(not account.is_granted(role), "The policy still exists.")
    account.settle(1.5)
    expect(not account.is_granted(role), "The remediator repeated the change.")
    (email,), (alert,) = next_messages(account, "would-repair", 1)
    expect(alert["hold"] == "observe", "The role is not in observe mode.")
    show_subjects([email])
    narrate(
        "undo has tagged the role with observe mode. The remediator still detects and reports that the role lacks the "
        "bucket, but writes nothing."
    )
    narrate("The next day alice resumes the repair of the role:  remediator resume worker-node")
    show_output(account.remediator("resume", role))
    wait_for_repair(lambda: account.is_granted(role))
    next_email(account, "repaired")


def enrolled_roles(account: DemoAccount) -> list[str]:
    """Return the names of the roles under the cloud's path that have the enrollment tag."""
    roles = account.iam.list_roles(PathPrefix=ROLE_PATH)["Roles"]
    tags = {role["RoleName"]: account.iam.list_role_tags(RoleName=role["RoleName"])["Tags"] for role in roles}
    return [name for name, tagged in tags.items() if {"Key": TAG, "Value": CLOUD} in tagged]


STEPS = (
    Step("A role without EC2 trust, S3 access and instance profile is enrolled", enroll_role),
    Step("Terraform replaces its trust policy", replace_trust_policy),
    Step("A role loses the policy that grants the bucket", remove_grant),
    Step("A role that is not enrolled is changed", change_unmanaged_role),
    Step("A new version of a managed policy removes access from two roles", change_policy_version),
    Step("The policy of a bucket in another Region is replaced", replace_bucket_policy),
    Step("An event is lost", lose_event),
    Step("An instance profile is deleted", remove_instance_profile),
    Step("A bucket policy denies access", deny_bucket),
    Step("Terraform undoes every repair (repair loop)", run_repair_loop),
    Step("The history of a role, and undo", undo_change),
)


def wait_for_repair(done: Callable[[], object]) -> None:
    """Wait for a repair and print how long it took."""
    seconds = wait_until(done, "The repair")
    narrate(f"Repaired after {seconds:.1f} s.", "green")


def next_email(account: DemoAccount, outcome: str) -> Email:
    """Wait for exactly one alert with this outcome, and return its e-mail."""
    (email,) = next_emails(account, outcome, 1)
    return email


def next_emails(account: DemoAccount, outcome: str, count: int) -> list[Email]:
    """Wait for as many alerts as expected, all with this outcome, and return their e-mails."""
    return next_messages(account, outcome, count)[0]


def next_messages(account: DemoAccount, outcome: str | None, count: int) -> tuple[list[Email], list[Alert]]:
    """Wait for as many alerts as expected, all with this outcome if given; return their e-mails and their JSON."""
    wait_until(account.has_new_emails, "The alert")
    account.settle(0.5)
    emails, alerts = account.new_emails(), account.new_alerts()
    outcomes = [alert["outcome"] for alert in alerts]
    expect(
        len(emails) == len(alerts) == count and (outcome is None or set(outcomes) == {outcome}),
        f"Expected {count} alerts with outcome {outcome}, got {outcomes}: {[email.subject for email in emails]}.",
    )
    return emails, alerts


def expect(condition: object, otherwise: str) -> None:
    """Raise StepFailed unless the condition holds."""
    if not condition:
        raise StepFailed(otherwise)


def narrate(text: str, color: str | None = None) -> None:
    """Print a paragraph of the narration."""
    wrapped = textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    print(paint(color, wrapped) if color else wrapped, flush=True)


def show_diff(title: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Print what changed in a document."""
    print(f"\n    {paint('cyan', title)}")
    old, new = (json.dumps(document, indent=2).splitlines() for document in (before, after))
    for line in list(difflib.unified_diff(old, new, lineterm="", n=30))[3:]:
        color = {"+": "green", "-": "red"}.get(line[:1], "dim")
        print(paint(color, f"    {line}"))
    print()


def show_email(email: Email) -> None:
    """Print an e-mail as its reader sees it."""
    print(f"    {paint('cyan', 'The alert as an e-mail')}")
    print(f"    │ Subject: {paint('bold', email.subject)}\n    │")
    for line in email.body.splitlines():
        print(f"    │ {line}")
    print()


def show_slack(account: DemoAccount) -> None:
    """Print the latest Slack message as its reader sees it, and save all of them as a page."""
    SLACK_PAGE.parent.mkdir(exist_ok=True)
    SLACK_PAGE.write_text(page(account.aws.slack_messages()), encoding="utf-8")
    print(f"    {paint('cyan', 'The same alert in Slack')} (as a page: {SLACK_PAGE.relative_to(PROJECT)})")
    texts = (
        text["text"]
        for block in account.latest_slack_message()["blocks"]
        for text in (block.get("text"), *block.get("fields", ()), *block.get("elements", ()))
        if text
    )
    lines = [line for text in texts for line in html.unescape(text).splitlines()]
    for line in lines[:_SLACK_LINES]:
        print(f"    ┃ {line}")
    print(f"    ┃ … and {len(lines) - _SLACK_LINES} more lines\n" if len(lines) > _SLACK_LINES else "")


def show_alert(alert: Alert) -> None:
    """Print some fields of an alert's JSON."""
    brief = {key: alert[key] for key in ("outcome", "severity", "news", "incident", "role", "findings", "undo")}
    print(f"    {paint('cyan', 'The same alert as JSON for machines (some of its fields)')}")
    for line in json.dumps(brief, indent=2).splitlines():
        print(f"    {line}")
    print()


def show_output(text: str) -> None:
    """Print the output of a command."""
    for line in text.splitlines():
        print(f"    {line}")
    print()


def show_subjects(emails: Sequence[Email]) -> None:
    """Print the subjects of several e-mails."""
    for email in sorted(emails, key=lambda email: email.subject):
        print(f"    │ Subject: {paint('bold', email.subject)}")
    print()


def paint(color: str, text: str) -> str:
    """Color the text on a terminal; leave it plain in a file."""
    return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if sys.stdout.isatty() else text


if __name__ == "__main__":
    sys.exit(main())
