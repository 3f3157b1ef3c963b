"""The phases that a replica passes through on its way to the first token, in order."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Where a starting replica is. Each has its own clock in `rollout.timeouts`."""

    SCHEDULE = "schedule"  # waits for a process or a node
    IMAGE = "image"  # local: the interpreter and its imports; cluster: image pull
    WEIGHTS = "weights"  # model files: fetch, verify, read
    ENGINE = "engine"  # engine start, warm-up, adapters
    FIRST_TOKEN = "firstToken"  # listens; no generation has been proven yet
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"
    STOPPED = "stopped"


STARTING = (Phase.SCHEDULE, Phase.IMAGE, Phase.WEIGHTS, Phase.ENGINE, Phase.FIRST_TOKEN)
