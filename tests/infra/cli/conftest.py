"""A project of one stack, in a folder of its own, with a fake host behind it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.contract.paths import host_socket
from tests.infra.cli.fake_host import FakeHost, serving

STACK_FILE = """\
config:
  inferform:target: {kind: local}
  inferform:services:
    # the demo
    chat: {model: SmolLM2-135M-Instruct, replicas: {min: 1, max: 2}}   # small
    other:
      model: "SmolLM2-135M-Instruct"

      env:
        A: 'x'
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project's folder, which is the working folder; no stack is selected."""
    (tmp_path / "Pulumi.yaml").write_text("name: demo\nruntime: python\n")
    (tmp_path / "Pulumi.local.yaml").write_text(STACK_FILE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    with tempfile.TemporaryDirectory(prefix="if-") as short:  # a socket's path has at most 107 bytes
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        yield tmp_path


@pytest.fixture
def host(project: Path) -> Iterator[FakeHost]:
    """The fake host of the project's only stack."""
    with serving(host_socket(project / ".inferform" / "local")) as fake:
        yield fake
