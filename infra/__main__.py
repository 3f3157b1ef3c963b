"""The Pulumi program: load the stack's config, plan it, declare it."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

import grpc
import pulumi
from pulumi.runtime.config import CONFIG, get_config_env
from pulumi.runtime.proto import resource_pb2

from infra.engine_watch import exit_with_engine
from infra.resources import VERSION, WAKE
from infra.sdk_cost import spare

NAMESPACE = "inferform:"
ALREADY_SAID = 32
"""Tells Pulumi's language host that the user has been told what is wrong, and needs no `program exited with`."""


def main() -> None:
    """Declare everything that the stack file says, and export `services`."""
    exit_with_engine()
    spare()
    config = {**CONFIG.get(), **(get_config_env() if "PULUMI_CONFIG" in os.environ else {})}
    mine = {key: value for key, value in config.items() if key.startswith(NAMESPACE)}
    if f"{NAMESPACE}services" in mine:
        threading.Thread(target=wake_plugin, daemon=True).start()

    from components import Stack  # late: the plugin starts meanwhile
    from components.errors import Refused

    try:
        stack = Stack(pulumi.get_stack(), mine)
    except Refused as refused:
        pulumi.log.error(str(refused))
        raise SystemExit(ALREADY_SAID) from None
    pulumi.export("services", stack.services)


def wake_plugin() -> None:
    """Have the engine start the plugin now; else it does at the first resource, when all is loaded and planned."""
    monitor = pulumi.runtime.settings.get_monitor()
    if monitor is not None:
        with suppress(grpc.RpcError):  # what is wrong with the plugin will be said at the first resource
            monitor.Invoke(resource_pb2.ResourceInvokeRequest(tok=WAKE, version=VERSION))


if __name__ == "__main__":
    main()
