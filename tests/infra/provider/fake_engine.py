"""A Pulumi engine (Engine.Log and a ResourceMonitor on one gRPC server), and the plugin as a real process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2_grpc, resource_pb2, resource_pb2_grpc

from infra.provider.values import read_map


@dataclass
class Registered:
    """One resource that a component registered."""

    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    depends_on: list[str]


@dataclass
class FakeEngine(engine_pb2_grpc.EngineServicer, resource_pb2_grpc.ResourceMonitorServicer):
    """Records logs and registrations."""

    logs: list[engine_pb2.LogRequest] = field(default_factory=list)
    registered: list[Registered] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __enter__(self) -> FakeEngine:
        self._server = grpc.server(ThreadPoolExecutor(16))
        engine_pb2_grpc.add_EngineServicer_to_server(self, self._server)
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()

    def said(self, text: str) -> bool:
        return any(text in request.message for request in self.logs)

    # Engine -----------------------------------------------------------------------------------------------------------

    def Log(self, request: engine_pb2.LogRequest, context: Any) -> empty_pb2.Empty:
        self.logs.append(request)
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: Any) -> engine_pb2.GetRootResourceResponse:
        return engine_pb2.GetRootResourceResponse(urn="")

    def SetRootResource(self, request: Any, context: Any) -> engine_pb2.SetRootResourceResponse:
        return engine_pb2.SetRootResourceResponse()

    # ResourceMonitor --------------------------------------------------------------------------------------------------

    def SupportsFeature(self, request: Any, context: Any) -> resource_pb2.SupportsFeatureResponse:
        known = {"secrets", "resourceReferences", "outputValues", "aliasSpecs"}
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in known)

    def RegisterResource(self, request: Any, context: Any) -> resource_pb2.RegisterResourceResponse:
        inputs = read_map(request.object)
        self.registered.append(
            Registered(request.type, request.name, request.parent, inputs, sorted(request.dependencies))
        )
        made = struct_pb2.Struct()
        made.CopyFrom(request.object)
        if request.type.endswith(":Host"):
            made.update({"endpoint": "http://127.0.0.1:8070"})
        if request.type.endswith(":Route"):
            made.update({"endpoint": "http://127.0.0.1:8070/api/predict/chat"})
        if request.type.endswith(":Token"):
            secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "t"}
            made.update({"token": secret})
        urn = f"urn:pulumi:dev::proj::{request.type}::{request.name}"
        return resource_pb2.RegisterResourceResponse(urn=urn, id="id" if request.custom else "", object=made)

    def RegisterResourceOutputs(self, request: Any, context: Any) -> empty_pb2.Empty:
        self.outputs[request.urn] = read_map(request.outputs)
        return empty_pb2.Empty()


@dataclass
class Plugin:
    """A plugin process: its stub, and everything that it wrote to stdout."""

    process: subprocess.Popen[str]
    stub: provider_pb2_grpc.ResourceProviderStub
    lines: list[str]


@contextmanager
def plugin(*arguments: str) -> Iterator[Plugin]:
    """Start the plugin as Pulumi does, yield when it has said its port, kill it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from infra.provider import main; main()", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=os.environ, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    lines = [process.stdout.readline()]
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
    reader.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{int(lines[0])}")
    try:
        yield Plugin(process, provider_pb2_grpc.ResourceProviderStub(channel), lines)
    finally:
        channel.close()
        process.kill()
        process.wait()
        reader.join()
        process.stdout.close()
