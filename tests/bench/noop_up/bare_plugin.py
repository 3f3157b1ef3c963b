"""The peer: the least Python plugin that the engine accepts, on the same base class as ours; it does nothing at all."""

from __future__ import annotations

import asyncio
import sys

import grpc
from google.protobuf import empty_pb2
from pulumi.provider.provider import Provider
from pulumi.provider.server import ProviderServicer
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc


class Bare(ProviderServicer):  # type: ignore[misc]
    """Every resource is its inputs."""

    async def Handshake(self, request, context):  # type: ignore[no-untyped-def]
        return pb.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    async def CheckConfig(self, request, context):  # type: ignore[no-untyped-def]
        return pb.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request, context):  # type: ignore[no-untyped-def]
        return pb.DiffResponse(changes="DIFF_NONE")

    async def Configure(self, request, context):  # type: ignore[no-untyped-def]
        return pb.ConfigureResponse(acceptSecrets=True, acceptResources=True, acceptOutputs=True, supportsPreview=True)

    async def Check(self, request, context):  # type: ignore[no-untyped-def]
        return pb.CheckResponse(inputs=request.news)

    async def Diff(self, request, context):  # type: ignore[no-untyped-def]
        return pb.DiffResponse(changes="DIFF_NONE")

    async def Create(self, request, context):  # type: ignore[no-untyped-def]
        return pb.CreateResponse(id="bare", properties=request.properties)

    async def Delete(self, request, context):  # type: ignore[no-untyped-def]
        return empty_pb2.Empty()


async def serve() -> None:
    """Print the port and serve."""
    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    servicer = Bare(Provider("0.0.1", "{}"), sys.argv[1:], sys.argv[1] if len(sys.argv) > 1 else "")
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve())
