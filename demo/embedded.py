"""Start, use and stop the embedded AWS.

The demo and the tests use this module; the server is ``demo.embedded_aws``, in its own virtual environment. IAM is
enforced on every call: only the account's root user may do what no policy allows.
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
_NOT_ANNOUNCED = "The server has not announced its port."


class EmbeddedAwsError(Exception):
    """The embedded AWS could not be started or reached; the message has the reason and the end of the log."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, with a session token if it is a role's."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


ROOT = Credentials("test", "test")
"""The account's root user, which may do everything."""


class EmbeddedAws:
    """An AWS account on this machine, with all Regions; the default is the home region.

    ``with EmbeddedAws() as aws:`` starts it on a free port of 127.0.0.1 and stops it at the end, or when this process
    dies. All its files are in one folder: ``state``, or a temporary one. ``port`` requests a port. With ``outlive`` it
    keeps running after this process, until ``EmbeddedAws.find(state).stop()``.
    """

    def __init__(self, state: Path | None = None, *, port: int = 0, outlive: bool = False) -> None:
        self._temporary = state is None
        self.state = (state or Path(tempfile.mkdtemp(prefix="embedded-aws-"))).resolve()
        self._requested_port = port
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
        """Return the embedded AWS that runs on this state folder, or None."""
        aws = cls(state, outlive=True)
        return aws if aws._is_running() else None

    # --- start and stop ---

    def start(self) -> Self:
        """Start the server and wait until it responds.

        Raises EmbeddedAwsError if it exits or does not respond within 90 seconds, with the last error (of TLS, for
        example) and the end of the server's log.
        """
        if self._is_running():
            raise EmbeddedAwsError(f"An embedded AWS already runs on {self.state}, at {self.endpoint}.")
        self._last_error = _NOT_ANNOUNCED
        try:
            self._process = self._launch()
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop the server and the functions that it runs. Do nothing if it has already stopped."""
        if self._process:
            if self._process.poll() is None:  # a process that has exited no longer has a process group
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
            if self._process.stdin:
                self._process.stdin.close()
        elif self._is_running():
            os.killpg(self._pid, signal.SIGKILL)
            _wait_until(lambda: not self._is_running(), _SECONDS_TO_STOP)
        self._process = None
        self._ready.unlink(missing_ok=True)
        if self._temporary:
            shutil.rmtree(self.state, ignore_errors=True)

    def log_tail(self) -> str:
        """Return the last lines of the server's log."""
        with suppress(FileNotFoundError):
            return "\n".join(self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
        return ""

    # --- use ---

    @property
    def endpoint(self) -> str:
        """The URL of all services, as in ``AWS_ENDPOINT_URL``."""
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
        """Return the environment variables that point an SDK, the AWS CLI or the CDK to this server."""
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
        """Return an environment for a child process: this process's, without settings for another AWS."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        direct = ",".join(filter(None, (kept.get("NO_PROXY") or kept.get("no_proxy"), "127.0.0.1")))
        return {**kept, "NO_PROXY": direct, "no_proxy": direct, **self.variables(credentials)}

    def client(
        self, service: str, credentials: Credentials = ROOT, *, region: str = REGION, user_agent: str | None = None
    ) -> Any:  # noqa: ANN401 - boto3 creates client classes at run time; annotate the variable that holds it
        """Return a boto3 client with these credentials, independent of this machine's AWS configuration.

        ``user_agent`` replaces boto3's own, to imitate other tools.
        """
        key = (service, credentials, region, user_agent)
        if key not in self._clients:  # creating a client takes longer than most calls
            self._clients[key] = self._make_client(*key)
        return self._clients[key]

    def user(self, name: str, policy: Mapping[str, object]) -> Credentials:
        """Create an IAM user with one inline policy and an access key."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="Work", PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def role(
        self, name: str, policy: Mapping[str, object], *, path: str = "/", session: str = "session"
    ) -> Credentials:
        """Create a role with one inline policy that the account may assume, and assume it.

        ``path`` starts and ends with a slash; ``session`` is the role session name, which CloudTrail records show.
        """
        iam = self.client("iam")
        principal = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
        trust = policy_document(allow("sts:AssumeRole", Principal=principal))
        arn = iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="Work", PolicyDocument=json.dumps(policy))
        return self.assume(arn, session)

    def assume(self, role_arn: str, session: str, credentials: Credentials = ROOT) -> Credentials:
        """Assume a role, and return the credentials of the session."""
        key = self.client("sts", credentials).assume_role(RoleArn=role_arn, RoleSessionName=session)["Credentials"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"], key["SessionToken"])

    def publish(self, source: str, detail_type: str, detail: object, *, region: str = REGION) -> None:
        """Put an event on a Region's default bus unchanged, even one that only AWS may send, or a malformed one.

        A string ``detail`` is sent as JSON text. Raises EmbeddedAwsError if EventBridge rejects the event.
        """
        event = {"source": source, "detail-type": detail_type, "detail": detail, "region": region}
        answer = self._request("POST", "/_embedded/events", event)
        if answer["FailedEntryCount"]:
            raise EmbeddedAwsError(f"EventBridge rejected the event: {answer['Entries']}")

    @contextmanager
    def lose_events(self) -> Iterator[None]:
        """Lose the events of all calls made in this context, as can happen with best-effort delivery.

        https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event.html
        """
        self._request("POST", "/_embedded/losing", content=True)
        try:
            yield
        finally:
            self._request("POST", "/_embedded/losing", content=False)

    @contextmanager
    def delay_events(self) -> Iterator[None]:
        """Deliver the events of all calls made in this context only at its end: CloudTrail takes some seconds.

        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html
        """
        self._request("POST", "/_embedded/delaying", content=True)
        try:
            yield
        finally:
            self._request("POST", "/_embedded/delaying", content=False)

    def pending_events(self) -> int:
        """Return the number of events of completed calls that are not yet on the bus."""
        return int(self._request("GET", "/_embedded/pending"))

    def emails(self) -> list[dict[str, str]]:
        """Return the e-mails that SNS has sent, oldest first, each with ``to``, ``subject`` and ``body``."""
        sent: list[dict[str, str]] = self._request("GET", "/_embedded/emails")
        return sent

    def session_requests(self) -> int:
        """Return the number of requests made with role credentials, as functions and deployments use them."""
        made: dict[str, int] = self._request("GET", "/_embedded/requests")
        return sum(count for key, count in made.items() if key.startswith("ASIA"))

    def slack_webhook(self) -> str:
        """Return the URL of an incoming webhook of the embedded Slack."""
        return f"{self.endpoint}/services/T0000000/B0000000/xxxxxxxxxxxxxxxxxxxxxxxx"

    def slack_messages(self) -> list[dict[str, Any]]:
        """Return the messages in the Slack channel, oldest first."""
        posted: list[dict[str, Any]] = self._request("GET", "/_embedded/slack")
        return posted

    def slack_answers(self, *answers: Mapping[str, Any]) -> None:
        """Set Slack's next answers, each with ``status``, ``text`` and ``headers``; after them it answers ``ok``."""
        self._request("POST", "/_embedded/slack", content=answers)

    # --- internals ---

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

    def _is_running(self) -> bool:
        """Return whether the server that announced itself in the state folder still responds."""
        if not self._ready.exists():
            return False
        try:
            ready = json.loads(self._ready.read_text())
            self.port, self._pid = ready["port"], ready["pid"]
            responding: int = self._request("GET", "/_embedded/status")["pid"]
        except EmbeddedAwsError as error:
            self._last_error = str(error)
            return False
        except (OSError, ValueError, KeyError) as error:
            self._last_error = f"{type(error).__name__}: {error}"
            return False
        self._last_error = f"Process {responding} responds on its port, not process {self._pid}."
        return responding == self._pid

    def _launch(self) -> subprocess.Popen[bytes]:
        if sys.platform != "linux":
            raise EmbeddedAwsError("The embedded AWS requires Linux: AWS's Lambda runtime client runs only there.")
        server, functions = (_python(environment) for environment in (".venv-aws", ".venv-lambda"))
        command = [str(server), "-m", "demo.embedded_aws", "--state", str(self.state)]
        command += ["--port", str(self._requested_port), "--lambda-python", str(functions)]
        command += ["--outlive-caller"] if self._outlive else []
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
        self.state.mkdir(parents=True, exist_ok=True)
        self._ready.unlink(missing_ok=True)  # left by a killed server, which had another port
        with self._log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - the project's own server
                command,
                cwd=_PROJECT,
                env={**kept, "HOME": str(self.state)},
                stdin=subprocess.DEVNULL if self._outlive else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        if _wait_until(lambda: self._is_running() or process.poll() is not None, _SECONDS_TO_START):
            if process.poll() is None:
                return
            problem = f"stopped during startup (exit code {process.returncode})."
        else:
            problem = f"did not respond within {_SECONDS_TO_START} seconds. The last error: {self._last_error}"
        raise EmbeddedAwsError(f"The embedded AWS {problem}\nThe end of its log:\n{self.log_tail()}")

    def _request(self, method: str, path: str, content: object = None) -> Any:  # noqa: ANN401 - JSON, typed by the callers
        context = ssl.create_default_context(cafile=str(self.certificate_authority))
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)
        try:
            connection.request(method, path, json.dumps(content).encode())
            answer = connection.getresponse()
            body = answer.read()
        except OSError as error:
            raise EmbeddedAwsError(f"The embedded AWS at {self.endpoint} does not respond: {error}") from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise EmbeddedAwsError(f"{method} {path} failed with {answer.status}: {body.decode(errors='replace')}")
        return json.loads(body)


def allow(actions: str | Iterable[str], resources: str | Iterable[str] = (), **others: object) -> dict[str, object]:
    """Return an Allow statement; ``others`` are further elements, such as ``Principal`` or ``Condition``."""
    listed = {"Action": actions if isinstance(actions, str) else list(actions)}
    named = {"Resource": resources if isinstance(resources, str) else list(resources)} if resources else {}
    return {"Effect": "Allow", **listed, **named, **others}


def policy_document(*statements: Mapping[str, object]) -> dict[str, object]:
    """Return a policy with these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _without_account(request: AWSRequest, **_: object) -> None:
    """Remove the account id that S3 Control puts before the host name, which is an IP address here."""
    request.url = str(request.url).replace(f"//{ACCOUNT}.", "//", 1)


def _python(environment: str) -> Path:
    python = _PROJECT / environment / "bin" / "python"
    if not python.exists():
        raise EmbeddedAwsError(f"{environment} is missing. Run `make setup` first.")
    return python


def _wait_until(done: Callable[[], object], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
