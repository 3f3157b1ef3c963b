"""Ends this process when the Pulumi engine that started it is gone (DESIGN, `How Pulumi is used`, rule 9).

A killed CLI takes neither the plugin nor the program with it. Both poll the engine's address: the kernel closes a dead
process's sockets at once, so a refused connection is proof.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Sequence

PERIOD_SECONDS = 1.0
REFUSALS = 2


def engine_answers(address: str, timeout: float = 2) -> bool:
    """Does somebody listen at `HOST:PORT`? A slow answer counts as yes: only a refusal is proof of death."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=timeout).close()
    except TimeoutError:
        return True
    except OSError:
        return False
    return True


def watch_engine(
    address: str,
    gone: Callable[[], None],
    *,
    answers: Callable[[str], bool] = engine_answers,
    period: float = PERIOD_SECONDS,
) -> threading.Event:
    """Call `gone` once, from a daemon thread, when the address refuses twice in a row. Set the result to stop it."""
    stopped = threading.Event()

    def poll() -> None:
        refused = 0
        while not stopped.wait(period):
            refused = 0 if answers(address) else refused + 1
            if refused >= REFUSALS:
                gone()
                return

    threading.Thread(target=poll, name="engine-watch", daemon=True).start()
    return stopped


def program_engine(arguments: Sequence[str] | None = None) -> str:
    """The engine's address, from the command line that the language host gave this program; else empty."""
    words = sys.orig_argv if arguments is None else list(arguments)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == "--engine":
            return following
        if word.startswith("--engine="):
            return word.removeprefix("--engine=")
    return ""


def exit_with_engine() -> None:
    """In a Pulumi program: end this process when the engine is gone."""
    if address := program_engine():
        watch_engine(address, lambda: os._exit(3))
