"""`status`, `logs`, `endpoint`, `token` and `call` where the target is a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from infra.cli.app import app
from infra.cluster import ClusterClient
from runtime.contract.cluster import ClusterAddress
from runtime.contract.host import Scale, TokenRecord
from tests.infra.cluster.conftest import STACK
from tests.infra.cluster.fake_cluster import NAMESPACE, ClusterThread
from tests.infra.cluster.test_client import HASH, deployed, table
from tests.infra.conftest import connections_to

run = CliRunner().invoke
TARGET = "config:\n  inferform:target: {kind: kubernetes, context: test, namespace: llm, kubeconfig: kube.yaml}\n"


@pytest.fixture
def thread(project: Path) -> Iterator[ClusterThread]:
    """A cluster that runs the project's one service."""
    made = ClusterThread()
    (project / "Pulumi.local.yaml").write_text(TARGET)
    cluster = {"name": "c", "cluster": {"server": made.url}}
    context = {"name": "test", "context": {"cluster": "c", "user": ""}}
    kubeconfig = {"apiVersion": "v1", "kind": "Config", "clusters": [cluster], "contexts": [context]}
    (project / "kube.yaml").write_text(yaml.safe_dump(kubeconfig))
    yield made
    made.close()


@pytest.fixture
def serving(thread: ClusterThread) -> Iterator[ClusterThread]:
    connections = connections_to(thread.url)
    client = ClusterClient(ClusterAddress(namespace=NAMESPACE), connections=connections)
    client.ensure_namespace(STACK, pod_security=True)
    thread.do(thread.cluster.gateway)
    thread.serve_gateway()
    deployed(client, thread)
    client.lease("chat", HASH, 30)
    client.scale("chat", HASH, Scale(replicas=1))
    client.end_lease("chat", HASH)
    client.put_token("chat", TokenRecord(token="secret" * 4))
    client.put_route(table(HASH), url="http://models.example/api/predict/chat")
    connections.close()
    return thread


def test_status_shows_pods_as_replicas(serving: ClusterThread) -> None:
    result = run(app, ["status"])
    assert result.exit_code == 0, result.output
    assert "chat  serving  standard  http://models.example/api/predict/chat" in result.output
    assert "1 of 1 wanted ready (bounds 1..4)" in result.output
    assert f"chat-{HASH}-1  ready" in result.output
    assert json.loads(run(app, ["status", "-o", "json"]).output)["services"]["chat"]["state"] == "serving"


def test_endpoint_and_token_are_those_of_the_cluster(serving: ClusterThread) -> None:
    assert run(app, ["endpoint", "chat"]).output == "http://models.example/api/predict/chat\n"
    assert run(app, ["token", "chat"]).output == f"{'secret' * 4}\n"


def test_logs_are_those_of_the_pods(serving: ClusterThread) -> None:
    assert run(app, ["logs", "chat"]).output == f"log of chat-{HASH}-1\n"
    assert run(app, ["logs", "chat", "--replica", f"chat-{HASH}-1"]).output == f"log of chat-{HASH}-1\n"


def test_call_goes_through_a_port_forward(serving: ClusterThread) -> None:
    result = run(app, ["call", "chat", "x", "--json"])
    assert (result.exit_code, json.loads(result.output)) == (0, {"response": ""})
    assert any("portforward" in call for call in serving.cluster.calls)


def test_a_cluster_that_knows_no_stack_says_so(thread: ClusterThread) -> None:
    result = run(app, ["token", "chat"])
    assert result.exit_code == 1
    assert "nothing is deployed: run `pulumi up`" in result.stderr


def test_a_wrong_context_is_named_with_those_that_there_are(thread: ClusterThread, project: Path) -> None:
    (project / "Pulumi.local.yaml").write_text(TARGET.replace("context: test", "context: prod"))
    for command in (["endpoint"], ["token", "chat"], ["call", "chat", "x"], ["status"], ["logs", "chat"]):
        result = run(app, command)
        assert result.exit_code == 1
        assert "target.context: there is no context 'prod'; its contexts: test" in result.stderr
