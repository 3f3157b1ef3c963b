"""The plugin process: serve until the engine ends it, or is gone itself."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc.aio
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2_grpc

from infra.engine_watch import watch_engine
from infra.provider.servicer import Servicer

THREADS = 256
"""Every create that waits blocks one, and so does every child of a component; the default is cores + 4."""
CLEAN_UP_SECONDS = 5.0


def main() -> None:
    """`pulumi-resource-inferform [ENGINE_ADDRESS]`; without one it was started by hand, for PULUMI_DEBUG_PROVIDERS."""
    parser = argparse.ArgumentParser(prog="pulumi-resource-inferform", description="The Pulumi plugin of Inferform.")
    parser.add_argument("engine", nargs="?", default="", help="address of the Pulumi engine, host:port")
    asyncio.run(serve(parser.parse_known_args()[0].engine))


async def serve(engine: str) -> None:
    """Serve on a port of loopback, which is the one line on stdout."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="inferform"))
    ended = asyncio.Event()

    def end() -> None:
        """Cancel what runs, give it a moment to put things back, then go, whatever still hangs."""
        servicer.cancellation.cancel()
        timer = threading.Timer(CLEAN_UP_SECONDS, lambda: os._exit(0))
        timer.daemon = True
        timer.start()
        loop.call_soon_threadsafe(ended.set)

    def watch(address: str) -> None:
        watch_engine(address, end)

    servicer = Servicer(engine, watch=watch)
    server = grpc.aio.server(options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    if engine:
        watch(engine)
    print(port, flush=True)
    await ended.wait()
    await server.stop(CLEAN_UP_SECONDS)
    sys.stdout.flush()
