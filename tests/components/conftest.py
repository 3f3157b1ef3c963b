"""Pulumi's mocks: components are declared, nothing is deployed."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks as pulumi_mocks
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import wait_for_rpcs

from components._deployed import READ_OUTPUTS


@dataclass
class Made:
    """One declared resource."""

    type: str
    name: str
    inputs: dict[str, Any]
    depends_on: list[str] = field(default_factory=list)
    parent: str = ""


class Declared(pulumi.runtime.Mocks):
    """Records every declaration, and answers as the plugin would."""

    def __init__(self) -> None:
        self.made: list[Made] = []
        self.depends_on: dict[tuple[str, str], list[str]] = {}
        self.parents: dict[tuple[str, str], str] = {}
        self.outputs: dict[str, Any] = {}  # of the stack's last run; none: it has never run

    def registers(self, request: Any) -> None:
        """What the engine is told beside the inputs."""
        names = [
            urn.rpartition("::")[2] + ":" + urn.rpartition("::")[0].rpartition(":")[2] for urn in request.dependencies
        ]
        kind, parent = request.type.rpartition(":")[2], request.parent.rpartition("::")[2]
        self.depends_on[kind, request.name] = sorted(names)
        self.parents[kind, request.name] = parent

    def manifests(self) -> list[dict[str, Any]]:
        """What was declared of Kubernetes' own kinds, as manifests."""
        return [made.inputs for made in self.made if "apiVersion" in made.inputs]

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        kind = args.typ.rpartition(":")[2]
        key = (kind, args.name)
        self.made.append(Made(kind, args.name, dict(args.inputs), self.depends_on[key], self.parents[key]))
        outputs = dict(args.inputs)
        if kind == "Host":
            outputs["endpoint"] = f"http://127.0.0.1:{int(args.inputs['gateway']['port'])}"
        if kind == "Token":
            outputs["token"] = f"token of {args.inputs['service']}"
        if kind == "Service" and args.inputs.get("spec", {}).get("type") == "LoadBalancer":
            outputs["status"] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
        if kind == "Route":
            outputs["endpoint"] = f"{args.inputs['gateway']}/api/predict/{args.inputs['service']}"
        return f"id of {args.name}", outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        if args.token == READ_OUTPUTS:
            return {"name": args.args["name"], "outputs": self.outputs}
        raise AssertionError(f"no call is expected, not {args.token}")

    def of(self, kind: str) -> dict[str, Made]:
        """What was declared of a type, by name."""
        return {made.name: made for made in self.made if made.type == kind}


class Monitor(pulumi_mocks.MockMonitor):
    """The mocks' monitor, which does not pass on dependencies."""

    def RegisterResource(self, request: Any) -> Any:
        if isinstance(self.mocks, Declared):
            self.mocks.registers(request)
        loop = asyncio.new_event_loop()  # else the SDK makes one for this thread and never closes it
        asyncio.set_event_loop(loop)
        try:
            return super().RegisterResource(request)
        finally:
            asyncio.set_event_loop(None)
            loop.close()


@dataclass
class Program:
    """Runs a program under the mocks, to its very end."""

    declared: Declared
    folder: Path
    logs: list[tuple[str, str]]

    def __call__(self, program: Callable[[], Any], *, preview: bool = False) -> Any:
        async def run() -> Any:
            try:
                return program()
            finally:
                await wait_for_rpcs()

        def body() -> Any:
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            try:
                # Outside the running loop: inside it the SDK would run the loop within itself.
                monitor = Monitor(self.declared)
                pulumi_mocks.set_mocks(self.declared, project="proj", stack="dev", preview=preview, monitor=monitor)
                SETTINGS.rpc_manager.clear()
                SETTINGS.root_directory = str(self.folder)
                return loop.run_until_complete(run())
            finally:
                loop.run_until_complete(loop.shutdown_default_executor())
                asyncio.set_event_loop(None)
                loop.close()

        return contextvars.Context().run(body)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    logs: list[tuple[str, str]] = []
    for level in ("info", "warn", "error"):
        monkeypatch.setattr(
            pulumi.log, level, lambda text, resource=None, *, _level=level, **_: logs.append((_level, text))
        )
    return Program(Declared(), tmp_path, logs)
