"""What cannot be started says why and touches nothing; a folder that is not a cluster's is never emptied."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tools.cluster import __main__ as command
from tools.cluster import control
from tools.cluster.layout import LONGEST_STATE
from tools.cluster.process import Process
from tools.cluster.record import Record
from tools.console import StepFailed


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERFORM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(control, "PROGRAMS", {})


def up(state: Path) -> None:
    control.up(state, state / "bins", state / "pause")


def test_without_root_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(StepFailed) as failed:
        up(tmp_path / "state")
    assert "sudo" in failed.value.remedy


def test_missing_programs_are_named_with_their_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PROGRAMS", {"no-such-program": "its-package"})
    with pytest.raises(StepFailed, match="no-such-program") as failed:
        up(tmp_path / "state")
    assert "apt-get install its-package" in failed.value.remedy


def test_a_folder_whose_sockets_would_have_too_long_paths_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StepFailed) as failed:
        up(tmp_path / ("x" * LONGEST_STATE))
    assert str(LONGEST_STATE) in failed.value.remedy


def test_a_folder_with_other_things_is_neither_used_nor_emptied(tmp_path: Path) -> None:
    (tmp_path / "photos").touch()
    with pytest.raises(StepFailed, match="starting a cluster"):
        up(tmp_path)
    assert not control.down(tmp_path)
    assert (tmp_path / "photos").exists()


def test_what_a_dead_cluster_left_is_removed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    dead = Process(os.getpid(), 1, "another boot")
    Record(number=99, state=str(state), bins="/bins", pause="/pause", first=dead).write()
    assert control.running_record(state) is None
    assert control.down(state)
    assert not state.exists()


def test_status_of_nothing_is_said_to_people_and_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--state", str(tmp_path / "state"), "status"]
    assert command.main(asked) == 3
    assert "no cluster runs" in capsys.readouterr().out
    assert command.main([*asked, "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["running"] is False


def test_commands_on_a_cluster_that_does_not_run_name_the_one_that_starts_it(tmp_path: Path) -> None:
    with pytest.raises(StepFailed) as failed:
        command.main(["--state", str(tmp_path / "state"), "load", "image.tar"])
    assert failed.value.remedy == "scripts/cluster up starts one"
