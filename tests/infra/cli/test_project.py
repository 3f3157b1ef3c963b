"""Which project and stack a command is about."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from infra.cli.failure import Failure
from infra.cli.project import Here, choose_stack, find_project


def test_the_project_is_found_upwards(project: Path) -> None:
    inner = project / "a" / "b"
    inner.mkdir(parents=True)
    assert find_project(inner).root == project
    assert find_project(inner).name == "demo"


def test_the_programs_folder_is_what_main_names(project: Path) -> None:
    assert find_project(project).program_folder == project.resolve()
    (project / "infra").mkdir()
    (project / "Pulumi.yaml").write_text("name: demo\nmain: infra\n")
    assert find_project(project).program_folder == (project / "infra").resolve()


def test_outside_a_project_the_message_says_so(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"no Pulumi\.yaml"):
        find_project(tmp_path)


def test_the_stack_given_wins_over_the_selected_and_the_only_one(project: Path) -> None:
    here = find_project(project)
    digest = hashlib.sha1(str(project / "Pulumi.yaml").encode(), usedforsecurity=False).hexdigest()
    assert choose_stack(here, None) == "local"
    workspaces = project / "home" / "workspaces"
    workspaces.mkdir(parents=True)
    selected = {"stack": "organization/demo/staging"}
    (workspaces / f"demo-{digest}-workspace.json").write_text(json.dumps(selected))
    assert choose_stack(here, None) == "staging"
    assert choose_stack(here, None, {"PULUMI_STACK": "organization/demo/prod", "HOME": "/"}) == "prod"
    assert choose_stack(here, "mine") == "mine"


def test_several_stacks_and_none_selected_is_wrong_usage(project: Path) -> None:
    (project / "Pulumi.prod.yaml").write_text("config: {}\n")
    with pytest.raises(Failure, match="several stacks: local, prod"):
        choose_stack(find_project(project), None)


def test_a_stack_without_a_file_names_the_nearest(project: Path) -> None:
    with pytest.raises(Failure) as failure:
        _ = Here(find_project(project), "locl").file
    assert failure.value.hint == "did you mean local?"


def test_the_state_folder_is_the_targets_own_or_the_usual_one(project: Path) -> None:
    here = Here(find_project(project), "local")
    assert here.state == project / ".inferform" / "local"
    (project / "Pulumi.local.yaml").write_text("config:\n  inferform:target: {kind: local, state: elsewhere}\n")
    assert here.state == project / "elsewhere"
