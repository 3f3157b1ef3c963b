"""The thread that owns the model: admits requests, plans each step, hands the tokens over in one call per step."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
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
    """Continuous batching. `build`, `deliver`, `fail` and `text` are called from the worker's thread.

    All of torch happens in this one thread, loading included: OpenMP keeps a pool of threads per thread that ever used
    it, and with more pool threads than cores it stops spinning, which halves the speed of small operations.
    """

    def __init__(
        self,
        build: Callable[[], Runner],
        *,
        slots: int,
        prefill_tokens: int,
        text: Callable[[int], str],
        deliver: Callable[[list[Sampled]], None],
        fail: Callable[[list[Request], str], None],
    ) -> None:
        self._build, self._slots, self._budget, self._text = build, slots, prefill_tokens, text
        self._deliver, self._fail = deliver, fail
        self.built: Future[None] = Future()  # done when `build` returned, or with its exception
        self._runner: Runner | None = None
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
        """End the thread after its present step (or after `build`), and every request with a failure."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def tokens_held(self) -> int:
        """Tokens in the K/V cache."""
        held = self._runner.tokens_held() if self._runner is not None else 0
        return held + sum(prefill.done for prefill in tuple(self._prefills))

    @torch.inference_mode()
    def _run(self) -> None:
        try:
            runner = self._runner = self._build()
        except BaseException as error:  # noqa: BLE001 - handed over to whoever waits for `built`
            self.built.set_exception(error)
            return
        self.built.set_result(None)
        while self._admit(runner):
            try:
                self._step(runner)
            except Exception as error:  # whatever the model raised, the thread must live for the next requests
                log.exception("a model step failed")
                self._fail_all(runner, plain_reason(error))
        self._fail_all(runner, "the replica is stopping")

    def _admit(self, runner: Runner) -> bool:
        """Drop what was cancelled, give free slots to what waits; blocks while there is nothing to do."""
        with self._changed:
            while True:
                if self._stopping:
                    return False
                self._drop_cancelled(runner)
                while self._waiting and len(self._running) + len(self._prefills) < self._slots:
                    request = self._waiting.popleft()
                    self._prefills.append(Prefill(request, runner.open(len(request.prompt))))
                if self._running or self._prefills:
                    return True
                runner.reset()
                self._changed.wait()

    def _drop_cancelled(self, runner: Runner) -> None:
        if any(request.cancelled for request in self._waiting):
            self._waiting = deque(request for request in self._waiting if not request.cancelled)
        self._prefills = [prefill for prefill in self._prefills if not prefill.request.cancelled]
        for row in reversed(range(len(self._running))):
            if self._running[row].cancelled:
                self._leave(runner, row)

    def _leave(self, runner: Runner, row: int) -> None:
        runner.leave(row)
        self._running[row] = self._running[-1]
        self._running.pop()

    def _step(self, runner: Runner) -> None:
        planned = plan_chunks(self._prefills, self._budget)
        chunks: list[Chunk] = []
        joining: list[Request] = []
        for prefill, size in planned:
            prompt = prefill.request.prompt
            last = prefill.done + size == len(prompt)
            chunks.append(Chunk(prefill.lane, prompt[prefill.done : prefill.done + size], last))
            if last:
                joining.append(prefill.request)
        logits = runner.step([request.next_input for request in self._running], chunks)
        for prefill, size in planned:
            prefill.done += size
        self._prefills = [prefill for prefill in self._prefills if prefill.done < len(prefill.request.prompt)]
        self._running += joining
        if not self._running:
            return
        batch: list[Sampled] = []
        for request, draw in zip(self._running, sample(logits, self._running, self._text), strict=True):
            request.append(draw.token)
            finish, ended = judge(request, draw.token)
            batch.append(Sampled(request, draw.token, len(request.output), finish, ended, draw.logprobs))
        for row in reversed(range(len(self._running))):
            if batch[row].finish is not None:
                self._leave(runner, row)
        self._deliver(batch)

    def _fail_all(self, runner: Runner, reason: str) -> None:
        with self._changed:
            failed = [*self._running, *(prefill.request for prefill in self._prefills)]
            if self._stopping:
                failed += self._waiting
                self._waiting.clear()
            self._running, self._prefills = [], []
        runner.reset()
        if failed:
            self._fail(failed, reason)


def plain_reason(error: BaseException) -> str:
    """One line that is safe to show."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in text:
        return f"out of memory: {text}"
    return f"{type(error).__name__}: {text}"
