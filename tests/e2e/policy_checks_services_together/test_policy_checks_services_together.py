"""Services that a program declares one by one are checked together: `pulumi preview --policy-pack examples/policy`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import yaml

from tests.e2e.harness import Project
from tests.e2e.harness.project import REPOSITORY

PROGRAM = """
from components import Gateway, ModelService

gateway = Gateway("gateway", {"port": PORT})
for name in ("one", "two"):
    settings = {"state": gateway.state, "endpoint": gateway.endpoint, "engine": "scripted"}
    ModelService(name, {**settings, "resources": {"cpus": CORES}})
"""


def test_policy_checks_services_together(project: Project) -> None:
    settings = yaml.safe_load((project.folder / "Pulumi.yaml").read_text())
    del settings["main"]
    (project.folder / "Pulumi.yaml").write_text(yaml.safe_dump(settings))
    project.environment["PYTHONPATH"] = str(REPOSITORY)
    project.environment["PATH"] = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{project.environment['PATH']}"
    program = PROGRAM.replace("PORT", str(project.port))
    pack = str(REPOSITORY / "examples" / "policy")
    cores = len(os.sched_getaffinity(0))

    (project.folder / "__main__.py").write_text(program.replace("CORES", str(cores)))  # each alone: all cores
    assert "fit-cpus" not in project.pulumi("preview").output
    refused = project.pulumi("preview", "--policy-pack", pack, code=1).output
    assert "fit-cpus" in refused
    assert "mandatory" in refused

    (project.folder / "__main__.py").write_text(program.replace("CORES", str(cores / 2)))
    assert "fit-cpus" not in project.pulumi("preview", "--policy-pack", pack).output
