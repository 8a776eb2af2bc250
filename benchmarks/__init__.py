"""Measurements, run by hand: figures as ratios within one run, so that another machine gives much the same."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

sys.path[:0] = [str(ROOT / root) for root in ("lambda_src", "cli")]  # the import roots of what is measured
