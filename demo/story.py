"""The demo: people break roles on an embedded AWS, and the deployed remediator repairs them.

``python -m demo.story`` ends with 0 if every act went as told, else with 1.
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
    CommandFailed,
    DemoAccount,
    Letter,
    wait_until,
)
from demo.deployment import PROJECT, DeploymentError
from demo.embedded import EmbeddedAws, EmbeddedAwsError, allow, policy_document
from demo.slack_page import page

_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_WIDTH = 100
_SLACK_LINES = 24

SLACK_PAGE = PROJECT / ".build" / "slack.html"
"""Where all messages in Slack can be looked at."""


class ActFailed(Exception):
    """Something did not happen as the story tells it."""


def main() -> int:
    """Play the whole story; returns the exit code."""
    started = time.monotonic()
    output = Path(tempfile.mkdtemp(prefix="remediator-demo-"))
    try:
        with EmbeddedAws() as aws:
            account = set_up(aws, output)
            for number, act in enumerate(ACTS, start=1):
                print(f"\n{paint('bold', f'Act {number}: {act.title}')}\n")
                act.play(account)
    except (ActFailed, CommandFailed, DeploymentError, EmbeddedAwsError, TimeoutError) as error:
        print(f"\n{paint('red', 'The demo failed.')} {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(output, ignore_errors=True)
    seconds = time.monotonic() - started
    print(f"\n{paint('green', f'All {len(ACTS)} acts went as told')}, in {seconds:.0f} s. Nothing is left running.")
    return 0


def set_up(aws: EmbeddedAws, output: Path) -> DemoAccount:
    """Deploy the stack and create the people, telling how far it is."""
    print(paint("bold", "Setting the stage"))
    print(f"  An AWS account now lives at {aws.endpoint}; IAM is enforced in it.")
    account = DemoAccount(aws)
    print("  Deploying the remediator with the CDK, as to a real account:")
    account.deploy(Progress(), output)
    account.furnish()
    print(f"  Ready: cloud {CLOUD!r} with the bucket {BUCKET}; its roles are those below role{ROLE_PATH}")
    print(
        f"         cloud {RESEARCH!r} with the bucket {RESEARCH_BUCKET} in {RESEARCH_REGION}, which is granted in the"
    )
    print(f"         bucket's policy; its roles are those below role{RESEARCH_PATH}")
    return account


class Progress:
    """Prints the lines of the CDK that tell progress, with the seconds since the start, and leaves the others out."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._stacks: set[str] = set()

    def __call__(self, line: str) -> None:
        if any(word in line for word in ("Synthesis time", "Deployment time", "bootstrapped", "deploying...", "✅")):
            print(
                paint("dim", f"    {time.monotonic() - self._start:5.1f} s  {line.strip()[: _WIDTH - 14]}"), flush=True
            )


@dataclass(frozen=True, slots=True)
class Act:
    """One act: what it is about, and the function that plays it."""

    title: str
    play: Callable[[DemoAccount], None]


def act_enrolled(account: DemoAccount) -> None:
    """A role that lacks everything is tagged."""
    role = "head-node"
    account.as_alice.create_role(RoleName=role, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(LAMBDA_TRUST))
    tell(
        "alice creates the role head-node. It trusts Lambda instead of EC2, nothing grants it the bucket, and no "
        "instance profile holds it."
    )
    before = account.trust(role)
    account.settle(0.3)
    tell(f"alice enrols it: aws iam tag-role --role-name {role} --tags Key={TAG},Value={CLOUD}")
    account.as_alice.tag_role(RoleName=role, Tags=[{"Key": TAG, "Value": CLOUD}])
    repaired(lambda: account.trusts_ec2(role) and account.is_granted(role) and account.instance_profile(role))
    show_diff("trust policy", before, account.trust(role))
    show_diff("inline policies", {}, account.inline(role))
    tell(f"An instance profile of its name holds it now: {account.instance_profile(role)}")
    expect(before["Statement"][0] in account.trust(role)["Statement"], "Lambda's statement is gone.")
    show_letter(next_letter(account, "repaired"))


