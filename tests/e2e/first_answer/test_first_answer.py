"""The smallest stack file: the real default model answers a curl, and the CLI finds endpoint and token."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Project, ask, ask_stream

SMALLEST = {"chat": {"model": "SmolLM2-135M-Instruct", "method": "standard", "replicas": {"min": 1, "max": 2}}}
QUESTION = "What is the capital of Canada?"
ANSWER = "The capital of Canada is Ottawa, Canada."


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    """One deployment of the default model for all of these tests."""
    with tempfile.TemporaryDirectory(prefix="ife-") as folder, Project(Path(folder)) as made:
        made.write(SMALLEST)
        made.up()
        yield made


def test_the_default_model_answers_every_kind_of_client(project: Project) -> None:
    service = project.outputs()["chat"]
    token, endpoint = service["token"], service["endpoint"]
    assert endpoint == f"{project.endpoint}/api/predict/chat"

    curl = ["curl", "-s", "-d", json.dumps({"prompt": QUESTION, "do_sample": False}), "-H", f"Authorization: {token}"]
    reply = json.loads(subprocess.run([*curl, endpoint], capture_output=True, check=True).stdout)
    assert reply["response"] == ANSWER
    assert reply["history"] == [[QUESTION, ANSWER]]

    records = ask_stream(project.endpoint, "chat", token, QUESTION, do_sample=False)
    assert len(records) > 3
    assert records[-1] == ANSWER
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(records))

    def inferform(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "infra.cli", *arguments, "--stack", "test"],
            cwd=project.folder, env=project.environment, capture_output=True, text=True, check=True, timeout=120,
        ).stdout  # fmt: skip

    assert inferform("endpoint", "chat").strip() == endpoint
    assert inferform("token", "chat").strip() == token
    assert inferform("call", "chat", QUESTION, "--temperature", "0").strip() == ANSWER
    assert "main" in inferform("status")
    assert token not in inferform("logs", "chat")
    project.assert_no_changes()


def test_bad_input_gets_the_answer_that_the_protocol_words(project: Project) -> None:
    token = project.token()
    assert ask(project.endpoint, "chat", "wrong").status == 401
    assert (ask(project.endpoint, "nobody", token).status, ask(project.endpoint, "nobody", token).body) == (404, b"")
    assert ask(project.endpoint, "chat", token, "word " * 20_000).status == 400
    assert ask(project.endpoint, "chat", token, temperature="hot").status == 400
    assert ask(project.endpoint, "chat", token, QUESTION, max_new_tokens=10**9, do_sample=False).text == ANSWER
