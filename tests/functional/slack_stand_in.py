"""A server on this machine that stands in for Slack's incoming webhooks: HTTPS, with a certificate of its own."""

from __future__ import annotations

import json
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import trustme

TOKEN = "T00000000/B00000000/s3cretS3cretS3cretS3cret"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server does with a request; by default it puts the message into the channel, and says so.

    ``while_waiting`` runs before it answers, ``in_time`` is whether it answers before the test is over.
    """

    status: int = 200
    body: str = "ok"
    headers: dict[str, str] = field(default_factory=dict)
    while_waiting: Callable[[], None] = lambda: None
    in_time: bool = True
    is_posted: bool | None = None

    @property
    def puts_into_channel(self) -> bool:
        """Whether the message stands in the channel after that."""
        return self.status == 200 if self.is_posted is None else self.is_posted


OK = Answer()
THROTTLED = Answer(429, "rate_limited", {"Retry-After": "7"})
BROKEN = Answer(500, "rollup_error")
LATE = Answer(in_time=False)
INVALID_BLOCKS = Answer(400, "invalid_blocks")
GONE = Answer(404, "no_service")


class SlackStandIn:
    """A channel: what is posted to ``url`` with the right token stands in ``channel`` afterwards.

    ``script`` is what the next requests are answered with; after that all is well. ``revoked`` are tokens that are
    valid no longer.
    """

    def __init__(self) -> None:
        self.channel: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.script: deque[Answer] = deque()
        self.revoked: set[str] = set()
        self._over = threading.Event()
        self._authority = trustme.CA()
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert("127.0.0.1").configure_cert(server_side)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = server_side.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def trust(self) -> ssl.SSLContext:
        """What takes the server's certificate for good."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    def url(self, token: str = TOKEN) -> str:
        """The URL of a webhook of the channel."""
        return f"https://127.0.0.1:{self._server.server_address[1]}/services/{token}"

    def close(self) -> None:
        """Take no connections any longer."""
        self._server.shutdown()
        self._server.server_close()

    def _answer_to(self, path: str, body: bytes) -> Answer:
        token = path.removeprefix("/services/")
        self.requests.append(token)
        answer = GONE if token in self.revoked else self.script.popleft() if self.script else OK
        if answer.puts_into_channel:
            self.channel.append(json.loads(body))
        answer.while_waiting()
        return answer

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        slack = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                answer = slack._answer_to(self.path, self.rfile.read(int(self.headers["Content-Length"])))
                if not answer.in_time:
                    slack._over.wait(5)
                    return
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body.encode())

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name is the library's
                return

        return Handler
