"""The end of a process that has yet to begin: SIGTERM before anything listens to it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from types import FrameType


def leave_on_sigterm() -> None:
    """End at once on SIGTERM until something else handles it.

    The first process of a container ignores signals that it has no handler for, and imports take seconds.
    """
    signal.signal(signal.SIGTERM, _left)


def leave(code: int) -> None:
    """End now, without waiting for threads: one may be in the middle of an import or of loading a model."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _left(number: int, frame: FrameType | None) -> None:
    os._exit(0)  # nothing has been written and nobody is waiting for an answer
