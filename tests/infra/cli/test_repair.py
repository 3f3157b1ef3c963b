"""`inferform repair`: what it decides, on plain data."""

from __future__ import annotations

import json
from pathlib import Path

from infra.cli.repair import Process, busy, left_over, pending_creates

ROOT = Path("/project")


def process(pid: int, parent: int, *command: str, folder: str = "/project") -> Process:
    return Process(pid=pid, parent=parent, command=command, folder=folder)


def test_a_working_pulumi_command_of_this_project_is_busy() -> None:
    up = process(10, 1, "/tools/pulumi", "up", "--yes")
    others = [process(11, 1, "pulumi", "up", folder="/elsewhere"), process(12, 1, "pulumi", "stack", "ls")]
    assert busy([up, *others], ROOT) == [up]


def test_parts_without_an_engine_above_them_are_left_over() -> None:
    plugin = process(20, 1, "/venv/bin/python", "/venv/bin/pulumi-resource-inferform", "127.0.0.1:1")
    language = process(21, 1, "/tools/pulumi-language-python", "127.0.0.1:1")
    program = process(22, 21, "python3", "-u", "/tools/pulumi-language-python-exec", "--root")
    owned = process(31, 30, "/tools/pulumi-language-python", "127.0.0.1:2")
    processes = [plugin, language, program, process(30, 1, "pulumi", "up"), owned]
    assert left_over(processes, (ROOT,)) == [plugin, language, program]


def test_parts_of_another_project_are_left_alone() -> None:
    assert left_over([process(20, 1, "pulumi-resource-inferform", folder="/elsewhere")], (ROOT,)) == []


def test_parts_that_work_in_the_programs_folder_are_found() -> None:
    language = process(21, 1, "/tools/pulumi-language-python", folder="/shared/infra")
    assert left_over([language], (ROOT, Path("/shared/infra"))) == [language]


def test_only_creates_count_as_pending() -> None:
    urn = "urn:pulumi:local::demo::inferform:index:Version::chat-abc"
    operations = [{"type": "creating", "resource": {"urn": urn}}, {"type": "updating", "resource": {"urn": "x"}}]
    assert pending_creates(json.dumps({"deployment": {"pending_operations": operations}})) == [urn]
    assert pending_creates(json.dumps({"deployment": None})) == []
