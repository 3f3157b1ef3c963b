"""Host: adopts or starts the daemon, names who holds its port, leaves nothing."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from infra.provider.handlers.base import InitFailed
from infra.provider.handlers.host import HostHandler, HostInputs, endpoint, port_holder
from infra.provider.hosts import Hosts, host_environment
from infra.provider.operation import Operation, Refused
from runtime.contract.host import GatewaySettings
from runtime.contract.paths import host_socket
from tests.infra.provider.conftest import Said
from tests.infra.provider.fake_host import FakeHost

DAEMON = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.infra.provider.conftest import Said
from tests.infra.provider.fake_host import FakeHost
import threading, os
with FakeHost(Path(sys.argv[1]), stack=sys.argv[2], pid=os.getpid()) as host:
    while host_socket_there(): threading.Event().wait(0.02)
"""
ROOT = str(Path(__file__).resolve().parents[4])


def daemon(state: Path, stack: str) -> list[str]:
    """A process that answers as a host until it is shut down."""
    program = DAEMON.replace("host_socket_there()", "Path(sys.argv[3]).exists()").format(root=ROOT)
    return [sys.executable, "-c", program, str(state), stack, str(host_socket(state))]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def inputs(state: Path, port: int) -> tuple[dict[str, object], HostInputs]:
    values: dict[str, object] = {"state": str(state), "gateway": {"host": "127.0.0.1", "port": port}}
    return values, HostInputs.model_validate(values)


def test_a_running_host_is_adopted(host: FakeHost, operation: Operation) -> None:
    values, args = inputs(host.state, 8099)
    id, outputs = HostHandler(Hosts()).create(values, args, operation)
    assert id == str(host.state)
    assert outputs["endpoint"] == "http://127.0.0.1:8099"
    assert host.settings == GatewaySettings(port=8099)
    assert host.epoch == 1


def test_an_absent_host_is_started_in_a_session_of_its_own_and_shut_down(state: Path, operation: Operation) -> None:
    handler = HostHandler(Hosts(daemon))
    values, args = inputs(state, 8099)
    id, outputs = handler.create(values, args, operation)
    client = Hosts().reader(str(state))
    process = psutil.Process(client.host().pid)
    assert process.cmdline()[1] == "-c"
    assert psutil.Process(process.pid).terminal() is None
    (state / "logs" / "chat").mkdir()
    (state / "data" / "chat").mkdir(parents=True)
    handler.delete(id, outputs, args, operation)
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert not state.exists()
    assert not host_socket(state).parent.exists()
    handler.delete(id, outputs, args, operation)  # gone already is fine


def test_what_users_brought_outlives_the_host(state: Path, operation: Operation, said: Said) -> None:
    document = state / "data" / "chat" / "uploads" / "a.txt"
    document.parent.mkdir(parents=True)
    document.write_text("theirs")
    HostHandler(Hosts()).delete("id", {}, inputs(state, 8099)[1], operation)
    assert document.read_text() == "theirs"
    assert "kept what users brought: 1 files" in said.text


def test_a_host_that_cannot_start_says_why(state: Path, operation: Operation) -> None:
    handler = HostHandler(
        Hosts(lambda *_: [sys.executable, "-c", "import sys; sys.exit('ForeignState: of machine x')"])
    )
    with pytest.raises(Refused, match="ForeignState: of machine x"):
        handler.create(*inputs(state, 8099), operation)


def test_a_host_of_another_stack_is_refused(host: FakeHost, operation: Operation) -> None:
    host.stack = "organization/other/prod"
    with pytest.raises(Refused, match="belongs to the stack organization/other/prod"):
        HostHandler(Hosts()).create(*inputs(host.state, 8099), operation)


def test_a_busy_port_is_a_partial_failure_so_that_no_host_is_orphaned(host: FakeHost, operation: Operation) -> None:
    host.busy_port = "port 8099 is held by nginx (process 7)"
    with pytest.raises(InitFailed) as raised:
        HostHandler(Hosts()).create(*inputs(host.state, 8099), operation)
    assert raised.value.id == str(host.state)
    assert raised.value.reasons == ["port 8099 is held by nginx (process 7)"]


def test_a_preview_names_who_holds_the_port(state: Path, listener: socket.socket, operation: Operation) -> None:
    port = listener.getsockname()[1]
    values, _ = inputs(state, port)
    _, [failure] = HostHandler(Hosts()).check({}, values, operation)
    assert failure.property == "gateway.port"
    assert f"held by {psutil.Process().name()} (process {psutil.Process().pid})" in failure.reason


def test_the_gateways_own_port_is_no_error(host: FakeHost, listener: socket.socket, operation: Operation) -> None:
    port = listener.getsockname()[1]
    host.settings = GatewaySettings(port=port)
    assert HostHandler(Hosts()).check({}, inputs(host.state, port)[0], operation)[1] == []


def test_a_free_port_is_no_error(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    assert port_holder(GatewaySettings(port=port), set()) == ""


@pytest.mark.parametrize(
    ("bad", "property", "words"),
    [
        ({"state": "relative"}, "state", "absolute"),
        ({}, "state", "is required"),
        ({"state": "/s", "gateway": {"port": "x"}}, "gateway.port", "integer"),
        ({"state": "/s", "gatway": {}}, "gatway", "no property"),
    ],
)
def test_bad_inputs_are_named_by_property(bad: dict[str, object], property: str, words: str) -> None:
    _, [failure] = HostHandler(Hosts()).check({}, bad, Operation())
    assert failure.property == property
    assert words in failure.reason


def test_a_host_that_died_is_drift_and_a_refresh_forgets_nothing(state: Path, host: FakeHost) -> None:
    handler = HostHandler(Hosts())
    values, _ = inputs(host.state, 8070)
    host.settings = GatewaySettings()
    assert handler.drift(str(state), values, {}) == ""
    host.__exit__()
    assert handler.drift(str(state), values, {}) == "the host is gone"
    assert handler.read(str(state), values, {**values, "running": True}, Operation()) == (
        values,
        {**values, "running": False},
    )


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"host": "127.0.0.1", "port": 8070}, "http://127.0.0.1:8070"),
        ({"host": "0.0.0.0", "port": 1}, "http://127.0.0.1:1"),
        ({"host": "::1", "port": 1}, "http://[::1]:1"),
        (None, "http://127.0.0.1:8070"),
    ],
)
def test_the_endpoint_can_be_called_from_this_machine(settings: object, url: str) -> None:
    assert endpoint(settings) == url


def test_the_daemon_inherits_nothing_of_pulumi() -> None:
    kept = host_environment({"PULUMI_CONFIG_PASSPHRASE": "p", "PULUMI_CONFIG": "{}", "PATH": "/bin"})
    assert kept == {"PATH": "/bin"}
