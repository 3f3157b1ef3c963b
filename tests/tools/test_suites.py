"""Every suite runs although an earlier one failed, and one failure fails the whole."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tools.project import Project
from tools.suites import cluster_wanted, run_suites


def test_all_suites_run_and_one_failure_fails_the_whole(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    suites = {"first": ["false"], "second": ["touch", "ran"]}
    assert run_suites(suites, Project(tmp_path), os.environ) == 1
    assert (tmp_path / "ran").exists()
    said = capfd.readouterr().err
    assert "FAILED (1)" in said
    assert re.search(r"^second +ok", said, re.MULTILINE)


def test_all_good_is_zero(tmp_path: Path) -> None:
    assert run_suites({"first": ["true"]}, Project(tmp_path), os.environ) == 0


@pytest.mark.parametrize(
    ("user", "environment", "wanted"), [(0, {}, True), (1000, {}, False), (1000, {"CI": "true"}, True)]
)
def test_cluster_tests_are_left_out_only_at_a_desk_without_root(
    user: int, environment: dict[str, str], wanted: bool
) -> None:
    assert cluster_wanted(user, environment) is wanted
