"""Measurements, run by hand: figures as ratios within one run, so that another machine gives much the same.

Whoever imports this knows no AWS account but one in memory, whatever the environment says: that is changed before
anything is imported that reads it, as Powertools does.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

sys.path[:0] = [str(ROOT / root) for root in ("lambda_src", "cli")]  # the import roots of what is measured

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