def act_trust_replaced(account: DemoAccount) -> None:
    """Terraform replaces the trust policy."""
    role = "head-node"
    tell("A Terraform run replaces the role's trust policy by its own, which knows only Lambda.")
    before = account.trust(role)
    account.as_terraform.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
    broken = account.trust(role)
    repaired(lambda: account.trusts_ec2(role))
    show_diff("trust policy, as Terraform left it → now", broken, account.trust(role))
    expect(LAMBDA_TRUST["Statement"][0] in account.trust(role)["Statement"], "Lambda's statement is gone.")  # type: ignore[index]  # a policy's Statement is a list here
    expect(before == account.trust(role), "The repaired policy is not what it was before.")
    letter = next_letter(account, "repaired")
    expect("terraform/apply-42" in letter.body, "The alert does not name Terraform's session.")
    show_letter(letter)
    headline = letter.body.splitlines()[0]
    expect(headline in account.latest_slack_message()["text"], "The alert has not come to Slack.")
    show_slack(account)
    record = account.new_records()[-1]
    expect(record["headline"] == headline, "The alert has not come to the topic for machines.")
    show_record(record)


def act_grant_removed(account: DemoAccount) -> None:
    """The policy that granted the bucket is detached, and then ours is deleted."""
    role = "worker-node"
    trust = {"Version": "2012-10-17", "Statement": account.trust("head-node")["Statement"][1:]}
    policy = account.as_alice.create_policy(PolicyName="bucket-access", PolicyDocument=json.dumps(BUCKET_ACCESS))
    arn = policy["Policy"]["Arn"]
    account.as_alice.create_role(RoleName=role, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(trust))
    account.as_alice.attach_role_policy(RoleName=role, PolicyArn=arn)
    account.create_instance_profile(role)
    account.as_alice.tag_role(RoleName=role, Tags=[{"Key": TAG, "Value": CLOUD}])
    account.settle()
    tell("The role worker-node is enrolled and healthy: a managed policy grants it the bucket. Nothing was written.")
    expect(account.inline(role) == {}, "Something was written to a healthy role.")
    expect(account.new_letters() == [], "Somebody was told about a healthy role.")
    tell("alice detaches that policy.")
    account.as_alice.detach_role_policy(RoleName=role, PolicyArn=arn)
    repaired(lambda: account.is_granted(role))
    show_diff("inline policies", {}, account.inline(role))
    show_letter(next_letter(account, "repaired"))
    (name,) = account.inline(role)
    tell(f"alice deletes the inline policy {name} that the remediator has just written.")
    account.as_alice.delete_role_policy(RoleName=role, PolicyName=name)
    repaired(lambda: account.is_granted(role))
    next_letter(account, "repaired")


def act_not_enrolled(account: DemoAccount) -> None:
    """The same change on a role without the tag."""
    role = "somebody-elses"
    account.as_alice.create_role(
        RoleName=role, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(account.trust("head-node"))
    )
    tell("The role somebody-elses does not carry the tag. alice replaces its trust policy in the same way.")
    account.as_alice.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
    account.settle(1.5)
    expect(account.trust(role) == LAMBDA_TRUST, "The role was written to.")
    expect(account.inline(role) == {}, "A policy was written to the role.")
    expect(account.new_letters() == [], "Somebody was told.")
    tell("Nothing was written, and nobody was told.", "green")


def act_policy_version(account: DemoAccount) -> None:
    """A managed policy gets a new default version that no longer names the bucket."""
    roles = ["gpu-node-1", "gpu-node-2"]
    policy = account.as_alice.create_policy(PolicyName="gpu-access", PolicyDocument=json.dumps(BUCKET_ACCESS))
    arn = policy["Policy"]["Arn"]
    for role in roles:
        account.as_alice.create_role(RoleName=role, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(EC2_TRUST))
        account.as_alice.attach_role_policy(RoleName=role, PolicyArn=arn)
        account.create_instance_profile(role)
        account.as_alice.tag_role(RoleName=role, Tags=[{"Key": TAG, "Value": CLOUD}])
    account.settle()
    expect(account.new_letters() == [], "Somebody was told about a healthy role.")
    tell("Two roles, gpu-node-1 and gpu-node-2, get the bucket from the managed policy gpu-access. Both are healthy.")
    tell("alice makes a new default version of gpu-access, which names another bucket. No role is named in that call.")
    other = policy_document(allow("s3:*", "arn:aws:s3:::elsewhere/*"))
    account.as_alice.create_policy_version(PolicyArn=arn, PolicyDocument=json.dumps(other), SetAsDefault=True)
    repaired(lambda: all(account.is_granted(role) for role in roles))
    letters = next_letters(account, "repaired", len(roles))
    expect(all("CreatePolicyVersion by" in letter.body for letter in letters), "An alert does not name the call.")
    tell("The roles that use the policy were found, each was repaired on its own, and an alert tells of each:")
    show_subjects(letters)


