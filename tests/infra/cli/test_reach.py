"""`inferform endpoint`, `token` and `call`."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from infra.cli.app import app
from runtime.contract.names import VERSION_HEADER
from tests.infra.cli.fake_host import TOKEN, FakeHost

run = CliRunner().invoke


def test_endpoint_prints_the_url_alone(host: FakeHost) -> None:
    url = f"http://127.0.0.1:{host.port}/api/predict/chat"
    assert run(app, ["endpoint", "chat"]).output == f"{url}\n"
    assert run(app, ["endpoint"]).output == f"chat\t{url}\n"


def test_token_prints_the_token_alone_on_standard_output(host: FakeHost) -> None:
    assert run(app, ["token", "chat"]).output == f"{TOKEN}\n"
    hinted = run(app, ["token", "chat", "--rotate-hint"])
    assert hinted.stdout == f"{TOKEN}\n"
    assert "tokenRotation: 4" in hinted.stderr


def test_call_shows_a_cumulative_stream_once(host: FakeHost) -> None:
    result = run(app, ["call", "chat", "Capital?", "--system", "Be brief.", "--max-new-tokens", "9", "--version", "v2"])
    assert (result.exit_code, result.output) == (0, "Ottawa\n")
    _, path, headers, body = host.requests[-1]
    assert path == "/api/predict/chat"
    assert (headers["Authorization"], headers[VERSION_HEADER]) == (TOKEN, "v2")
    asked = {"prompt": "Capital?", "system_prompt": "Be brief.", "max_new_tokens": 9, "use_stream_chat": True}
    assert json.loads(body) == asked


def test_call_reads_the_prompt_from_standard_input(host: FakeHost) -> None:
    assert run(app, ["call", "chat", "-"], input="from a pipe").exit_code == 0
    assert json.loads(host.requests[-1][3])["prompt"] == "from a pipe"


def test_call_prints_the_whole_answer_as_json(host: FakeHost) -> None:
    assert json.loads(run(app, ["call", "chat", "x", "--json"]).output) == {"response": "Ottawa"}


def test_a_refused_call_says_why_and_what_to_do(host: FakeHost) -> None:
    host.status = 503
    result = run(app, ["call", "chat", "x"])
    assert result.exit_code == 1
    assert "503 Service Unavailable: no healthy upstream" in result.stderr
    assert "inferform status" in result.stderr
    assert TOKEN not in result.output


def test_an_unknown_service_names_the_nearest(host: FakeHost) -> None:
    result = run(app, ["call", "chatt", "x"])
    assert result.exit_code == 1
    assert "did you mean chat?" in result.stderr


def test_without_a_host_every_command_says_what_to_do(project: object) -> None:
    for command in (["endpoint"], ["token", "chat"], ["call", "chat", "x"], ["status"], ["logs", "chat"]):
        result = run(app, command)
        assert result.exit_code == 1
        assert "nothing runs for stack local" in result.stderr
        assert "pulumi up" in result.stderr
