"""Start the embedded AWS, talk to it, and leave nothing of it behind.

The demo and the tests use this; the server itself is ``demo.embedded_aws``, in a virtual environment of its own.
IAM is enforced on every call: nobody may do what no policy allows, except the account's root user.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import boto3
import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.config import Config

from demo.embedded_aws import ACCOUNT, REGION

_PROJECT = Path(__file__).resolve().parents[1]
_SECONDS_TO_START = 90
_SECONDS_TO_STOP = 5
_LOG_LINES = 30
_NOT_ANNOUNCED = "It has not announced its port."


class EmbeddedAwsError(Exception):
    """The embedded AWS could not be started, found or asked; the message says why, with the end of its log."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, with the session token that the keys of a role have."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


ROOT = Credentials("test", "test")
"""The account's root user, who may do everything."""


class EmbeddedAws:
    """An AWS account on this machine, with all Regions; who names none is in the home region.

    ``with EmbeddedAws() as aws:`` starts it on a free port of 127.0.0.1 and stops it at the end; it also stops when
    this process dies. All its files are in one folder, a temporary one unless ``state`` names it. ``port`` asks for a
    port; with ``outlive`` it goes on after this process, until somebody calls ``EmbeddedAws.find(state).stop()``.
    """

    def __init__(self, state: Path | None = None, *, port: int = 0, outlive: bool = False) -> None:
        self._temporary = state is None
        self.state = (state or Path(tempfile.mkdtemp(prefix="embedded-aws-"))).resolve()
        self._asked_port = port
        self._outlive = outlive
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._clients: dict[tuple[str, Credentials, str, str | None], Any] = {}
        self._last_error = _NOT_ANNOUNCED
        self.port = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @classmethod
    def find(cls, state: Path) -> EmbeddedAws | None:
        """The embedded AWS that runs on this state folder, or None when none does."""
        aws = cls(state, outlive=True)
        return aws if aws._announced() else None

    # --- its life ---

    def start(self) -> Self:
        """Start the server and wait until it answers.

        Raises EmbeddedAwsError if it ends or does not answer for 90 seconds, with the last error (of TLS, for example)
        and the end of the server's log.
        """
        if self._announced():
            raise EmbeddedAwsError(f"An embedded AWS runs on {self.state} already, at {self.endpoint}.")
        self._last_error = _NOT_ANNOUNCED
        try:
            self._process = self._launch()
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server and the functions it runs. Nothing happens if it has stopped already."""
        if self._process:
            if self._process.poll() is None:  # a process that has ended has no group of its own any more
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            if self._process.stdin:
                self._process.stdin.close()
        elif self._announced():
            os.killpg(self._pid, signal.SIGKILL)
            _wait_until(lambda: not self._announced(), _SECONDS_TO_STOP)
        self._process = None
        self._ready.unlink(missing_ok=True)
        if self._temporary:
            shutil.rmtree(self.state, ignore_errors=True)

    def log_tail(self) -> str:
        """The last lines of the server's log."""
        with suppress(FileNotFoundError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        return ""

    # --- talking to it ---

    @property
    def endpoint(self) -> str:
        """The address for all of its services, as in ``AWS_ENDPOINT_URL``."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def certificate_authority(self) -> Path:
        """The PEM file to trust, as in ``AWS_CA_BUNDLE``."""
        return self.state / "ca.pem"

    @property
    def server_pid(self) -> int:
        """The server's process id, which is also the id of its process group."""
        return self._pid

    def variables(self, credentials: Credentials = ROOT) -> dict[str, str]:
        """The environment variables that lead an SDK, the AWS command line or the CDK here, as somebody."""
        token = {"AWS_SESSION_TOKEN": credentials.session_token} if credentials.session_token else {}
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_CA_BUNDLE": str(self.certificate_authority),
            "NODE_EXTRA_CA_CERTS": str(self.certificate_authority),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret_access_key,
            **token,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def environment(self, credentials: Credentials = ROOT) -> dict[str, str]:
        """The whole environment for a child process: this process's, where nothing leads to another AWS."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        direct = ",".join(filter(None, (kept.get("NO_PROXY") or kept.get("no_proxy"), "127.0.0.1")))
        return {**kept, "NO_PROXY": direct, "no_proxy": direct, **self.variables(credentials)}

    def client(
        self, service: str, credentials: Credentials = ROOT, *, region: str = REGION, user_agent: str | None = None
    ) -> Any:  # noqa: ANN401 - boto3 makes its clients' classes at run time; annotate the variable it goes to
        """A boto3 client that signs as somebody, whatever the environment and the home folder of this machine say.

        ``user_agent`` takes the place of boto3's own, for those who call from other tools.
        """
        wanted = (service, credentials, region, user_agent)
        if wanted not in self._clients:  # to make one takes longer than most calls
            self._clients[wanted] = self._make_client(*wanted)
        return self._clients[wanted]

    def user(self, name: str, policy: Mapping[str, object]) -> Credentials:
        """Create an IAM user with one inline policy, and a key for it."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="Work", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def role(
        self, name: str, policy: Mapping[str, object], *, path: str = "/", session: str = "session"
    ) -> Credentials:
        """Create a role with one inline policy that the account itself may assume, and assume it.

        ``path`` starts and ends with a slash; ``session`` is the role session's name, which records show.
        """
        iam = self.client("iam")
        principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        trust = policy_document(allow("sts:AssumeRole", Principal=principal))
        arn = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="Work", PolicyDocument=json.dumps(policy))
        return self.assume(arn, session)

    def assume(self, role_arn: str, session: str, credentials: Credentials = ROOT) -> Credentials:
        """Assume a role that lets the caller do so, and return the keys of the session."""
        key = self.client("sts", credentials).assume_role(RoleArn=role_arn, RoleSessionName=session)["Credentials"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])

    def publish(self, source: str, detail_type: str, detail: object, *, region: str = REGION) -> None:
        """Put an event on a region's default bus exactly as given: also one that only AWS may send, or a broken one.

        A ``detail`` that is a string is sent as JSON text. Raises EmbeddedAwsError if EventBridge did not take it.
        """
        event = {"source": source, "detail-type": detail_type, "detail": detail, "region": region}
        answer = self._ask("POST", "/_embedded/events", event)
        if answer["FailedEntryCount"]:
            raise EmbeddedAwsError(f"The event was refused: {answer['Entries']}")

    @contextmanager
    def lose_events(self) -> Iterator[None]:
        """Lose the events of all calls that are made meanwhile, as EventBridge may, which delivers at its best effort.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event.html
        """
        self._ask("POST", "/_embedded/losing", content=True)
        try:
            yield
        finally:
            self._ask("POST", "/_embedded/losing", content=False)

    @contextmanager
    def delay_events(self) -> Iterator[None]:
        """Deliver the events of all calls that are made meanwhile only in the end: CloudTrail takes some seconds.

        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html
        """
        self._ask("POST", "/_embedded/delaying", content=True)
        try:
            yield
        finally:
            self._ask("POST", "/_embedded/delaying", content=False)

    def pending_events(self) -> int:
        """How many events of calls that were answered are not on the bus yet."""
        return int(self._ask("GET", "/_embedded/pending"))

    def letters(self) -> list[dict[str, str]]:
        """The e-mails that SNS has sent, oldest first: ``to``, ``subject`` and ``body`` of each."""
        told: list[dict[str, str]] = self._ask("GET", "/_embedded/letters")
        return told

    def requests_of_sessions(self) -> int:
        """How many requests were made with the credentials of a role, as functions and deployments have them."""
        made: dict[str, int] = self._ask("GET", "/_embedded/requests")
        return sum(count for key, count in made.items() if key.startswith("ASIA"))

    def slack_webhook(self) -> str:
        """The address of an incoming webhook of a Slack that is in here as well."""
        return f"{self.endpoint}/services/T0000000/B0000000/xxxxxxxxxxxxxxxxxxxxxxxx"

    def slack_messages(self) -> list[dict[str, Any]]:
        """The messages in its channel, oldest first."""
        posted: list[dict[str, Any]] = self._ask("GET", "/_embedded/slack")
        return posted

    def slack_answers(self, *answers: Mapping[str, Any]) -> None:
        """Have it answer the next messages so: ``status``, ``text`` and ``headers`` of each; ``ok`` after that."""
        self._ask("POST", "/_embedded/slack", content=answers)

    # --- inside ---

    def _make_client(self, service: str, credentials: Credentials, region: str, user_agent: str | None) -> Any:  # noqa: ANN401 - see client
        unset = (None, None, None, None)
        nowhere = (None, None, os.devnull, None)
        session = boto3.Session(
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token,
            region_name=region,
            botocore_session=botocore.session.Session(
                session_vars={"profile": unset, "config_file": nowhere, "credentials_file": nowhere}
            ),
        )
        client = session.client(
            service,
            endpoint_url=self.endpoint,
            verify=str(self.certificate_authority),
            config=Config(proxies={}, retries={"mode": "standard"}, user_agent=user_agent),
        )
        client.meta.events.register("before-sign.s3-control", _without_account)
        return client

    @property
    def _log(self) -> Path:
        return self.state / "server.log"

    @property
    def _ready(self) -> Path:
        return self.state / "ready.json"

    def _announced(self) -> bool:
        """Whether the server that announced itself in the state folder still answers there."""
        if not self._ready.exists():
            return False
        try:
            ready = json.loads(self._ready.read_text())
            self.port, self._pid = ready["port"], ready["pid"]
            answering: int = self._ask("GET", "/_embedded/status")["pid"]
        except EmbeddedAwsError as error:
            self._last_error = str(error)
            return False
        except (OSError, ValueError, KeyError) as error:
            self._last_error = f"{type(error).__name__}: {error}"
            return False
        self._last_error = f"Process {answering} answers at its port, not process {self._pid}."
        return answering == self._pid

    def _launch(self) -> subprocess.Popen[bytes]:
        if sys.platform != "linux":
            raise EmbeddedAwsError("The embedded AWS needs Linux: AWS's Lambda runtime client polls nowhere else.")
        server, functions = (_python(environment) for environment in (".venv-aws", ".venv-lambda"))
        command = [str(server), "-m", "demo.embedded_aws", "--state", str(self.state), "--port", str(self._asked_port)]
        command += ["--lambda-python", str(functions), *(["--outlive-caller"] if self._outlive else [])]
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        self.state.mkdir(parents=True, exist_ok=True)
        self._ready.unlink(missing_ok=True)  # of a server that was killed: its port is not this one's
        with self._log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own server
                command,
                cwd=_PROJECT,
                env={**kept, "HOME": str(self.state)},
                stdin=subprocess.DEVNULL if self._outlive else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        if _wait_until(lambda: self._announced() or process.poll() is not None, _SECONDS_TO_START):
            if process.poll() is None:
                return
            problem = f"stopped while it was starting (exit code {process.returncode})."
        else:
            problem = f"did not answer within {_SECONDS_TO_START} seconds. The last error: {self._last_error}"
        raise EmbeddedAwsError(f"The embedded AWS {problem}\nThe end of its log:\n{self.log_tail()}")

    def _ask(self, method: str, path: str, content: object = None) -> Any:  # noqa: ANN401 - JSON, read by the callers
        context = ssl.create_default_context(cafile=str(self.certificate_authority))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)
        try:
            connection.request(method, path, json.dumps(content).encode())
            answer = connection.getresponse()
            body = answer.read()
        except OSError as error:
            raise EmbeddedAwsError(f"The embedded AWS at {self.endpoint} does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise EmbeddedAwsError(f"{method} {path} was answered {answer.status}: {body.decode(errors='replace')}")
        return json.loads(body)


def allow(actions: str | Iterable[str], resources: str | Iterable[str] = (), **others: object) -> dict[str, object]:
    """An Allow statement; ``others`` are its further elements, such as ``Principal`` or ``Condition``."""
    listed = {"Action": actions if isinstance(actions, str) else list(actions)}
    named = {"Resource": resources if isinstance(resources, str) else list(resources)} if resources else {}
    return {"Effect": "Allow", **listed, **named, **others}


def policy_document(*statements: Mapping[str, object]) -> dict[str, object]:
    """A policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _without_account(request: AWSRequest, **_: object) -> None:
    """S3 Control is called under the account's id and the host's name, which an address cannot bear."""
    request.url = str(request.url).replace(f"//{ACCOUNT}.", "//", 1)


def _python(environment: str) -> Path:
    python = _PROJECT / environment / "bin" / "python"
    if not python.exists():
        raise EmbeddedAwsError(f"{environment} is missing: run `make setup` first.")
    return python


def _wait_until(done: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
