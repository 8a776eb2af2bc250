"""Benchmarks, run by hand. Results are ratios within one run, so they are similar on other machines.

Importing this package replaces the AWS and Powertools settings in the environment, before anything else reads them:
benchmarks only use an AWS account in memory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

sys.path[:0] = [str(ROOT / root) for root in ("lambda_src", "cli")]  # the import roots of the measured code

for _name in [name for name in os.environ if name.startswith(("AWS_", "POWERTOOLS_"))]:
    del os.environ[_name]
os.environ.update(
    AWS_ACCESS_KEY_ID="testing",
    AWS_SECRET_ACCESS_KEY="testing",  # noqa: S106 - invented
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    MOTO_ACCOUNT_ID="111122223333",
    POWERTOOLS_TRACE_DISABLED="true",
    POWERTOOLS_SERVICE_NAME="remediator",
    POWERTOOLS_METRICS_NAMESPACE="AnyscaleRemediator",
)
