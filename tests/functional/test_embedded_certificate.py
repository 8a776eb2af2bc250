"""The embedded AWS's certificate is one that every Python from 3.11 on takes, and a start that fails says why."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from demo import embedded
from demo.embedded import EmbeddedAws, EmbeddedAwsError
from demo.embedded_aws import certificate


@pytest.mark.parametrize("flags", [ssl.VerifyFlags(0), ssl.VERIFY_X509_STRICT], ids=["lenient", "strict"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_certificate_is_accepted(tmp_path: Path, host: str, flags: ssl.VerifyFlags) -> None:
    authority, shown, key = certificate.make(tmp_path)
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(authority))
    server.load_cert_chain(shown, key)
    client.verify_flags |= flags  # Python 3.13 and newer verify strictly by default

    assert handshake(server, client, host) == "TLSv1.3"


def test_a_start_that_fails_says_which_error_kept_the_server_from_being_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others, own = tmp_path / "others", tmp_path / "own"
    others.mkdir()
    own.mkdir()
    _, shown, key = certificate.make(others)
    certificate.make(own)  # its authority has not signed the certificate that is shown
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(shown, key)
    monkeypatch.setattr(embedded, "_SECONDS_TO_START", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=refuse_everyone, args=(listening, context), daemon=True).start()
        ready = {"port": listening.getsockname()[1], "pid": os.getpid()}
        aws = EmbeddedAws(own)
        (own / "server.log").write_text("The last line of the log.\n")
        (own / "ready.json").write_text(json.dumps(ready))
        monkeypatch.setattr(EmbeddedAws, "_launch", a_silent_server)

        with pytest.raises(EmbeddedAwsError, match=r"(?s)certificate verify failed.*The last line of the log"):
            aws.start()


def test_a_start_that_fails_shows_how_the_server_ended_and_the_end_of_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(_: EmbeddedAws) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"], start_new_session=True)

    (tmp_path / "server.log").write_text("No space left.\n")
    monkeypatch.setattr(EmbeddedAws, "_launch", launch)

    with pytest.raises(EmbeddedAwsError, match=r"(?s)stopped during startup \(exit code 3\).*No space left"):
        EmbeddedAws(tmp_path).start()


def test_a_start_that_fails_says_that_the_server_did_not_announce_its_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server.log").write_text("Still reading.\n")
    monkeypatch.setattr(EmbeddedAws, "_launch", a_silent_server)
    monkeypatch.setattr(embedded, "_SECONDS_TO_START", 0.5)

    with pytest.raises(EmbeddedAwsError, match=r"(?s)has not announced its port.*Still reading"):
        EmbeddedAws(tmp_path).start()


def a_silent_server(_: EmbeddedAws) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)


def refuse_everyone(listening: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            accepted, _ = listening.accept()
        except OSError:
            return
        with accepted:
            try:
                context.wrap_socket(accepted, server_side=True).close()
            except OSError:
                continue


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> str | None:
    """The version that both sides agree on; raises ssl.SSLCertVerificationError where the client refuses."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        server.wrap_bio(to_server, to_client, server_side=True),
        client.wrap_bio(to_client, to_server, server_hostname=host),
    ]
    for _ in range(10):
        for side in sides:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return sides[1].version()
