"""The thread that owns the model: admits requests, plans each step, hands the tokens over in one call per step."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from runtime.replica.engines.transformers.request import Request, Sampled, judge
from runtime.replica.engines.transformers.runners.base import Chunk, Lane, Runner
from runtime.replica.engines.transformers.sampling import sample

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Prefill:
    """A request whose prompt is being computed."""

    request: Request
    lane: Lane
    done: int = 0  # prompt tokens computed


def plan_chunks(prefills: Sequence[Prefill], budget: int) -> list[tuple[Prefill, int]]:
    """How many tokens of which prompts the next step computes: in order of arrival, `budget` tokens in all."""
    chunks: list[tuple[Prefill, int]] = []
    for prefill in prefills:
        if budget <= 0:
            break
        size = min(len(prefill.request.prompt) - prefill.done, budget)
        chunks.append((prefill, size))
        budget -= size
    return chunks


class Worker:
    """Continuous batching. `deliver` and `fail` are called from the worker's thread."""

    def __init__(
        self,
        runner: Runner,
        *,
        slots: int,
        prefill_tokens: int,
        text: Callable[[int], str],
        deliver: Callable[[list[Sampled]], None],
        fail: Callable[[list[Request], str], None],
    ) -> None:
        self._runner, self._slots, self._budget, self._text = runner, slots, prefill_tokens, text
        self._deliver, self._fail = deliver, fail
        self._changed = threading.Condition()
        self._waiting: deque[Request] = deque()
        self._prefills: list[Prefill] = []
        self._running: list[Request] = []  # in row order
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="transformers-engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, request: Request) -> None:
        """Add a request; any thread."""
        with self._changed:
            self._waiting.append(request)
            self._changed.notify()

    def cancel(self, request: Request) -> None:
        """Drop a request before the next step; any thread."""
        request.cancelled = True
        with self._changed:
            self._changed.notify()

    def stop(self) -> None:
        """End the thread after its present step, and every request with a failure."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def tokens_held(self) -> int:
        """Tokens in the K/V cache."""
        return self._runner.tokens_held() + sum(prefill.done for prefill in tuple(self._prefills))

    @torch.inference_mode()
    def _run(self) -> None:
        while self._admit():
            try:
                self._step()
            except Exception as error:  # whatever the model raised, the thread must live for the next requests
                log.exception("a model step failed")
                self._fail_all(plain_reason(error))
        self._fail_all("the replica is stopping")

    def _admit(self) -> bool:
        """Drop what was cancelled, give free slots to what waits; blocks while there is nothing to do."""
        with self._changed:
            while True:
                if self._stopping:
                    return False
                self._drop_cancelled()
                while self._waiting and len(self._running) + len(self._prefills) < self._slots:
                    self._prefills.append(Prefill(self._waiting.popleft(), self._runner.open()))
                if self._running or self._prefills:
                    return True
                self._runner.reset()
                self._changed.wait()

    def _drop_cancelled(self) -> None:
        if any(request.cancelled for request in self._waiting):
            self._waiting = deque(request for request in self._waiting if not request.cancelled)
        self._prefills = [prefill for prefill in self._prefills if not prefill.request.cancelled]
        for row in reversed(range(len(self._running))):
            if self._running[row].cancelled:
                self._leave(row)

    def _leave(self, row: int) -> None:
        self._runner.leave(row)
        self._running[row] = self._running[-1]
        self._running.pop()

    def _step(self) -> None:
        planned = plan_chunks(self._prefills, self._budget)
        chunks: list[Chunk] = []
        joining: list[Request] = []
        for prefill, size in planned:
            prompt = prefill.request.prompt
            last = prefill.done + size == len(prompt)
            chunks.append(Chunk(prefill.lane, prompt[prefill.done : prefill.done + size], last))
            if last:
                joining.append(prefill.request)
        logits = self._runner.step([request.next_input for request in self._running], chunks)
        for prefill, size in planned:
            prefill.done += size
        self._prefills = [prefill for prefill in self._prefills if prefill.done < len(prefill.request.prompt)]
        self._running += joining
        if not self._running:
            return
        batch: list[Sampled] = []
        for request, draw in zip(self._running, sample(logits, self._running, self._text), strict=True):
            request.output.append(draw.token)
            finish, ended = judge(request, draw.token)
            batch.append(Sampled(request, draw.token, len(request.output), finish, ended, draw.logprobs))
        for row in reversed(range(len(self._running))):
            if batch[row].finish is not None:
                self._leave(row)
        self._deliver(batch)

    def _fail_all(self, reason: str) -> None:
        with self._changed:
            failed = [*self._running, *(prefill.request for prefill in self._prefills)]
            if self._stopping:
                failed += self._waiting
                self._waiting.clear()
            self._running, self._prefills = [], []
        self._runner.reset()
        if failed:
            self._fail(failed, reason)


def plain_reason(error: BaseException) -> str:
    """One line that is safe to show."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in text:
        return f"out of memory: {text}"
    return f"{type(error).__name__}: {text}"
