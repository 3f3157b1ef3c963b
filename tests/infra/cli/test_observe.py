"""`inferform status` and `logs`."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

from rich.console import Console
from typer.testing import CliRunner

from infra.cli.app import app
from infra.cli.failure import Failure
from infra.cli.status import Status, gather
from infra.cli.watch import follow
from infra.hostclient import HostClient
from infra.measured import Measured, record
from infra.plan import read_machine
from infra.plan.measured import machine_place
from runtime.contract.host import Drift, VersionFailure
from runtime.contract.paths import host_socket
from runtime.contract.phases import Phase
from tests.infra.cli.fake_host import FakeHost, version_state

run = CliRunner().invoke


def test_status_shows_versions_replicas_and_traffic(host: FakeHost) -> None:
    output = run(app, ["status"]).output
    digest = host.versions[0].record.hash
    assert f"chat  serving  standard  http://127.0.0.1:{host.port}/api/predict/chat" in output
    assert f"main {digest}  model-of-main  100% of traffic  1 of 1 wanted ready (bounds 1..2)" in output
    assert f"chat-{digest}-0  ready" in output


def test_status_shows_a_failed_rollout_beside_the_serving_version(host: FakeHost) -> None:
    failure = VersionFailure(phase=Phase.WEIGHTS, reason="weights are broken", log_tail=("last line",))
    host.versions.append(version_state("chat", "v2", ready=False, failure=failure, routed=False, leased=True))
    host.drift = [Drift(service="chat", hash="abc", text="nothing declares it")]
    output = run(app, ["status", "chat"]).output
    assert "chat  serving" in output
    assert "leased by a rollout" in output
    assert "120 of 269 MB" in output
    assert "failed in phase weights: weights are broken" in output
    assert "| last line" in output
    assert "drift: chat abc: nothing declares it" in output


def test_status_for_machines_is_json_without_environment_variables(host: FakeHost) -> None:
    result = run(app, ["status", "--output", "json"])
    data = json.loads(result.output)
    chat = data["services"]["chat"]
    assert (data["stack"], chat["state"], chat["traffic"], chat["applied"]) == ("local", "serving", {"main": 100}, 4)
    assert (chat["versions"][0]["ready"], chat["versions"][0]["weight"]) == (1, 100)
    assert "SECRET" not in result.output


def test_status_words_follow_the_route_and_the_replicas(host: FakeHost) -> None:
    def word() -> str:
        return str(json.loads(run(app, ["status", "-o", "json"]).output)["services"]["chat"]["state"])

    host.versions = [version_state("chat", "main", ready=False)]
    assert word() == "starting"
    failure = VersionFailure(phase=Phase.ENGINE, reason="x")
    host.versions = [version_state("chat", "main", ready=False, failure=failure)]
    assert word() == "down"
    host.stopped = True
    assert word() == "stopped"


def test_logs_are_shown_from_the_end(host: FakeHost) -> None:
    assert run(app, ["logs", "chat"]).output == "one\ntwo\n"
    assert run(app, ["logs", "chat", "--tail", "1"]).output == "two\n"
    assert run(app, ["logs", "chat", "-f"]).output == "one\ntwo\n"


def test_logs_of_several_versions_say_whose_they_are(host: FakeHost) -> None:
    host.versions.append(version_state("chat", "v2"))
    assert "# version v2" in run(app, ["logs", "chat"]).output
    assert sorted(run(app, ["logs", "chat", "-f"]).output.splitlines()) == [
        "main | one",
        "main | two",
        "v2 | one",
        "v2 | two",
    ]
    assert run(app, ["logs", "chat", "--version", "v2"]).output == "one\ntwo\n"


def test_logs_of_an_unknown_version_name_the_known(host: FakeHost) -> None:
    result = run(app, ["logs", "chat", "--version", "v9"])
    assert result.exit_code == 1
    assert "chat has no version v9" in result.stderr
    assert "main (" in result.stderr


def test_a_watched_status_is_shown_anew_and_survives_a_host_that_is_away(host: FakeHost, project: Path) -> None:
    client = HostClient(host_socket(project / ".inferform" / "local"))
    states = iter([True, False])
    rounds = iter([None, None])

    def look() -> Status:
        if next(states, False):
            return gather(client)
        raise Failure("nothing runs")

    def sleep(seconds: float) -> None:
        if next(rounds, "end") == "end":
            raise KeyboardInterrupt

    out = io.StringIO()
    follow(look, console=Console(file=out, force_terminal=True, width=120), sleep=sleep)
    assert "chat  serving" in out.getvalue()
    assert "nothing runs" in out.getvalue()


def test_a_watched_status_is_no_json(host: FakeHost) -> None:
    assert run(app, ["status", "--watch", "-o", "json"]).exit_code == 2


def test_measured_lists_starts_and_takes_in_memory_of_what_runs(host: FakeHost) -> None:
    assert "nothing is measured yet" in run(app, ["measured"]).output
    replica = host.versions[0].replicas[0].model_copy(update={"pid": os.getpid()})
    host.versions = [host.versions[0].model_copy(update={"replicas": (replica,)})]
    hash, place = host.versions[0].record.hash, machine_place(read_machine())
    facts = {"service": "chat", "version": "main", "date": "2026-11-25", "seconds": {"image": 3.0, "firstToken": 0.5}}
    record(Measured.model_validate({"hash": hash, "place": place, **facts}))
    assert f"chat     main     {hash}" in run(app, ["measured"]).output
    [kept] = json.loads(run(app, ["measured", "--now", "-o", "json"]).output)
    assert kept["memoryBytes"] > 2**24
    assert kept["seconds"] == {"image": 3.0, "firstToken": 0.5}