def act_bucket_policy(account: DemoAccount) -> None:
    """Somebody replaces the policy of a bucket in another Region, in which two roles are granted the bucket."""
    roles = ["notebook", "trainer"]
    for role in roles:
        account.as_alice.create_role(
            RoleName=role,
            Path=RESEARCH_PATH,
            AssumeRolePolicyDocument=json.dumps(EC2_TRUST),
            Tags=[{"Key": TAG, "Value": RESEARCH}],
        )
    tell(
        "alice creates two roles for the cloud research, notebook and trainer, with the tag. They lack the bucket, "
        "which this cloud grants in the bucket's policy."
    )
    repaired(lambda: account.named_roles() == roles)
    next_letters(account, "repaired", len(roles))
    granted = account.bucket_policy()
    show_diff(f"policy of the bucket {RESEARCH_BUCKET}", {}, granted)
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
    theirs = policy_document(audit, tls)
    tell(
        f"Then alice replaces the whole policy of that bucket, which lives in {RESEARCH_REGION}, by one of her own: it "
        "lets an auditor in, denies what is not encrypted, and names neither role."
    )
    account.alice_s3_of_research.put_bucket_policy(Bucket=RESEARCH_BUCKET, Policy=json.dumps(theirs))
    repaired(lambda: account.named_roles() == roles)
    show_diff("policy of the bucket, as it was put → now", theirs, account.bucket_policy())
    kept = [statement for statement in account.bucket_policy()["Statement"] if statement["Sid"] != BUCKET_POLICY_SID]
    expect(kept == theirs["Statement"], "A statement of somebody else was changed.")
    letters = next_letters(account, "repaired", len(roles))
    expect(all("PutBucketPolicy by" in letter.body for letter in letters), "An alert does not name the call.")
    tell("The other Region's event asked for a sweep of the cloud's roles. Both are named again, in one statement:")
    show_subjects(letters)


def act_lost_event(account: DemoAccount) -> None:
    """The event about a change gets lost, and the sweep finds the role."""
    role = "head-node"
    tell(
        "The Terraform run comes again and replaces the trust policy of head-node. This time EventBridge loses "
        "the event."
    )
    with account.aws.lose_events():
        account.as_terraform.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
    account.settle(1.5)
    expect(not account.trusts_ec2(role), "The role was repaired although no event came.")
    tell(
        "Nothing happens. The role stays broken until EventBridge Scheduler asks for the next sweep, within the hour; "
        "so as not to wait for that, the demo has it ask now."
    )
    account.sweep_now()
    repaired(lambda: account.trusts_ec2(role))
    letter = next_letter(account, "repaired")
    expect("no event had told of it" in letter.body, "The alert does not say that the event was lost.")
    show_letter(letter)


def act_profile_deleted(account: DemoAccount) -> None:
    """The instance profile of a role is deleted."""
    role = "head-node"
    before = account.instance_profile(role)
    tell(f"Somebody deletes the instance profile {role}, so that no instance can get the role any more.")
    delete_instance_profile(account, role)
    repaired(lambda: account.instance_profile(role) == before)
    letter = next_letter(account, "repaired")
    expect(f'"Arn": "{before}"' in letter.body, "The alert does not tell the compute configuration.")
    show_letter(letter)


def delete_instance_profile(account: DemoAccount, role: str) -> None:
    """Take the role out of its instance profile and delete that, once more if it was put back in between."""

    def is_deleted() -> bool:
        with suppress(account.as_alice.exceptions.NoSuchEntityException):
            account.as_alice.remove_role_from_instance_profile(InstanceProfileName=role, RoleName=role)
        with suppress(account.as_alice.exceptions.DeleteConflictException):
            account.as_alice.delete_instance_profile(InstanceProfileName=role)
            return True
        return False

    wait_until(is_deleted, "The deletion")


