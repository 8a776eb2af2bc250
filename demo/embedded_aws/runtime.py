# ruff: noqa: SLF001 - ministack has no public API for this; its version is pinned, and tests/e2e cover these names
"""Lambda's Python runtime: AWS's own runtime client, in the environment that Lambda gives a function.

ministack runs Python functions in a substitute runtime, with its own interpreter and environment. That hides errors of
a real runtime: a package missing from the zip, a response that cannot be serialized, a missing setting. But ministack
serves the Lambda Runtime API over HTTP to *custom* runtimes. So every Python function runs here as a custom runtime
whose ``bootstrap`` starts awslambdaric.

The interpreter is this machine's Python, regardless of the function's runtime version.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

# The variables that Lambda itself sets. All others that ministack passes to a custom runtime are its own environment.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
_SET_BY_LAMBDA = frozenset(
    {
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"),
        *("AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION"),
        *("AWS_LAMBDA_LOG_STREAM_NAME", "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "_HANDLER"),
    }
)


def install(*, python: Path, endpoint: str, certificate_authority: Path, temporary: Path) -> None:
    """Make ministack run Python functions with the runtime client of another virtual environment.

    ``python`` is that environment's interpreter. ``endpoint`` and ``certificate_authority`` point the functions' SDK to
    the embedded AWS; ``temporary`` replaces Lambda's /tmp.
    """
    extract = lambda_svc._provided_runtime_code_dir
    environment = lambda_svc._provided_worker_env
    worker_class = lambda_runtime._worker_class_for
    execute = lambda_svc._execute_function_warm

    def code_folder(code_zip: bytes) -> str:
        folder = Path(extract(code_zip))
        bootstrap = folder / "bootstrap"
        # ministack starts processes under this lock. A process forked while this file is open for writing would keep
        # it open, and a file that is open for writing cannot be executed.
        with lambda_svc._provided_code_lock:
            if not bootstrap.exists():
                bootstrap.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -m awslambdaric "$_HANDLER"\n')
                bootstrap.chmod(0o755)
        return str(folder)

    def function_environment(config: Mapping[str, Any], folder: str, port: int) -> dict[str, str]:
        given: dict[str, str] = environment(config, folder, port)
        if not _is_python(config):
            return given
        own = lambda_svc._runtime_env_vars(config)
        return {
            **{name: value for name, value in given.items() if name in own or name in _SET_BY_LAMBDA},
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{config['Runtime']}",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": (config.get("LoggingConfig") or {}).get("LogGroup")
            or f"/aws/lambda/{config['FunctionName']}",
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:9",  # the discard port: traces go nowhere
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_CA_BUNDLE": str(certificate_authority),
            "SSL_CERT_FILE": str(certificate_authority),  # for connections to other servers than AWS
            "LANG": "en_US.UTF-8",
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "TMPDIR": str(temporary),
            "TZ": ":UTC",
            # A Python built with a shared library may need it to start.
            **{name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
        }

    def worker_class_for(config: Mapping[str, Any]) -> object:
        return lambda_runtime.ProvidedWorker if _is_python(config) else worker_class(config)

    def execute_warm(function: Mapping[str, Any], event: object, request_id: str) -> object:
        run = lambda_svc._execute_function_provided_warm if _is_python(function.get("config") or function) else execute
        return run(function, event, request_id)

    lambda_svc._provided_runtime_code_dir = code_folder
    lambda_svc._provided_worker_env = function_environment
    lambda_svc._execute_function_warm = execute_warm
    lambda_runtime._worker_class_for = worker_class_for


def _is_python(config: Mapping[str, Any]) -> bool:
    return str(config.get("Runtime", "")).startswith("python")
