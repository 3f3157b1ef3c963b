"""The engine as protocols see it, on tiny models with random weights and on the embedded default."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from runtime.contract.phases import Phase
from runtime.contract.replica import Limits
from runtime.contract.version import ModelReference
from runtime.replica.engines.base import (
    Encoded,
    EngineFailed,
    Message,
    NotSupported,
    Prompt,
    PromptTooLong,
    QueueFull,
    Sampling,
    Step,
)
from runtime.replica.engines.transformers import TransformersEngine
from runtime.replica.sources.embedded import embedded_model_folder
from tests.runtime.replica.engines.transformers.conftest import Models
from tests.runtime.replica.engines.transformers.models import CONTEXT, template

PROMPTS = [[5, 9, 1, 44], [100, 101, 102], list(range(30, 70)), [7], [250, 3, 3, 3, 3, 12, 9, 9], list(range(90))]


@asynccontextmanager
async def started(folder: Path, limits: Limits | None = None, **fields: Any) -> AsyncIterator[TransformersEngine]:
    engine = TransformersEngine(template(**fields), folder, lambda: limits or Limits())
    await engine.start(lambda phase, detail: None)
    try:
        yield engine
    finally:
        await engine.stop()


async def collect(engine: TransformersEngine, ids: Sequence[int], sampling: Sampling) -> list[Step]:
    return [step async for step in engine.generate(Encoded(tuple(ids)), sampling)]


def greedy(tokens: int, **fields: Any) -> Sampling:
    return Sampling(max_tokens=tokens, temperature=0, **fields)


async def tokens_of(engine: TransformersEngine, ids: Sequence[int], sampling: Sampling) -> list[int]:
    """The sampled token ids, seen through log-probabilities."""
    steps = await collect(engine, ids, Sampling(**{**_fields(sampling), "logprobs": 0}))
    return [one.token_id for step in steps for one in step.logprobs]


def _fields(sampling: Sampling) -> dict[str, Any]:
    return {name: getattr(sampling, name) for name in Sampling.__dataclass_fields__}


def generated(folder: Path, prompts: Sequence[Sequence[int]], tokens: int) -> list[list[int]]:
    """What Transformers' own generate() gives, one prompt at a time, in float32."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    outputs = []
    for prompt in prompts:
        ids = torch.tensor([prompt])
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=tokens,
            do_sample=False,
            pad_token_id=0,
        )
        outputs.append(out[0, len(prompt) :].tolist())
    return outputs


@pytest.mark.parametrize(
    ("kind", "fused", "batching"),
    [
        ("llama", True, "fused"),
        ("llama", False, "batched"),
        ("qwen2", True, "fused"),
        ("qwen2", False, "batched"),
        ("gpt2", True, "batched"),
        ("sliding", True, "sequential"),
    ],
)
async def test_greedy_output_equals_generate_with_staggered_arrivals(
    models: Models, kind: str, fused: bool, batching: str
) -> None:
    folder = models(kind)
    expected = generated(folder, PROMPTS, 40)
    arguments = {"fused": fused, "prefillTokens": 16}  # prompts of 40 and 90 tokens come in several chunks
    async with started(folder, concurrency=4, engine_args=arguments) as engine:
        assert engine.extras["batching"] == batching

        async def arrive(number: int) -> list[int]:
            for _ in range(3 * number):
                await asyncio.sleep(0)
            return await tokens_of(engine, PROMPTS[number], greedy(40))

        answers = await asyncio.gather(*(arrive(number) for number in range(len(PROMPTS))))
    assert answers == expected


@pytest.mark.model
async def test_the_embedded_model_in_float32_gives_what_generate_gives() -> None:
    folder = embedded_model_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    questions = ["What is the capital of Canada?", "Write one line about the sea.", "List three primes: 2,"]
    prompts = [tokenizer.encode(question) for question in questions]
    expected = generated(folder, prompts, 12)
    async with started(folder, concurrency=3, engine_args={"dtype": "float32"}) as engine:
        answers = await asyncio.gather(*(tokens_of(engine, prompt, greedy(12)) for prompt in prompts))
    assert answers == expected


@pytest.mark.model
async def test_the_embedded_model_knows_a_capital() -> None:
    async with started(embedded_model_folder()) as engine:
        assert engine.extras["dtype"] == "bfloat16"
        encoded = await engine.encode(Prompt(messages=(Message("user", "What is the capital of Canada?"),)))
        steps = [step async for step in engine.generate(encoded, greedy(48))]
    assert "".join(step.text for step in steps) == "The capital of Canada is Ottawa, Canada."
    assert steps[-1].finish_reason == "stop"


