"""The analyzer process `pulumi-analyzer-policy-inferform`: serves until the engine ends it, or is gone itself."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import psutil
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import analyzer_pb2_grpc

from infra.engine_watch import watch_engine
from infra.policy._analyzer import Analyzer

PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml")
FOLDER_ENV = "INFERFORM_POLICY_FOLDER"
"""Overrides where paths and inferform.lock are looked for."""


def main() -> None:
    """`pulumi-analyzer-policy-inferform ENGINE_ADDRESS PACK`: what Pulumi starts for `--policy-pack`."""
    parser = argparse.ArgumentParser(prog="pulumi-analyzer-policy-inferform", description="Inferform's policy pack.")
    parser.add_argument("engine", nargs="?", default="", help="address of the Pulumi engine, host:port")
    engine = str(parser.parse_known_args()[0].engine)
    ended = threading.Event()
    server = grpc.server(ThreadPoolExecutor(4), options=_GRPC_CHANNEL_OPTIONS)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Analyzer(program_folder()), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    if engine:
        watch_engine(engine, ended.set)
    print(port, flush=True)
    ended.wait()
    server.stop(1).wait()


def program_folder() -> Path:
    """The project's folder. Pulumi starts an analyzer in the policy pack's, so its own process's folder is asked."""
    if own := os.environ.get(FOLDER_ENV):
        return Path(own).absolute()
    try:
        start = Path(psutil.Process(os.getppid()).cwd())
    except psutil.Error:
        start = Path.cwd()
    for folder in (start, *start.parents):
        if any((folder / name).is_file() for name in PROJECT_FILES):
            return folder
    return start
