"""What serves is the stack's own last output `services`, asked of the engine without a resource of its own."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from tests.e2e.harness.project import REPOSITORY, Project

PROGRAM = """
import sys
sys.path.insert(0, {repository!r})
import pulumi
from catalog import load
from components._deployed import deployed
pulumi.log.info(f"serves: {{sorted(deployed(load()).services)}}")
plan = {{"versions": {{"main": {{"hash": "a", "replicas": {{"min": 1, "max": 2}}, "nodeShare": 1}}}}}}
pulumi.export("services", {{"chat": {{"token": pulumi.Output.secret("not to be seen"), "plan": plan}}}})
"""


def test_a_new_stack_serves_nothing_and_the_next_preview_knows_what_came_up(tmp_path: Path) -> None:
    with Project(tmp_path / "project") as project:
        program = project.folder / "program"
        program.mkdir()
        (program / "__main__.py").write_text(PROGRAM.format(repository=str(REPOSITORY)))
        described = yaml.safe_load((project.folder / "Pulumi.yaml").read_text())
        (project.folder / "Pulumi.yaml").write_text(yaml.safe_dump({**described, "main": "program"}))
        assert "serves: []" in project.preview()
        project.up()
        said = project.preview()
        assert "serves: ['chat']" in said
        assert "not to be seen" not in said
        assert project.changes() == {}
        state = json.loads(project.pulumi("stack", "export").output)
        kinds = {each["type"] for each in state["deployment"]["resources"]}
        assert kinds == {"pulumi:pulumi:Stack", "pulumi:providers:pulumi"}  # the engine's own, shown in no diff
