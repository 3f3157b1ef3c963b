"""The Pulumi program: load the stack's config, plan it, declare it."""

from __future__ import annotations

import os

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env

from components import Stack
from components.errors import Refused
from infra.engine_watch import exit_with_engine

NAMESPACE = "inferform:"
ALREADY_SAID = 32
"""Tells Pulumi's language host that the user has been told what is wrong, and needs no `program exited with`."""


def main() -> None:
    """Declare everything that the stack file says, and export `services`."""
    exit_with_engine()
    config = {**CONFIG.get(), **(get_config_env() if "PULUMI_CONFIG" in os.environ else {})}
    mine = {key: value for key, value in config.items() if key.startswith(NAMESPACE)}
    try:
        stack = Stack(pulumi.get_stack(), mine)
    except Refused as refused:
        pulumi.log.error(str(refused))
        raise SystemExit(ALREADY_SAID) from None
    pulumi.export("services", stack.services)


if __name__ == "__main__":
    main()
