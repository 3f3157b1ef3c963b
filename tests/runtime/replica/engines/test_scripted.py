"""The scripted engine keeps its script: text, length, speed, failures, places."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from runtime.contract.phases import Phase
from runtime.contract.version import EngineKind, Method, VersionTemplate
from runtime.replica.engines.base import (
    EngineFailed,
    Message,
    NotSupported,
    Prompt,
    PromptTooLong,
    Sampling,
    Step,
)
from runtime.replica.engines.scripted import ScriptedEngine


def build(template: dict[str, Any] | None = None, **script: Any) -> ScriptedEngine:
    return ScriptedEngine(
        VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED, engine_args=script, **(template or {}))
    )


async def steps_of(engine: ScriptedEngine, prompt: str = "one two", **sampling: Any) -> list[Step]:
    encoded = await engine.encode(Prompt(messages=(Message("user", prompt),)))
    return [step async for step in engine.generate(encoded, Sampling(**sampling))]


def text_of(steps: list[Step]) -> str:
    return "".join(step.text for step in steps)


async def test_it_echoes_the_last_words_of_the_prompt() -> None:
    steps = await steps_of(build(), "hello  there\nworld")
    assert text_of(steps) == "hello there world"
    assert steps[-1] == Step("", 4, "stop")


async def test_the_limit_ends_with_the_last_tokens_text() -> None:
    steps = await steps_of(build(text="a b c"), max_tokens=2)
    assert steps == [Step("a", 1), Step(" b", 2, "length")]


async def test_it_repeats_its_text_for_a_chosen_length_or_when_the_end_is_ignored() -> None:
    assert len(await steps_of(build(text="a b", tokens=5))) == 6
    steps = await steps_of(build(text="a b"), ignore_eos=True, max_tokens=7)
    assert (len(steps), steps[-1].finish_reason) == (7, "length")


@pytest.mark.parametrize(
    ("stop", "wanted"), [("wo", "one t"), ("e t", "on"), ("two three", "one "), ("absent", "one two three")]
)
async def test_stop_texts_end_the_answer_even_across_tokens(stop: str, wanted: str) -> None:
    steps = await steps_of(build(text="one two three"), stop=(stop,))
    assert text_of(steps) == wanted
    assert steps[-1].finish_reason == "stop"


async def test_stop_tokens_end_the_answer() -> None:
    engine = build(text="a b c")
    b = (await engine.encode(Prompt(text="a b"))).token_ids[1]
    steps = await steps_of(engine, stop_tokens=(b,))
    assert (text_of(steps), steps[-1].finish_reason) == ("a", "stop")


async def test_logprobs_have_exactly_the_asked_number_of_alternatives() -> None:
    steps = await steps_of(build(text="a b"), logprobs=3)
    assert [len(step.logprobs[0].top) for step in steps] == [3, 3, 3]
    assert steps[0].logprobs[0].token == "a"
    assert (await steps_of(build(text="a b"), logprobs=0))[0].logprobs[0].top == ()


async def test_token_ids_and_text_correspond() -> None:
    engine, text = build(), "  two  spaces\nand " + "long" * 50 + " \t "
    assert engine.decode((await engine.encode(Prompt(text=text))).token_ids) == text


async def test_failures_on_demand() -> None:
    with pytest.raises(EngineFailed, match="asked to fail after 1"):
        await steps_of(build(text="a b", failAfterTokens=1))
    with pytest.raises(NotSupported, match="guided_json"):
        await steps_of(build(), guided=("json", "{}"))
    with pytest.raises(PromptTooLong, match=r"9 tokens.*8 tokens"):
        await steps_of(build({"context": 8}), "a b c d e f g h")


async def test_a_start_fails_in_the_asked_phase() -> None:
    seen: list[Phase] = []
    with pytest.raises(EngineFailed, match="out of memory"):
        await build(failStart={"phase": "weights", "reason": "out of memory"}).start(
            lambda phase, _: seen.append(phase)
        )
    assert seen[-1] is Phase.WEIGHTS


def test_an_unknown_argument_is_named_beside_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"tokensPerMinute.*tokensPerSecond"):
        build(tokensPerMinute=3)


async def test_more_requests_than_places_wait_in_order_and_cancelling_frees_a_place() -> None:
    engine = build({"concurrency": 1}, text="a b", tokensPerSecond=0.01)
    encoded = await engine.encode(Prompt(text="Q"))
    order: list[str] = []

    async def first_step(name: str) -> None:
        async with aclosing(engine.generate(encoded, Sampling())) as steps:
            await anext(steps)
            order.append(name)

    running = engine.generate(encoded, Sampling())
    await anext(running)
    waiting = [asyncio.create_task(first_step(name)) for name in "xyz"]
    await asyncio.sleep(0)
    assert (engine.load().running, engine.load().queue) == (1, 3)
    assert engine.load().kv_use > 0
    waiting[1].cancel()
    await running.aclose()
    await asyncio.wait(waiting)
    assert order == ["x", "z"]
    assert (engine.load().running, engine.load().queue, engine.load().kv_use) == (0, 0, 0)


async def test_stopping_ends_what_waits_and_what_runs() -> None:
    engine = build({"concurrency": 1}, text="a b", tokensPerSecond=50)
    encoded = await engine.encode(Prompt(text="Q"))
    running = engine.generate(encoded, Sampling())
    await anext(running)
    waiting = asyncio.create_task(anext(engine.generate(encoded, Sampling())))
    await asyncio.sleep(0)
    await engine.stop()
    with pytest.raises(EngineFailed):
        await waiting
    with pytest.raises(EngineFailed):
        await anext(running)
