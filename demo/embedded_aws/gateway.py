# ruff: noqa: SLF001 - ministack has no public API for this; its version is pinned, and tests/e2e cover these names
"""ministack as an ASGI application, with an emulation of CloudTrail on top.

On AWS, a call that changes IAM becomes a CloudTrail record, and the record becomes an event with the source ``aws.iam``
on the account's default bus. No one else may send events with a source ``aws.*``: ministack rejects them as AWS does.
So the gateway publishes these events internally.

Additional paths, for the demo and the tests on this machine:

- ``GET /_embedded/status``: the server's process id;
- ``GET /_embedded/emails``: the e-mails that SNS has sent;
- ``GET /_embedded/requests``: the number of requests per access key;
- ``POST /_embedded/events``: put one event on the default bus unchanged, with any source;
- ``POST /_embedded/losing``: lose the events of all further calls, or stop losing them;
- ``POST /_embedded/delaying``: hold events back from the bus, or release them;
- ``GET /_embedded/pending``: the number of events that are not yet on the bus;
- ``POST /services/…``: Slack's incoming webhook; ``GET /_embedded/slack``: the posted messages;
  ``POST /_embedded/slack``: set Slack's next answers.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from ministack import app as ministack
from ministack.core.iam_evaluator import ResolvedCredential, resolve_credential
from ministack.core.responses import set_request_account_id, set_request_region
from ministack.services import eventbridge, iam, s3

from demo.embedded_aws import cloudtrail, mailbox
from demo.embedded_aws.slack import Slack

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger("embedded_aws.gateway")


class Gateway:
    """The ASGI application. It calls ``when_ready`` once, after ministack has started."""

    def __init__(self, *, account: str, region: str, when_ready: Callable[[], None]) -> None:
        self._account = account
        self._region = region
        self._when_ready = when_ready
        self._losing = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._in_progress = 0  # calls in progress that may cause an event
        self._pending: set[Future[Any]] = set()
        self._reports: Mapping[str, Callable[[], object]] = {
            "/_embedded/status": lambda: {"pid": os.getpid()},
            "/_embedded/emails": mailbox.delivered,
            "/_embedded/requests": lambda: self._requests,
            "/_embedded/pending": lambda: self._in_progress + len(self._pending),
        }
        self._requests: Counter[str] = Counter()
        self._slack = Slack()
        # One thread: events reach the bus in call order, and no caller waits for them.
        self._deliveries = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cloudtrail")

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        match scope["type"], scope.get("path"):
            case "lifespan", _:
                await ministack.app(scope, receive, self._announcing(send))
            case "http", str(path) if path in self._reports:
                await _answer(send, self._reports[path]())
            case "http", "/_embedded/events":
                event = json.loads(await _body(receive))
                published = self.publish(event["source"], event["detail-type"], event["detail"], event["region"])
                await _answer(send, await asyncio.wrap_future(published))
            case "http", "/_embedded/losing":
                self._losing = json.loads(await _body(receive))
                await _answer(send, self._losing)
            case "http", "/_embedded/delaying":
                delaying = json.loads(await _body(receive))
                (self._flowing.clear if delaying else self._flowing.set)()
                await _answer(send, delaying)
            case "http", "/_embedded/slack" if scope["method"] == "POST":
                await _answer(send, self._slack.expect(json.loads(await _body(receive))))
            case "http", "/_embedded/slack":
                await _answer(send, self._slack.posted)
            case "http", str(path) if path.startswith("/services/"):
                answer = self._slack.post(await _body(receive))
                await _answer_text(send, answer.status, answer.text, answer.headers)
            case "http", _:
                await self._forward(scope, receive, send)
            case _:
                await ministack.app(scope, receive, send)

    def publish(
        self, source: str, detail_type: str, detail: object, region: str, resources: Sequence[str] = ()
    ) -> Future[Any]:
        """Put an event on a Region's default bus, in order; the result is the response of PutEvents."""
        return self._schedule(self._put_event, source, detail_type, detail, region, resources)

    def _announcing(self, send: Send) -> Send:
        async def announce(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self._when_ready()

        return announce

    async def _forward(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Forward a request, and publish the record of its call if such calls are recorded."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        signer = cloudtrail.Signer.from_headers(headers)
        if signer:
            self._requests[signer.access_key] += 1
        if not cloudtrail.may_be_recorded(scope["method"], scope["path"], headers):
            await ministack.app(scope, receive, send)
            return
        self._in_progress += 1
        try:
            await self._forward_and_record(scope, headers, signer, receive, send)
        finally:
            self._in_progress -= 1

    async def _forward_and_record(
        self,
        scope: Mapping[str, Any],
        headers: Mapping[str, str],
        signer: cloudtrail.Signer | None,
        receive: Receive,
        send: Send,
    ) -> None:
        """Forward a request, and publish the record of its call after the response."""
        request_body, response_body = bytearray(), bytearray()
        head: Message = {}

        async def receive_and_keep() -> Message:
            message = await receive()
            request_body.extend(message.get("body", b""))
            return message

        async def keep_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            response_body.extend(message.get("body", b""))
            await send(message)

        lost = self._losing
        identity = signer and self._identity(signer.access_key)  # before the call, which may change it
        await ministack.app(scope, receive_and_keep, keep_and_send)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        request = cloudtrail.Request(scope["method"], scope["path"], query, headers, bytes(request_body))
        call = cloudtrail.recorded_call(request)
        # An unknown key has no identity: AWS rejects such a request before there is a call to record.
        if call and identity and head and not lost:
            names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head["headers"]}
            response = cloudtrail.Response(head["status"], names.get("x-amzn-requestid", ""), bytes(response_body))
            client = scope["client"][0] if scope.get("client") else "127.0.0.1"
            self._schedule(self._publish_record, call, response, identity, client, datetime.now(UTC))

    def _publish_record(
        self,
        call: cloudtrail.Call,
        response: cloudtrail.Response,
        identity: dict[str, object],
        client: str,
        now: datetime,
    ) -> None:
        region = self._region if call.service == "iam" else self._bucket_region(call) or call.signer.region
        detail = cloudtrail.record(
            call, response, identity, account=self._account, region=region, source_address=client, now=now
        )
        self._put_event(f"aws.{call.service}", cloudtrail.DETAIL_TYPE, detail, region)

    def _put_event(
        self, source: str, detail_type: str, detail: object, region: str, resources: Sequence[str] = ()
    ) -> Any:  # noqa: ANN401 - JSON
        set_request_account_id(self._account)
        set_request_region(region)
        text = detail if isinstance(detail, str) else json.dumps(detail)
        entry = {"Source": source, "DetailType": detail_type, "Detail": text, "Resources": list(resources)}
        _, _, answer = eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
        return json.loads(answer)

    def _schedule(self, act: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Call a function in the delivery thread, and log an error if it fails."""

        def report(done: Future[Any]) -> None:
            self._pending.discard(done)
            if error := done.exception():
                _log.error("Could not publish an event", exc_info=error)

        # An empty context: ministack keeps the account and Region of a request in context variables.
        done = self._deliveries.submit(contextvars.Context().run, self._when_flowing, act, *arguments)
        self._pending.add(done)
        done.add_done_callback(report)
        return done

    def _when_flowing(self, act: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401 - passed on unchanged
        self._flowing.wait()
        return act(*arguments)

    def _bucket_region(self, call: cloudtrail.Call) -> str | None:
        bucket = call.bucket and s3._buckets.get_scoped(self._account, None, call.bucket)
        return bucket.get("region") or self._region if bucket else None

    def _identity(self, access_key: str) -> dict[str, object] | None:
        """Return the ``userIdentity`` of a record.

        https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
        """
        caller = resolve_credential(access_key, self._account)
        if not isinstance(caller, ResolvedCredential):
            return None
        identity = {
            "type": "IAMUser" if caller.principal_type == "User" else caller.principal_type,
            "principalId": caller.principal_id,
            "arn": caller.principal_arn,
            "accountId": caller.account_id,
            "accessKeyId": access_key,
        }
        if caller.principal_type == "User":
            identity["userName"] = caller.principal_name
        if caller.principal_type == "AssumedRole":
            # arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION lacks the role's path; the issuer's ARN has it.
            _, name, session = caller.principal_arn.split("/", 2)
            role = iam._roles.get_scoped(self._account, None, name) or {}
            identity["principalId"] = f"{role.get('RoleId', name)}:{session}"
            identity["sessionContext"] = {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": role.get("RoleId", name),
                    "arn": role.get("Arn", f"arn:aws:iam::{self._account}:role/{name}"),
                    "accountId": caller.account_id,
                    "userName": name,
                },
                "attributes": {
                    "creationDate": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "mfaAuthenticated": "false",
                },
            }
        return identity


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body.extend(message.get("body", b""))
        if not message.get("more_body"):
            return bytes(body)


async def _answer(send: Send, content: object) -> None:
    await _answer_text(send, 200, json.dumps(content), {"content-type": "application/json"})


async def _answer_text(send: Send, status: int, text: str, headers: Mapping[str, str]) -> None:
    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": named})
    await send({"type": "http.response.body", "body": text.encode()})
