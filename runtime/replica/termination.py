"""A pod's last words: why its start failed (docs/designs/kubernetes-target.md, rule 3)."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from runtime.contract.cluster import TERMINATION_LOG_ENV
from runtime.contract.phases import Phase

REASON_CHARACTERS = 1000
"""Kubelets keep 4096 bytes of the file; a character has at most four, escaped at most twelve, and most have one."""

log = logging.getLogger(__name__)


def say_why(phase: Phase | str, reason: str, environment: Mapping[str, str] = os.environ) -> None:
    """Write `{"phase", "reason"}` to the file that the environment names, if it names one."""
    path = environment.get(TERMINATION_LOG_ENV)
    if not path:
        return
    text = json.dumps({"phase": str(phase), "reason": reason[:REASON_CHARACTERS]}, ensure_ascii=False)
    try:
        Path(path).write_text(text)
    except OSError as error:
        log.warning("%s: %s", path, error.strerror)