async def test_a_new_request_gets_its_first_token_before_any_of_fifteen_long_ones_ends(models: Models) -> None:
    async with started(models("llama"), concurrency=16) as engine:
        ended = 0
        running = asyncio.Barrier(16)

        async def long(number: int) -> None:
            nonlocal ended
            async with aclosing(engine.generate(Encoded((number, 2, 3)), greedy(200, ignore_eos=True))) as steps:
                await anext(steps)
                await running.wait()
                async for _ in steps:
                    pass
            ended += 1

        tasks = [asyncio.create_task(long(number)) for number in range(15)]
        await running.wait()
        async with aclosing(engine.generate(Encoded((9, 9, 9)), greedy(5))) as newcomer:
            await anext(newcomer)
            assert ended == 0
        await asyncio.gather(*tasks)
        assert ended == 15


@pytest.mark.parametrize("kind", ["llama", "sliding"])
async def test_a_seed_gives_the_same_tokens_in_any_company(models: Models, kind: str) -> None:
    sampling = Sampling(max_tokens=30, temperature=1.5, top_p=0.95, seed=11, ignore_eos=True)
    noise = Sampling(max_tokens=30, temperature=1.0, ignore_eos=True)
    async with started(models(kind), concurrency=8) as engine:
        alone = await tokens_of(engine, [5, 6, 7], sampling)
        crowd = [asyncio.create_task(collect(engine, [number], noise)) for number in range(6)]
        in_company = await tokens_of(engine, [5, 6, 7], sampling)
        await asyncio.gather(*crowd)
    assert alone == in_company
    assert len(set(alone)) > 5


async def test_closing_the_iterator_frees_the_slot_for_the_next_request(models: Models) -> None:
    async with started(models("llama"), concurrency=1) as engine:
        async with aclosing(engine.generate(Encoded((1, 2, 3)), greedy(250, ignore_eos=True))) as steps:
            await anext(steps)
            assert engine.load().running == 1
            assert engine.load().kv_use > 0
        assert engine.load().running == 0
        assert len(await collect(engine, [4, 5], greedy(3, ignore_eos=True))) == 3
        assert engine.load().kv_use < 0.1


async def test_more_than_the_queue_limit_is_refused(models: Models) -> None:
    async with started(models("llama"), Limits(queue=1), concurrency=1) as engine:
        long = greedy(200, ignore_eos=True)
        running = [engine.generate(Encoded((number,)), long) for number in range(2)]
        tasks = [asyncio.create_task(anext(steps)) for steps in running]
        await tasks[0]
        assert (engine.load().running, engine.load().queue) == (1, 1)
        with pytest.raises(QueueFull, match=r"limits\.queue is 1"):
            await collect(engine, [9], long)
        for steps, task in zip(running, tasks, strict=True):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await steps.aclose()
        assert (engine.load().running, engine.load().queue) == (0, 0)
        assert await collect(engine, [9], greedy(2))


async def test_max_tokens_is_cut_to_what_the_context_leaves(models: Models) -> None:
    async with started(models("llama")) as engine:
        steps = await collect(engine, list(range(CONTEXT - 5)), greedy(100, ignore_eos=True))
    assert len(steps) == 5
    assert steps[-1].finish_reason == "length"


async def test_a_prompt_as_long_as_the_context_is_refused_with_numbers(models: Models) -> None:
    async with started(models("llama"), context=64) as engine:
        assert engine.card.context == 64
        with pytest.raises(PromptTooLong, match="70 tokens, the context of this model is 64"):
            await engine.encode(Prompt(text="x" * 70))
        assert len((await engine.encode(Prompt(text="x" * 63))).token_ids) == 63


async def test_stop_tokens_and_the_end_token_finish_with_stop_and_without_text(models: Models) -> None:
    async with started(models("llama")) as engine:
        tokens = await tokens_of(engine, [5, 9, 1, 44], greedy(20, ignore_eos=True))
        steps = await collect(engine, [5, 9, 1, 44], greedy(20, stop_tokens=(tokens[3],)))
        first = tokens.index(tokens[3])
        assert steps[-1] == Step("", first + 1, "stop")
        assert len(steps) == first + 1