def act_denied(account: DemoAccount) -> None:
    """The bucket's policy denies every role of the cloud."""
    role = "head-node"
    deny = {
        "Sid": "FreezeForAudit",
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:PutObject", "s3:DeleteObject"],
        "Resource": f"arn:aws:s3:::{BUCKET}/*",
    }
    tell("A bucket policy now denies writing to everybody, which concerns every role of the cloud.")
    account.alice_s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(policy_document(deny)))
    letters = next_letters(account, "needs a person", len(enrolled(account)))
    show_subjects(letters)
    letter = next(letter for letter in letters if role in letter.subject)
    for part in ("FreezeForAudit", BUCKET, "s3:PutObject"):
        expect(part in letter.body, f"The alert does not name {part}.")
    tell("Nothing was written: another Allow does not help against a Deny. A person is told what blocks, and where:")
    show_letter(letter)
    tell("Then somebody deletes the remediator's grant of head-node as well.")
    (name,) = account.inline(role)
    account.as_alice.delete_role_policy(RoleName=role, PolicyName=name)
    account.settle(1.5)
    expect(account.inline(role) == {}, "A policy was written although a Deny blocks the role.")
    expect(account.new_letters() == [], "The same was told twice.")
    tell("Nothing was written, and nobody was told the same again.", "green")
    tell("The audit is over, and alice deletes the bucket's policy.")
    account.alice_s3.delete_bucket_policy(Bucket=BUCKET)
    repaired(lambda: account.is_granted(role))
    account.settle(1.5)
    letters = account.new_letters()
    expect(
        len(letters) == len(enrolled(account)) and all("re" in letter.subject for letter in letters),
        f"Not every role is told to be in order again: {[letter.subject for letter in letters]}",
    )
    show_subjects(letters)


def act_repair_loop(account: DemoAccount) -> None:
    """A Terraform run undoes every repair, again and again."""
    role = "ci-node"
    tell("Terraform creates one more role, ci-node, with the tag. It trusts EC2, and nothing grants it the bucket.")
    account.as_terraform.create_role(RoleName=role, Path=ROLE_PATH, AssumeRolePolicyDocument=json.dumps(EC2_TRUST))
    account.create_instance_profile(role)
    account.as_terraform.tag_role(RoleName=role, Tags=[{"Key": TAG, "Value": CLOUD}])
    repaired(lambda: account.is_granted(role))
    next_letter(account, "repaired")
    tell(
        "The Terraform code of the role ci-node knows only Lambda, and runs all day. Each run puts its own trust "
        "policy back, and each time the remediator adds EC2 again."
    )
    subjects: list[str] = []
    for run in range(1, _RUNS + 1):
        account.as_terraform.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(LAMBDA_TRUST))
        account.settle()
        letters = account.new_letters()
        subjects += [letter.subject for letter in letters]
        tell(f"Run {run:2}: EC2 {'is trusted again' if account.trusts_ec2(role) else 'stays out'}; {len(letters)} mail")
        for letter in letters:
            if "contested" in letter.subject:
                contested = letter
    written = len(account.changes(role)) - 1
    expect(written == _REPAIRS, f"{written} repairs of the trust policy were made, and not {_REPAIRS}.")
    expect(len(subjects) == _REPAIRS + 1, f"There were {len(subjects)} alerts: {subjects}")
    expect("terraform/apply-42" in contested.body, "The alert does not name who undoes it.")
    tell(
        f"After {_REPAIRS} repairs nothing more was written. One alert says who undoes it, and what to change:", "green"
    )
    show_letter(contested)
    tell("Somebody changes that code, so that the next run knows EC2 as well.")
    both = {**LAMBDA_TRUST, "Statement": [*LAMBDA_TRUST["Statement"], *EC2_TRUST["Statement"]]}  # type: ignore[misc]  # lists here
    account.as_terraform.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(both))
    show_subjects([next_letter(account, "resolved")])


_RUNS = 10
_REPAIRS = 3


def act_history(account: DemoAccount) -> None:
    """What was done is listed, and one change is undone."""
    role = "worker-node"
    tell("What was done to the role worker-node?  remediator history worker-node")
    show_output(account.remediator("history", role))
    change = account.changes(role)[0]
    tell(f"The latest change was a mistake, says alice:  remediator undo {change} --yes")
    show_output(account.remediator("undo", change, "--yes"))
    expect(not account.is_granted(role), "The policy is still there.")
    account.settle(1.5)
    expect(not account.is_granted(role), "The remediator did it again.")
    show_subjects([next_letter(account, "observe mode")])
    tell("The remediator has looked, tells that the role lacks the bucket, and leaves it: its tag says observe now.")
    tell("The next day alice thinks better of it:  remediator resume worker-node")
    show_output(account.remediator("resume", role))
    repaired(lambda: account.is_granted(role))
    next_letter(account, "repaired")


