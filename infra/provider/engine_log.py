"""Messages to the Pulumi engine (Engine.Log), from any thread."""

from __future__ import annotations

import threading

import grpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from infra.provider.operation import Severity

SEVERITIES = {
    Severity.INFO: engine_pb2.INFO,
    Severity.WARNING: engine_pb2.WARNING,
    Severity.STATUS: engine_pb2.INFO,
}


class EngineLog:
    """Logs to the engine at `address`; silent without one, or when the engine is gone (the watch deals with that)."""

    def __init__(self, address: str = "") -> None:
        self._lock = threading.Lock()
        self._address = address
        self._stub: engine_pb2_grpc.EngineStub | None = None

    def connect(self, address: str) -> None:
        """Log to this engine from now on."""
        with self._lock:
            if address != self._address:
                self._address, self._stub = address, None

    def __call__(self, urn: str, severity: Severity, text: str) -> None:
        """Send one message; `status` messages are ephemeral."""
        with self._lock:
            if not self._address:
                return
            if self._stub is None:
                channel = grpc.insecure_channel(self._address, options=_GRPC_CHANNEL_OPTIONS)
                self._stub = engine_pb2_grpc.EngineStub(channel)
            stub = self._stub
        request = engine_pb2.LogRequest(
            severity=SEVERITIES[severity], message=text, urn=urn, ephemeral=severity is Severity.STATUS
        )
        try:
            stub.Log(request, timeout=5)
        except grpc.RpcError:
            return
