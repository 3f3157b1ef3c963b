"""python -m runtime.gateway: one gateway process. The host, or a cluster, starts it; `--view` runs it without either.

In a cluster: POD_NAME, POD_UID by the downward API; the namespace's objects are its view.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import resource
import socket
import sys
from pathlib import Path

import uvloop
from pydantic import ValidationError

from runtime.binding import bound
from runtime.contract.cluster import INTERNAL_PORT
from runtime.gateway.autoscale.driver import Autoscaler
from runtime.gateway.autoscale.host import HostScaler
from runtime.gateway.gateway import Gateway
from runtime.gateway.record import Records
from runtime.gateway.server import run
from runtime.gateway.watch import Watch, follow_file
from runtime.promptness import be_prompt

CLUSTER_DELAY = 3.0
"""Seconds until kube-proxies and load balancers have stopped sending connections to a pod that ends."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m runtime.gateway", description=__doc__)
    source = made.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--host-socket", type=Path, metavar="PATH", help="the host's admin socket, to watch and report to"
    )
    source.add_argument("--view", type=Path, metavar="FILE", help="serve this GatewayView (JSON); read again on change")
    source.add_argument(
        "--cluster", metavar="NAMESPACE", help="watch this namespace: as the pod's service account, or as kubectl would"
    )
    place = made.add_mutually_exclusive_group(required=True)
    place.add_argument("--fd", type=int, metavar="N", help="a listening socket that the starting process has bound")
    place.add_argument("--listen", metavar="HOST:PORT", help="bind this address; port 0 takes a free one and prints it")
    made.add_argument("--nonce", default="", metavar="X", help="names this process in reports and process lists")
    made.add_argument(
        "--access-log",
        choices=("all", "errors", "off"),
        default="all",
        help="JSON lines on standard output: all requests, those answered 400 and above, or none",
    )
    made.add_argument(
        "--drain-seconds", type=float, default=30.0, metavar="S", help="after SIGTERM, time for running answers to end"
    )
    made.add_argument(
        "--internal",
        default=f"[::]:{INTERNAL_PORT}",
        metavar="HOST:PORT",
        help="with --cluster: metrics, health and activity, for scrapers and the other gateways (default: %(default)s)",
    )
    made.add_argument(
        "--external-metrics",
        metavar="HOST:PORT",
        help="with --cluster: also serve the external metrics API over TLS, for HorizontalPodAutoscalers",
    )
    made.add_argument(
        "--drain-delay",
        type=float,
        metavar="S",
        help="after SIGTERM, time in which requests are still accepted though it says that it is not ready "
        f"(default: {CLUSTER_DELAY:g} with --cluster, else 0)",
    )
    return made


def bind(listen: str) -> socket.socket:
    """A socket bound to HOST:PORT (or [IPv6]:PORT). Raises ValueError and OSError."""
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdecimal():
        raise ValueError(f"--listen {listen!r}: expected HOST:PORT, for example 127.0.0.1:8070")
    return bound(host.strip("[]"), int(port))


def raise_file_limit() -> None:
    """Every open stream costs two descriptors; the usual soft limit of 1024 is far below what one process can serve."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def follow_host(gateway: Gateway, host_socket: Path) -> None:
    """Watch, report and scale until cancelled."""
    async with asyncio.TaskGroup() as group:
        group.create_task(Watch(gateway, host_socket).run())
        group.create_task(Autoscaler(gateway, HostScaler(host_socket)).run())


async def serve(
    options: argparse.Namespace,
    listening: socket.socket,
    internal: socket.socket | None,
    metrics: socket.socket | None = None,
) -> None:
    """Serve until told to stop."""
    log = None if options.access_log == "off" else sys.stdout
    name = options.nonce or os.environ.get("POD_NAME") or f"gateway-{os.getpid()}"
    records = Records(
        log=log, prefix=f"{os.getpid():x}{os.urandom(3).hex()}", only_errors=options.access_log == "errors"
    )
    gateway = Gateway(name, asyncio.get_running_loop(), records)
    if options.view is not None:
        source = asyncio.create_task(follow_file(gateway, options.view))
    elif internal is not None:
        from runtime.gateway.cluster.follow import follow_cluster  # late: a local gateway needs none of it

        source = asyncio.create_task(follow_cluster(gateway, options.cluster, internal, metrics))
    else:
        source = asyncio.create_task(follow_host(gateway, options.host_socket))
    delay = options.drain_delay if options.drain_delay is not None else CLUSTER_DELAY if internal is not None else 0.0
    await run(gateway, listening, source, drain_seconds=options.drain_seconds, drain_delay=delay)


def main(arguments: list[str]) -> int:
    """Parse the command line and serve; returns the exit code."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        listening = socket.socket(fileno=options.fd) if options.fd is not None else bind(options.listen)
        internal = bind(options.internal) if options.cluster is not None else None
        metrics = bind(options.external_metrics) if internal is not None and options.external_metrics else None
    except (OSError, ValueError) as error:
        print(f"runtime.gateway: {error}", file=sys.stderr)
        return 2
    if options.listen is not None:
        print("listening on {}:{}".format(*listening.getsockname()[:2]), file=sys.stderr, flush=True)
    raise_file_limit()
    gc.collect()
    gc.freeze()  # modules live for ever: a collection in mid-stream need not look at them
    try:
        be_prompt()
        uvloop.run(serve(options, listening, internal, metrics))
    except (OSError, ValidationError) as error:
        print(f"runtime.gateway: {options.view or options.host_socket or options.cluster}: {error}", file=sys.stderr)
        return 1
    return 0
