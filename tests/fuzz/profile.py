"""Two profiles: ``ci`` always tries the same examples, ``deep`` looks for new ones for as long as it takes."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

COMMON = {"deadline": None, "print_blob": True, "suppress_health_check": list(HealthCheck)}
CI = settings(max_examples=300, derandomize=True, database=None, **COMMON)  # type: ignore[arg-type]
DEEP = settings(max_examples=50_000, **COMMON)  # type: ignore[arg-type]
PROFILE = DEEP if os.environ.get("RUNBOOK_FUZZ") == "deep" else CI
