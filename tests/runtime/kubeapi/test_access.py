"""Kubeconfigs and service accounts: what they give, and what is said when they give nothing."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml

from runtime.kubeapi import BadKubeconfig, NoCredentials, NoKubeconfig, UnknownContext, from_kubeconfig, in_cluster
from runtime.kubeapi.access import TokenFile


def kubeconfig(folder: Path, user: dict[str, object] | None = None, **changes: object) -> str:
    document: dict[str, object] = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "dev",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:6443"}}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [
            {"name": "dev", "context": {"cluster": "c", "user": "u", "namespace": "llm"}},
            {"name": "Prod/EU", "context": {"cluster": "c", "user": "u"}},
        ],
        **changes,
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(document))
    return str(path)


async def test_the_current_context_unless_one_is_named(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, {"token": "t"})
    access = await from_kubeconfig(path)
    assert (access.server, access.context, access.namespace) == ("http://127.0.0.1:6443", "dev", "llm")
    assert await access.credentials.authorization() == "Bearer t"
    assert (await from_kubeconfig(path, "Prod/EU")).namespace == ""


async def test_a_context_may_have_no_user(tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, contexts=[{"name": "dev", "context": {"cluster": "c"}}])
    assert await (await from_kubeconfig(path)).credentials.authorization() == ""


async def test_an_unknown_context_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownContext, match="no context 'prod'; its contexts: Prod/EU, dev") as caught:
        await from_kubeconfig(kubeconfig(tmp_path), "prod")
    assert caught.value.known == ("Prod/EU", "dev")


async def test_no_file_names_where_was_looked(tmp_path: Path) -> None:
    with pytest.raises(NoKubeconfig) as caught:
        await from_kubeconfig(environment={"KUBECONFIG": f"{tmp_path}/a:{tmp_path}/b"})
    assert caught.value.paths == (f"{tmp_path}/a", f"{tmp_path}/b")


@pytest.mark.parametrize("text", ["", "- a", "a: [", "contexts: 5", "clusters: [{}]\ncontexts: []\nusers: []"])
async def test_a_file_that_is_no_kubeconfig_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises((BadKubeconfig, UnknownContext)):
        await from_kubeconfig(str(path))


async def test_a_plugin_is_run_for_its_token_and_again_when_that_is_refused(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "N"}}
    body = json.dumps(answer).replace('"N"', '"\'"$(wc -c < count)"\'"')
    plugin.write_text(f"#!/bin/sh\ncd {tmp_path}\nprintf x >> count\necho '{body}'\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    path = kubeconfig(tmp_path, {"exec": {"apiVersion": answer["apiVersion"], "command": str(plugin)}})
    access = await from_kubeconfig(path)
    assert await access.credentials.authorization() == "Bearer 1"
    assert await access.credentials.authorization() == "Bearer 1"
    assert await access.credentials.authorization(refused=True) == "Bearer 2"


async def test_a_plugin_that_is_missing_or_fails_gives_no_credentials(tmp_path: Path) -> None:
    for command in ("/nowhere/plugin", "false"):
        user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": command}}
        with pytest.raises(NoCredentials):
            await from_kubeconfig(kubeconfig(tmp_path, user))


async def test_outside_of_a_pod_there_is_no_service_account(tmp_path: Path) -> None:
    with pytest.raises(NoCredentials, match="this is no pod"):
        await in_cluster({}, tmp_path)


async def test_a_token_file_is_read_again_when_its_token_was_refused(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    token = TokenFile(path)
    assert await token.authorization() == "Bearer one"
    path.write_text("two\n")
    assert await token.authorization() == "Bearer one"
    assert await token.authorization(refused=True) == "Bearer two"