def enrolled(account: DemoAccount) -> list[str]:
    """The names of the roles below the cloud's path that carry the tag."""
    roles = account.iam.list_roles(PathPrefix=ROLE_PATH)["Roles"]
    tags = {role["RoleName"]: account.iam.list_role_tags(RoleName=role["RoleName"])["Tags"] for role in roles}
    return [name for name, tagged in tags.items() if {"Key": TAG, "Value": CLOUD} in tagged]


ACTS = (
    Act("a role without EC2 trust, S3 grant and instance profile is enrolled", act_enrolled),
    Act("somebody replaces its trust policy with one for Lambda", act_trust_replaced),
    Act("somebody takes away the policy that granted the bucket", act_grant_removed),
    Act("the same change on a role that is not enrolled", act_not_enrolled),
    Act("a managed policy gets a new default version, and two roles lose the bucket", act_policy_version),
    Act("somebody replaces the policy of a bucket in another Region", act_bucket_policy),
    Act("an event gets lost", act_lost_event),
    Act("an instance profile is deleted", act_profile_deleted),
    Act("an explicit Deny on the bucket", act_denied),
    Act("Terraform undoes every repair", act_repair_loop),
    Act("what was done, and how it is undone", act_history),
)


def repaired(done: Callable[[], object]) -> None:
    """Wait for a repair and tell how long it took."""
    seconds = wait_until(done, "The repair")
    tell(f"Repaired after {seconds:.1f} s.", "green")


def next_letter(account: DemoAccount, outcome: str) -> Letter:
    """Wait for the next e-mail, which must be the only one and be about this outcome."""
    (letter,) = next_letters(account, outcome, 1)
    return letter


def next_letters(account: DemoAccount, outcome: str, count: int) -> list[Letter]:
    """Wait for the next e-mails, which must be as many as expected and all be about this outcome."""
    wait_until(account.has_new_letters, "The alert")
    account.settle(0.5)
    letters = account.new_letters()
    subjects = [letter.subject for letter in letters]
    expected = len(letters) == count and all(outcome in subject for subject in subjects)
    expect(expected, f"Expected {count} about {outcome!r}, got {subjects}.")
    return letters


def expect(condition: object, otherwise: str) -> None:
    """Go on only if the condition holds."""
    if not condition:
        raise ActFailed(otherwise)


def tell(text: str, colour: str | None = None) -> None:
    """Print a sentence of the story."""
    wrapped = textwrap.fill(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    print(paint(colour, wrapped) if colour else wrapped, flush=True)


def show_diff(title: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Print what changed in a document."""
    print(f"\n    {paint('cyan', title)}")
    old, new = (json.dumps(document, indent=2).splitlines() for document in (before, after))
    for line in list(difflib.unified_diff(old, new, lineterm="", n=30))[3:]:
        colour = {"+": "green", "-": "red"}.get(line[:1], "dim")
        print(paint(colour, f"    {line}"))
    print()


def show_letter(letter: Letter) -> None:
    """Print an e-mail as its reader sees it."""
    print(f"    {paint('cyan', 'The alert, as an e-mail')}")
    print(f"    │ Subject: {paint('bold', letter.subject)}\n    │")
    for line in letter.body.splitlines():
        print(f"    │ {line}")
    print()


def show_slack(account: DemoAccount) -> None:
    """Print the latest message in Slack as its reader sees it, and keep all of them as a page."""
    SLACK_PAGE.parent.mkdir(exist_ok=True)
    SLACK_PAGE.write_text(page(account.aws.slack_messages()), encoding="utf-8")
    print(f"    {paint('cyan', 'The same in Slack')}, also to be looked at in {SLACK_PAGE.relative_to(PROJECT)}")
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


def show_record(record: Mapping[str, Any]) -> None:
    """Print some of an alert as machines get it."""
    brief = {key: record[key] for key in ("outcome", "severity", "news", "incident", "role", "findings", "undo")}
    print(f"    {paint('cyan', 'The same for machines, as JSON (some of its fields)')}")
    for line in json.dumps(brief, indent=2).splitlines():
        print(f"    {line}")
    print()


def show_output(text: str) -> None:
    """Print what a command printed."""
    for line in text.splitlines():
        print(f"    {line}")
    print()


def show_subjects(letters: Sequence[Letter]) -> None:
    """Print what several e-mails are about."""
    for letter in sorted(letters, key=lambda letter: letter.subject):
        print(f"    │ Subject: {paint('bold', letter.subject)}")
    print()


def paint(colour: str, text: str) -> str:
    """Colour for a terminal, nothing for a file."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if sys.stdout.isatty() else text


if __name__ == "__main__":
    sys.exit(main())
