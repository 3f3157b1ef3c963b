"""`pulumi up` on an empty cluster: pods on a real kubelet that answer ChatLLM, OpenAI's API and WebSockets."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import websocket

from runtime.contract.cluster import GATEWAY, HASH, PART, PART_VERSION, SERVICE
from tests.cluster.harness import ClusterProject, small
from tests.e2e.harness import ask, ask_stream

DEFAULT = {"model": "SmolLM2-135M-Instruct", "method": "standard", "resources": {"cpus": 1, "memoryGiB": 3}}


def openai(project: ClusterProject, service: str, token: str) -> str:
    """One request of OpenAI's chat API."""
    body = json.dumps({"model": "default", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 8})
    request = urllib.request.Request(
        f"{project.endpoint}/api/predict/{service}/v1/chat/completions",
        data=body.encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        answer: dict[str, Any] = json.load(reply)
    return str(answer["choices"][0]["message"]["content"])


def over_websocket(project: ClusterProject, service: str, token: str, *prompts: str) -> list[str]:
    """The last text before each `<EOS>`."""
    url = f"{project.endpoint.replace('http', 'ws', 1)}/api/predict/{service}"
    socket = websocket.create_connection(url, header={"Authorization": token}, timeout=60)
    try:
        for prompt in prompts:
            socket.send(json.dumps({"prompt": prompt, "use_stream_chat": False}))
        frames = [str(socket.recv()) for _ in range(2 * len(prompts))]
    finally:
        socket.close()
    assert frames[1::2] == ["<EOS>"] * len(prompts)
    return frames[::2]


def test_every_protocol_answers_and_destroy_leaves_nothing(project: ClusterProject) -> None:
    services = {"chat": small("hello from a pod"), "my_model": DEFAULT}
    project.write(services)
    preview = project.preview()
    assert "chat" in preview
    project.up()
    token = project.token("chat")
    assert ask(project.endpoint, "chat", token).text == "hello from a pod"
    assert ask_stream(project.endpoint, "chat", token)[-1] == "hello from a pod"
    assert openai(project, "chat", token) == "hello from a pod"
    assert over_websocket(project, "chat", token, "a", "b") == ["hello from a pod"] * 2
    assert ask(project.endpoint, "chat", "wrong").status == 401
    assert ask(project.endpoint, "nobody", token).status == 404

    mine = project.token("my_model")
    answer = ask(project.endpoint, "my_model", mine, "What is the capital of Canada?", do_sample=False)
    assert answer.text == "The capital of Canada is Ottawa, Canada."
    project.assert_no_changes()
    every_pod_is_restricted(project)
    no_start_compiles_anything(project, "my_model")

    # EAS's in-cluster address reaches the same gateway.
    alias = project.get("service", "my-model")["spec"]
    assert alias["selector"] == project.get("service", GATEWAY)["spec"]["selector"]

    kept = {pod["metadata"]["uid"] for pod in project.pods({PART: PART_VERSION})}
    services["chat"]["limits"] = {"queue": 9}
    project.write(services)
    assert set(project.changes().values()) == {"update"}
    project.up()
    assert {pod["metadata"]["uid"] for pod in project.pods({PART: PART_VERSION})} == kept, "nothing restarted"

    project.write({"chat": services["chat"]})
    project.up()
    assert ask(project.endpoint, "my_model", mine).status == 404
    assert {pod["metadata"]["labels"][HASH] for pod in project.pods({PART: PART_VERSION})} == {
        ask(project.endpoint, "chat", token).version
    }


STALE = """
import struct, sys
import aiohttp, torch, transformers, runtime.replica.serve
for name, module in sorted(sys.modules.items()):
    spec = getattr(module, "__spec__", None)
    if spec is None or not spec.cached or not str(spec.origin).endswith(".py"):
        continue
    try:
        with open(spec.cached, "rb") as file:
            hashed, = struct.unpack("<4xI", file.read(8))
    except FileNotFoundError:
        hashed = 0
    if hashed != 1:
        print(name)
"""


def no_start_compiles_anything(project: ClusterProject, service: str) -> None:
    """Every module has bytecode that holds whatever its source's date: a start has no place to keep any."""
    [pod] = project.pods({PART: PART_VERSION, SERVICE: service})
    assert project.kubectl("exec", pod["metadata"]["name"], "--", "python", "-c", STALE).split() == []


def every_pod_is_restricted(project: ClusterProject) -> None:
    """The namespace enforces the restricted standard, and nothing mounts a token that it does not need."""
    labels = project.cluster.get("namespace", project.namespace)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for pod in project.pods({PART: PART_VERSION}):
        assert pod["spec"]["automountServiceAccountToken"] is False
        [container] = pod["spec"]["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
