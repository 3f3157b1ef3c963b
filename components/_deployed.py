"""What serves now, from the stack's last outputs. Effect: one question to the engine, none to a cluster."""

from __future__ import annotations

from typing import Any

import grpc
import pulumi
from pulumi.runtime import rpc
from pulumi.runtime.proto import resource_pb2
from pulumi.runtime.settings import get_monitor

from catalog import Catalog
from infra.plan import Deployed, deployed_from

READ_OUTPUTS = "pulumi:pulumi:readStackOutputs"
"""What a StackReference asks. Asked directly it leaves no line in the diff."""
EXPORT = "services"
"""The stack output that has them: `pulumi.export("services", stack.services)`."""


def deployed(catalog: Catalog) -> Deployed | None:
    """What the last run left serving; None where that cannot be known: no engine, or outputs of another form.

    A stack that never ran has no outputs and serves nothing. A failed run keeps the outputs of the one before it.
    """
    outputs = _outputs(f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}")
    if outputs is None:
        return None
    services = outputs.get(EXPORT, None if outputs else {})
    return deployed_from(services, catalog) if isinstance(services, dict) else None


def _outputs(stack: str) -> dict[str, Any] | None:
    monitor = get_monitor()
    if monitor is None:
        return None
    request = resource_pb2.ResourceInvokeRequest(tok=READ_OUTPUTS, acceptResources=False)
    request.args.update({"name": stack})
    try:
        answer = monitor.Invoke(request)
    except grpc.RpcError as refused:
        pulumi.log.debug(f"what serves now is not known: {refused}")
        return None
    if answer.failures:
        return None
    data = _plain(rpc.deserialize_properties(getattr(answer, "return")))
    outputs = data.get("outputs") if isinstance(data, dict) else None
    return outputs if isinstance(outputs, dict) else None


def _plain(value: Any) -> Any:
    """Without the marks of secrets: what is read further on is none."""
    if rpc.is_rpc_secret(value):
        return _plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
