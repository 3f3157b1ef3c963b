"""Informers: a local copy that is right again after every kind of break."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from runtime.kubeapi import CONFIG_MAPS, Informer
from tests.runtime.gateway.harness import until as soon
from tests.runtime.kubeapi.fake_api import FakeApi, client_of, fake_api, labelled


@asynccontextmanager
async def following(api: FakeApi, labels: str = "") -> AsyncIterator[Informer]:
    async with client_of(api) as kube:
        informer = Informer(kube, CONFIG_MAPS, "llm", labels=labels)
        task = asyncio.create_task(informer.run())
        try:
            await asyncio.wait_for(informer.synced.wait(), 5)
            yield informer
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(informer: Informer, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await informer.changed.wait()
            informer.changed.clear()


async def test_it_holds_what_is_there_and_what_comes_changes_and_goes() -> None:
    async with fake_api() as api:
        api.put("configmaps", "llm", labelled("a"))
        async with following(api) as informer:
            assert list(informer.objects) == ["a"]
            api.put("configmaps", "llm", labelled("b"))
            await until(informer, lambda: "b" in informer.objects)
            api.put("configmaps", "llm", labelled("b", data={"x": "1"}))
            await until(informer, lambda: informer.objects["b"].get("data") == {"x": "1"})
            api.remove("configmaps", "llm", "a")
            await until(informer, lambda: list(informer.objects) == ["b"])


async def test_only_what_the_selector_matches() -> None:
    async with fake_api() as api:
        async with following(api, labels="part=route") as informer:
            api.put("configmaps", "llm", labelled("x"))
            api.put("configmaps", "llm", labelled("y", {"part": "route"}))
            await until(informer, lambda: "y" in informer.objects)
            assert list(informer.objects) == ["y"]


async def test_a_broken_watch_goes_on_where_it_was_without_a_new_list() -> None:
    async with fake_api() as api:
        async with following(api) as informer:
            api.put("configmaps", "llm", labelled("a"))
            await until(informer, lambda: "a" in informer.objects)
            api.drop_watches()
            api.put("configmaps", "llm", labelled("b"))
            await until(informer, lambda: "b" in informer.objects)
            assert api.calls.count("LIST configmaps") == 1
            assert informer.problem is None


async def test_a_version_that_is_gone_is_listed_anew() -> None:
    async with fake_api() as api:
        api.put("configmaps", "llm", labelled("a"))
        async with following(api) as informer:
            await soon(lambda: api.watches)
            watches, api.watches = api.watches, []  # it hears nothing of this any more
            api.remove("configmaps", "llm", "a")
            api.put("configmaps", "llm", labelled("b"))
            api.forget_history()
            api.watches = watches
            api.drop_watches()
            await until(informer, lambda: list(informer.objects) == ["b"])
            assert api.calls.count("LIST configmaps") == 2


async def test_while_nobody_answers_the_last_copy_stays() -> None:
    async with fake_api() as api:
        api.put("configmaps", "llm", labelled("a"))
        async with following(api) as informer:
            await soon(lambda: api.watches)
            api.refuse["WATCH configmaps"] = (500, "InternalError", "etcd is away")
            api.drop_watches()
            await soon(lambda: informer.problem)
            assert list(informer.objects) == ["a"]
            api.put("configmaps", "llm", labelled("b"))
            api.refuse.clear()
            await until(informer, lambda: "b" in informer.objects)
            await soon(lambda: informer.problem is None)
