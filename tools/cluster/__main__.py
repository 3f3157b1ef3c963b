"""`scripts/cluster up|down|status|load|nodes`: a Kubernetes cluster of one node on this machine, for tests."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from runtime.contract.paths import cache_folder
from tools import build, setup
from tools.cluster import control, fakenodes
from tools.cluster.layout import CONTEXT
from tools.console import say

STAND_IN = fakenodes.Shape(instance_type="ecs.gn7i-c16g1.4xlarge", gpus=1, cpus=16, memory_gib=60)
"""What `up --kwok N` adds."""


def main(arguments: Sequence[str] | None = None) -> int:
    """One of the commands; the exit code. `status`: 3 where no cluster runs. Raises StepFailed."""
    options = parser().parse_args(arguments)
    state: Path = options.state
    if options.command == "up":
        return up(state, options.kwok)
    if options.command == "down":
        say("stopped, nothing is left" if control.down(state) else "nothing to stop")
    elif options.command == "status":
        return status(state, as_json=options.json)
    elif options.command == "load":
        for archive in options.archives:
            print(*control.load(state, archive), sep="\n")
    else:
        labels = dict(label.split("=", 1) for label in options.label)
        shape = fakenodes.Shape(
            instance_type=options.type, gpus=options.gpus, cpus=options.cpus, memory_gib=options.memory, labels=labels
        )
        print(*fakenodes.add(state, shape, options.count), sep="\n")
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="scripts/cluster", description=__doc__)
    made.add_argument(
        "--state", type=Path, default=cache_folder() / "cluster", help="the cluster's folder (default: %(default)s)"
    )
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser("up", help="start it; one that runs is left alone")
    command.add_argument(
        "--kwok", type=int, nargs="?", const=1, default=0, metavar="N", help="also N fake nodes with a GPU each"
    )
    commands.add_parser("down", help="stop it; nothing is left")
    command = commands.add_parser("status", help="what runs")
    command.add_argument("--json", action="store_true", help="for programs")
    command = commands.add_parser("load", help="import images")
    command.add_argument("archives", type=Path, nargs="+", metavar="FILE", help="OCI or docker archives")
    command = commands.add_parser("nodes", help="add fake nodes, played by kwok")
    command.add_argument("type", help="label node.kubernetes.io/instance-type")
    command.add_argument("--count", type=int, default=1)
    command.add_argument("--gpus", type=int, default=0)
    command.add_argument("--cpus", type=float, default=8)
    command.add_argument("--memory", type=float, default=32, help="GiB")
    command.add_argument("--label", action="append", default=[], metavar="KEY=VALUE")
    return made


def up(state: Path, fake: int) -> int:
    """Build what is missing, start, say how to use it."""
    bins, pause = build.ensure("cluster"), build.ensure("pause") / "pause"
    begun = time.monotonic()
    layout = control.up(state, bins, pause)
    say(f"up after {time.monotonic() - begun:.1f} s; context {CONTEXT}")
    if fake:
        fakenodes.add(state, STAND_IN, fake)
    print(f"export KUBECONFIG={layout.kubeconfig} PATH={layout.bins}:$PATH")
    return 0


def status(state: Path, *, as_json: bool) -> int:
    """Print what runs."""
    record = control.running_record(state)
    parts = control.part_states(record) if record else []
    if as_json:
        found = {"state": str(state), "running": record is not None, "parts": [asdict(part) for part in parts]}
        if record:
            layout = record.layout()
            found |= {"server": layout.server, "kubeconfig": str(layout.kubeconfig), "context": CONTEXT}
        print(json.dumps(found, indent=1))
    elif record is None:
        print(f"no cluster runs in {state}")
    else:
        print(f"{record.layout().server}  KUBECONFIG={record.layout().kubeconfig}")
        for part in parts:
            print(
                f"{part.name:<20} {'starting' if part.pid is None else f'pid {part.pid}':<12} died {part.deaths} times"
            )
    return 0 if record else 3


if __name__ == "__main__":
    os.umask(0o022)
    setup.script(lambda: main(sys.argv[1:]))