async def test_a_stop_text_across_tokens_is_not_returned(models: Models) -> None:
    async with started(models("llama")) as engine:
        whole = "".join(step.text for step in await collect(engine, [5, 9, 1, 44], greedy(60, ignore_eos=True)))
        stop = whole[10:14]
        steps = await collect(engine, [5, 9, 1, 44], greedy(60, ignore_eos=True, stop=(stop,)))
        assert "".join(step.text for step in steps) == whole[: whole.index(stop)]
        assert steps[-1].finish_reason == "stop"
        assert engine.load().running == 0


async def test_log_probabilities_are_those_of_the_model_with_alternatives(models: Models) -> None:
    folder = models("qwen2")
    async with started(folder) as engine:
        steps = await collect(engine, [5, 6, 7], Sampling(max_tokens=1, temperature=0.5, seed=1, logprobs=3))
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        expected = torch.log_softmax(model(torch.tensor([[5, 6, 7]])).logits[0, -1], -1)
    (one,) = steps[0].logprobs
    assert one.logprob == pytest.approx(float(expected[one.token_id]), abs=1e-4)
    values, ids = expected.topk(3)
    assert [token for token, _, _ in one.top] == ids.tolist()
    assert [value for _, _, value in one.top] == pytest.approx(values.tolist(), abs=1e-4)


async def test_guided_decoding_is_refused_by_naming_the_engine_that_has_it(models: Models) -> None:
    async with started(models("llama")) as engine:
        with pytest.raises(NotSupported, match=r"guided decoding \(json\).*vllm"):
            await collect(engine, [1], Sampling(guided=("json", "{}")))


async def test_messages_go_through_the_chat_template_and_resume_follows_it(models: Models) -> None:
    async with started(models("llama")) as engine:
        encoded = await engine.encode(Prompt(messages=(Message("user", "hi"),), resume="Sure"))
        assert engine.decode(encoded.token_ids) == "[user]hi\n[assistant]Sure"
        with pytest.raises(NotSupported, match="no tools here"):
            await engine.encode(Prompt(messages=(Message("tool", "hi"),)))
        with pytest.raises(NotSupported, match="empty"):
            await engine.encode(Prompt(text=""))


async def test_long_prompts_are_encoded_off_the_event_loop_with_the_same_result(models: Models) -> None:
    async with started(models("llama")) as engine:
        with pytest.raises(PromptTooLong, match="9000 tokens"):
            await engine.encode(Prompt(text="x" * 9000))


async def test_stopping_ends_running_generations_with_a_failure(models: Models) -> None:
    async with started(models("llama")) as engine:
        steps = engine.generate(Encoded((1, 2)), greedy(250, ignore_eos=True))
        await anext(steps)
        await engine.stop()
        with pytest.raises(EngineFailed, match="stopping"):
            async for _ in steps:
                pass
        with pytest.raises(EngineFailed, match="stopping"):
            await collect(engine, [1], greedy(1))


async def test_the_start_reports_weights_in_megabytes_then_the_warm_up(models: Models) -> None:
    seen: list[tuple[Phase, str]] = []
    engine = TransformersEngine(template(), models("llama"))
    await engine.start(lambda phase, detail: seen.append((phase, detail)))
    await engine.stop()
    assert seen[0] == (Phase.WEIGHTS, "")
    assert any(phase is Phase.WEIGHTS and detail.endswith("MB") for phase, detail in seen)
    assert seen[-1] == (Phase.ENGINE, "warm-up")


async def test_a_context_beyond_the_models_own_fails_the_start(models: Models) -> None:
    engine = TransformersEngine(template(context=CONTEXT + 1), models("llama"))
    with pytest.raises(EngineFailed, match=f"{CONTEXT + 1} tokens are more than the model's own {CONTEXT}"):
        await engine.start(lambda phase, detail: None)


def test_adapters_are_refused_by_naming_the_engine_that_has_them(tmp_path: Path) -> None:
    adapter = ModelReference(name="legal", source="/x", digest="")
    with pytest.raises(NotSupported, match="engine vllm"):
        TransformersEngine(template(adapters={"legal": adapter}), tmp_path)


async def test_a_failing_step_ends_its_requests_and_the_engine_goes_on(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(models("llama")) as engine:
        assert engine._worker is not None
        runner = engine._worker._runner
        assert runner is not None

        def broken(*arguments: object) -> torch.Tensor:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

        with monkeypatch.context() as patch:
            patch.setattr(runner, "step", broken)
            with pytest.raises(EngineFailed, match="out of memory"):
                await collect(engine, [1], greedy(3))
        assert len(await collect(engine, [1], greedy(3, ignore_eos=True))) == 3
