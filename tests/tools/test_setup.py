"""What is missing is installed or named; the provider's version is the one that its Python package wants."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import setup
from tools.console import StepFailed
from tools.venv import pins

ROOT = Path(__file__).resolve().parents[2]


def test_the_built_provider_has_the_version_that_the_python_package_asks_for() -> None:
    program = (ROOT / "tools" / "kubernetes-provider" / "plugin" / "main.go").read_text()
    assert re.findall(r'var version = "(.*)"', program) == [setup.PROVIDER]
    assert pins((ROOT / "constraints.txt").read_text())["pulumi_kubernetes"] == setup.PROVIDER


def test_packages_that_cannot_be_installed_are_an_error_that_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(StepFailed, match="installing runc") as failed:
        setup._install_packages(["runc"])
    assert failed.value.remedy == "as root: apt-get install runc"


def test_packages_that_tests_can_do_without_are_only_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    setup._try_packages(["chromium"])
    assert "skipped, or fails in CI: chromium" in capsys.readouterr().err


def test_two_programs_of_one_package_name_it_once() -> None:
    assert setup._missing({"no-such-program": "one", "no-such-either": "one", "sh": "dash"}) == ["one"]
