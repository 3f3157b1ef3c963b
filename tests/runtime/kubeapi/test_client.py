"""Calls: plain data in and out, errors by what they are, credentials that are renewed when they are refused."""

from __future__ import annotations

import pytest

from runtime.kubeapi import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    NODES,
    PODS,
    Access,
    AlreadyExists,
    ApiProblem,
    Blocking,
    Conflict,
    Forbidden,
    KubeClient,
    NotFound,
    Unauthorized,
    Unreachable,
)
from tests.runtime.kubeapi.fake_api import Token, client_of, fake_api, labelled


async def test_an_object_is_created_read_replaced_and_deleted() -> None:
    async with fake_api() as api, client_of(api) as kube:
        await kube.create(CONFIG_MAPS, "llm", labelled("a", data={"x": "1"}))
        read = await kube.get(CONFIG_MAPS, "llm", "a")
        assert read["data"] == {"x": "1"}
        assert (read["apiVersion"], read["kind"]) == ("v1", "ConfigMap")
        read["data"]["x"] = "2"
        assert (await kube.replace(CONFIG_MAPS, "llm", read))["data"] == {"x": "2"}
        await kube.delete(CONFIG_MAPS, "llm", "a")
        with pytest.raises(NotFound):
            await kube.get(CONFIG_MAPS, "llm", "a")


async def test_a_write_of_what_has_changed_since_is_a_conflict() -> None:
    async with fake_api() as api, client_of(api) as kube:
        first = await kube.create(CONFIG_MAPS, "llm", labelled("a"))
        await kube.merge_patch(CONFIG_MAPS, "llm", "a", {"data": {"x": "1"}})
        with pytest.raises(Conflict):
            await kube.replace(CONFIG_MAPS, "llm", first)
        with pytest.raises(AlreadyExists):
            await kube.create(CONFIG_MAPS, "llm", labelled("a"))


async def test_lists_are_selected_by_labels_and_know_their_kind() -> None:
    async with fake_api() as api, client_of(api) as kube:
        api.put("configmaps", "llm", labelled("a", {"part": "route"}))
        api.put("configmaps", "llm", labelled("b", {"part": "version"}))
        api.put("configmaps", "other", labelled("c", {"part": "route"}))
        listed = await kube.list(CONFIG_MAPS, "llm", labels="part=route")
        assert [(each["metadata"]["name"], each["kind"]) for each in listed] == [("a", "ConfigMap")]
        assert len(await kube.list(CONFIG_MAPS, labels="part=route")) == 2


async def test_a_count_is_set_by_the_scale_subresource_alone() -> None:
    async with fake_api() as api, client_of(api) as kube:
        api.put("deployments", "llm", labelled("chat", spec={"replicas": 1, "paused": True}))
        await kube.scale(DEPLOYMENTS, "llm", "chat", 3)
        assert api.calls == ["PATCH deployments/chat/scale"]
        assert api.get("deployments", "llm", "chat")["spec"] == {"replicas": 3, "paused": True}


async def test_a_missing_right_is_named_with_verb_resource_and_namespace() -> None:
    async with fake_api() as api, client_of(api) as kube:
        api.refuse["LIST configmaps"] = (403, "Forbidden", "configmaps is forbidden: User x cannot list")
        with pytest.raises(Forbidden) as caught:
            await kube.list(CONFIG_MAPS, "llm")
        problem = caught.value
        assert (problem.verb, problem.resource, problem.namespace) == ("list", "configmaps", "llm")
        assert str(problem) == "list configmaps in llm: configmaps is forbidden: User x cannot list"


async def test_rights_can_be_asked_for() -> None:
    async with fake_api() as api, client_of(api) as kube:
        api.refuse["create nodes"] = (403, "Forbidden", "")
        assert await kube.can("list", PODS, "llm")
        assert not await kube.can("create", NODES)


async def test_credentials_that_were_refused_are_renewed_once() -> None:
    async with fake_api() as api, client_of(api, "Bearer old", "Bearer new") as kube:
        api.token = "Bearer new"
        assert await kube.list(CONFIG_MAPS, "llm") == []
        api.token = "Bearer another"
        with pytest.raises(Unauthorized):
            await kube.list(CONFIG_MAPS, "llm")


async def test_a_server_that_is_busy_is_asked_again() -> None:
    async with fake_api() as api, client_of(api) as kube:
        api.busy = 2
        assert await kube.list(CONFIG_MAPS, "llm") == []
        api.busy = 99
        with pytest.raises(ApiProblem) as caught:
            await kube.list(CONFIG_MAPS, "llm")
        assert caught.value.status == 429


async def test_nobody_there_is_unreachable_with_the_address() -> None:
    async with KubeClient(Access(server="http://127.0.0.1:1", credentials=Token())) as kube:
        with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1 does not answer"):
            await kube.version()


async def test_logs_are_text() -> None:
    async with fake_api() as api, client_of(api) as kube:
        assert await kube.logs("llm", "pod-1") == "log of pod-1\n"
        assert b"".join([chunk async for chunk in kube.follow_logs("llm", "pod-1")]) == b"log of pod-1\n"


async def test_a_thread_uses_the_same_client() -> None:
    import asyncio

    async with fake_api() as api:
        api.put("configmaps", "llm", labelled("a"))

        async def connect() -> Access:
            return Access(server=api.url, credentials=Token())

        def use() -> tuple[str, bytes]:
            with Blocking(connect) as blocking:
                name = blocking.run(blocking.client.get(CONFIG_MAPS, "llm", "a"))["metadata"]["name"]
                log = b"".join(blocking.iterate(blocking.client.follow_logs("llm", "pod-1")))
                with pytest.raises(NotFound):
                    blocking.run(blocking.client.get(CONFIG_MAPS, "llm", "b"))
                return name, log

        assert await asyncio.to_thread(use) == ("a", b"log of pod-1\n")
