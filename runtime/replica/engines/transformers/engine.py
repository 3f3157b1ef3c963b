"""The engine as protocols see it: encode, generate, cancel, on the event loop; the model runs in a thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from runtime.contract.phases import Phase
from runtime.contract.replica import Limits
from runtime.contract.version import VersionTemplate
from runtime.replica.engines.base import (
    Encoded,
    Engine,
    EngineFailed,
    Load,
    ModelCard,
    NotSupported,
    Prompt,
    PromptTooLong,
    QueueFull,
    Report,
    Sampling,
    Step,
)
from runtime.replica.engines.transformers.encoding import Continued, Encoder
from runtime.replica.engines.transformers.loading import Loaded, load_model, usable_cores
from runtime.replica.engines.transformers.options import parse_options
from runtime.replica.engines.transformers.request import Request, Sampled
from runtime.replica.engines.transformers.runners.base import Runner
from runtime.replica.engines.transformers.runners.choice import choose_runner
from runtime.replica.engines.transformers.text import TextStream
from runtime.replica.engines.transformers.worker import Worker

_LONG_TEXT = 4096  # characters; tokenizing more than this leaves the event loop
_CONTEXT_TOKENS = 6
"""Tokens of a continued text that are decoded with the first new one."""


class TransformersEngine(Engine):
    """Continuous batching over any Hugging Face causal model folder.

    `folder` has the model's files (runtime.replica.sources fetches them). `limits` is asked at each request, so that a
    changed queue limit holds at once.
    """

    def __init__(self, template: VersionTemplate, folder: Path, limits: Callable[[], Limits] = Limits) -> None:
        if template.adapters:
            raise NotSupported("adapters: engine transformers has no LoRA adapters; engine vllm has")
        self._template, self._folder, self._limits = template, folder, limits
        self._options = parse_options(template.engine_args)
        self._open = 0  # generations between their first and last step
        self._worker: Worker | None = None
        self._notes: dict[str, Any] = {}

    async def start(self, report: Report) -> None:
        """Load, choose how to batch, warm up."""
        loop = asyncio.get_running_loop()

        def say(phase: Phase, detail: str) -> None:
            loop.call_soon_threadsafe(report, phase, detail)

        def deliver(batch: list[Sampled]) -> None:
            loop.call_soon_threadsafe(_deliver, batch)

        def fail(requests: list[Request], reason: str) -> None:
            loop.call_soon_threadsafe(_fail, requests, reason)

        report(Phase.WEIGHTS, "")
        worker = Worker(
            lambda: self._build(say),
            slots=self._template.concurrency,
            prefill_tokens=self._options.prefill_tokens,
            text=lambda token: self._encoder.token_text(token),
            deliver=deliver,
            fail=fail,
        )
        worker.start()
        try:
            await asyncio.wrap_future(worker.built)
        except asyncio.CancelledError:
            await asyncio.to_thread(worker.stop)
            raise
        self._worker = worker

    def _build(self, say: Report) -> Runner:
        torch.set_num_threads(usable_cores(self._template.cpus))
        template = self._template

        def load() -> Loaded:
            def progress(detail: str) -> None:
                say(Phase.WEIGHTS, detail)

            return load_model(self._folder, self._options, template.trust, template.memory_gib, progress)

        loaded = load()
        context = loaded.context
        if template.context is not None:
            if template.context > context:
                raise EngineFailed(f"context: {template.context} tokens are more than the model's own {context}")
            context = template.context
        self.card = ModelCard(name=template.model.name if template.model else self._folder.name, context=context)
        self._encoder, self._end_tokens = Encoder(loaded.tokenizer), loaded.end_tokens
        dtype, device = str(loaded.model.dtype).removeprefix("torch."), str(loaded.model.device)
        say(Phase.ENGINE, "warm-up")
        with torch.inference_mode():
            choice = choose_runner(
                loaded.model,
                slots=template.concurrency,
                context=context,
                fused=self._options.fused,
                reload=lambda: load().model,
            )
        self._notes = {
            "dtype": dtype,
            "device": device,
            "batching": choice.runner.name,
            "threads": torch.get_num_threads(),
        }
        if choice.fallback:
            self._notes["fallback"] = choice.fallback
        return choice.runner

    async def stop(self) -> None:
        """Running generations end with EngineFailed."""
        if self._worker is not None:
            worker, self._worker = self._worker, None
            await asyncio.to_thread(worker.stop)

    async def encode(self, prompt: Prompt) -> Encoded:
        """Long prompts are tokenized off the event loop."""
        size = len(prompt.text or "") + sum(len(message.content) for message in prompt.messages)
        if size > _LONG_TEXT:
            encoded = await asyncio.to_thread(self._encoder.encode, prompt)
        else:
            encoded = self._encoder.encode(prompt)
        count = len(encoded.token_ids)
        if not count:
            raise NotSupported("the prompt is empty: the engine needs at least one token to continue")
        if count >= self.card.context:
            raise PromptTooLong(count, self.card.context)
        return encoded

    async def generate(self, encoded: Encoded, sampling: Sampling) -> AsyncIterator[Step]:
        """One request. The iterator's end, however it comes, frees the slot."""
        if sampling.guided is not None:
            raise NotSupported(f"guided decoding ({sampling.guided[0]}): engine transformers has none; engine vllm has")
        if self._worker is None:
            raise EngineFailed("the replica is stopping")
        worker = self._worker
        queue = self._limits().queue
        if queue and self._open >= self._template.concurrency + queue:
            raise QueueFull(f"{self._open - self._template.concurrency} requests wait, limits.queue is {queue}")
        ends = frozenset(sampling.stop_tokens) | (frozenset() if sampling.ignore_eos else self._end_tokens)
        context = encoded.token_ids[-_CONTEXT_TOKENS:] if isinstance(encoded, Continued) else ()
        inbox = _Inbox(TextStream(self._encoder.decode, sampling.stop, context))
        request = Request(
            prompt=encoded.token_ids,
            sampling=sampling,
            max_tokens=max(1, min(sampling.max_tokens, self.card.context - len(encoded.token_ids))),
            stop_tokens=ends,
            sink=inbox,
        )
        self._open += 1
        finished = False
        worker.submit(request)
        try:
            while not finished:
                step = await inbox.next()
                finished = step.finish_reason is not None
                if finished and inbox.stopped:
                    worker.cancel(request)  # a stop text: the worker does not know yet
                yield step
        finally:
            self._open -= 1
            if not finished:
                worker.cancel(request)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Special tokens are left out."""
        return self._encoder.decode(token_ids)

    def load(self) -> Load:
        """kv_use: tokens held of those that all slots could hold."""
        if self._worker is None:
            return Load()
        slots = self._template.concurrency
        capacity = slots * self.card.context
        waiting = max(0, self._open - slots)
        return Load(self._open - waiting, waiting, min(1.0, self._worker.tokens_held() / capacity))

    @property
    def extras(self) -> dict[str, Any]:
        """dtype, device, threads, how it batches, and why it fell back if it did."""
        return dict(self._notes)


class _Inbox:
    """Where one request's steps arrive on the event loop."""

    def __init__(self, text: TextStream) -> None:
        self._text = text
        self._steps: deque[Step | EngineFailed] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def stopped(self) -> bool:
        return self._text.stopped

    def take(self, sampled: Sampled) -> None:
        """Turn a token into a step. Nothing is taken after the step that ended the generation."""
        if self._closed:
            return
        text = "" if sampled.ended else self._text.push(sampled.token)
        finish = "stop" if self._text.stopped else sampled.finish
        if finish is not None:
            self._closed = True
            if not self._text.stopped:
                text += self._text.finish()
        self._put(Step(text, sampled.count, finish, sampled.logprobs))

    def fail(self, reason: str) -> None:
        if not self._closed:
            self._closed = True
            self._put(EngineFailed(reason))

    async def next(self) -> Step:
        while not self._steps:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        step = self._steps.popleft()
        if isinstance(step, EngineFailed):
            raise step
        return step

    def _put(self, step: Step | EngineFailed) -> None:
        self._steps.append(step)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def _deliver(batch: list[Sampled]) -> None:
    for sampled in batch:
        sampled.request.sink.take(sampled)


def _fail(requests: list[Request], reason: str) -> None:
    for request in requests:
        request.sink.fail(reason)
