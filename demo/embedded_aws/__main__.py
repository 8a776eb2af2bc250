"""Serve the embedded AWS on 127.0.0.1 until the caller exits.

``python -m demo.embedded_aws --state FOLDER --lambda-python PYTHON [--port PORT] [--outlive-caller]``

All files are in the state folder; when the server is ready, ``ready.json`` there contains its port and process id. The
server and its functions exit on SIGTERM and at the end of standard input, so they never outlive a killed caller. They
exit immediately: no state needs an orderly shutdown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import threading
from importlib.metadata import version
from pathlib import Path

from demo.embedded_aws import ACCOUNT, MINISTACK, REGION, certificate


def main() -> None:
    """Read the arguments, prepare the environment that ministack reads during import, and serve."""
    parser = argparse.ArgumentParser(prog="python -m demo.embedded_aws")
    parser.add_argument("--state", type=Path, required=True, help="the folder for all files")
    parser.add_argument("--lambda-python", type=Path, required=True, help="the Python with awslambdaric")
    parser.add_argument("--port", type=int, default=0, help="the port; 0, the default, selects a free one")
    parser.add_argument("--outlive-caller", action="store_true", help="keep running when standard input ends")
    arguments = parser.parse_args()
    if version("ministack") != MINISTACK:
        sys.exit(
            f"demo/embedded_aws needs ministack {MINISTACK}, whose private names it uses, not {version('ministack')}."
        )

    listening = socket.create_server(("127.0.0.1", arguments.port))
    port = listening.getsockname()[1]
    temporary = arguments.state / "tmp"
    temporary.mkdir(exist_ok=True)
    authority, server_certificate, key = certificate.make(arguments.state)
    os.environ.update(
        AUTH="true",
        BIND_HOST="127.0.0.1",
        GATEWAY_PORT=str(port),
        IOT_MTLS_ENABLED="0",
        MINISTACK_ACCOUNT_ID=ACCOUNT,
        MINISTACK_HOST="127.0.0.1",
        MINISTACK_REGION=REGION,
        MINISTACK_SSL_CERT=str(server_certificate),
        MINISTACK_SSL_KEY=str(key),
        S3_DATA_DIR=str(arguments.state / "s3"),
        SFTP_ENABLED="0",
        STATE_DIR=str(arguments.state / "ministack"),
        TMPDIR=str(temporary),
        USE_SSL="1",
    )
    tempfile.tempdir = str(temporary)

    def announce() -> None:
        ready = arguments.state / "ready.json"
        written = ready.with_suffix(".part")
        written.write_text(json.dumps({"port": port, "pid": os.getpid()}))
        written.replace(ready)

    # Imported here because ministack reads its settings from the environment during import.
    from hypercorn.asyncio import serve  # noqa: PLC0415 - see above
    from hypercorn.config import Config  # noqa: PLC0415 - see above

    from demo.embedded_aws import corrections, mailbox, runtime  # noqa: PLC0415 - see above
    from demo.embedded_aws.gateway import Gateway  # noqa: PLC0415 - see above

    gateway = Gateway(account=ACCOUNT, region=REGION, when_ready=announce)

    runtime.install(
        python=arguments.lambda_python,
        endpoint=f"https://127.0.0.1:{port}",
        certificate_authority=authority,
        temporary=temporary,
    )
    corrections.install(gateway.publish)
    mailbox.install()
    config = Config()
    config.bind = [f"fd://{listening.detach()}"]
    config.certfile, config.keyfile = str(server_certificate), str(key)
    config.loglevel = "WARNING"
    config.keep_alive_timeout = 75

    signal.signal(signal.SIGTERM, lambda *_: _end())
    if not arguments.outlive_caller:
        threading.Thread(target=_end_with_caller, daemon=True).start()
    asyncio.run(serve(gateway, config, shutdown_trigger=asyncio.Event().wait))  # never returns, see _end


def _end() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)  # the group includes the functions' processes


def _end_with_caller() -> None:
    while sys.stdin.buffer.read(1024):
        pass
    _end()


if __name__ == "__main__":
    main()
