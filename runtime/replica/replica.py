"""One replica without its wire: which phase it is in, its engine, what runs, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import cast

from runtime.contract.phases import Phase
from runtime.contract.replica import ReplicaSpec, ReplicaStatus
from runtime.knowledge.base import KnowledgeBase
from runtime.knowledge.embedding import EmbeddingMissing
from runtime.knowledge.packed import is_packed, unpack
from runtime.replica.engines.base import Encoded, Engine, EngineFailed, Load, QueueFull, Sampling, Step
from runtime.replica.metrics import Metrics
from runtime.replica.prepare import prepare_engine
from runtime.replica.settings import SettingsFile

log = logging.getLogger(__name__)

DOCUMENTS_SECONDS = 1.0
"""How often the settings are looked at for other declared documents."""
DOCUMENTS_RETRY_SECONDS = 30.0


class Replica:
    """The state that all protocols of one process share. Used from one event loop."""

    def __init__(self, spec: ReplicaSpec, settings: SettingsFile) -> None:
        self.spec, self.settings = spec, settings
        self.metrics = Metrics(spec.service)
        self.in_flight = 0
        self.draining = asyncio.Event()  # open sockets close when they have answered what they were asked
        self.idle = asyncio.Event()  # no request is in flight
        self.idle.set()
        self.failure_seen = asyncio.Event()  # the status has told somebody that the start failed
        self.knowledge = KnowledgeBase(Path(spec.data_folder) / "knowledge")
        self._unpacked: tuple[object, ...] = ()  # which packed documents lie unpacked
        self._unpacking = asyncio.Lock()
        self._engine: Engine | None = None
        self._phase, self._since, self._detail, self._error = Phase.IMAGE, time.time(), "", ""

    # Life ------------------------------------------------------------------------------------------------------------

    async def start(self) -> bool:
        """Fetch the weights and start the engine, phase by phase. False: failed, the status says why."""
        try:
            engine = await prepare_engine(self.spec, lambda: self.settings.current.limits, self._report)
            await engine.start(self._report)
            await self.follow_documents(lambda detail: self._report(Phase.ENGINE, detail))
        except (EngineFailed, EmbeddingMissing, OSError, ValueError) as error:
            self._fail(str(error) or type(error).__name__)
            return False
        except Exception as error:  # whatever else a loader or a model throws is a failed start too
            log.exception("the start failed unexpectedly")
            self._fail(f"{type(error).__name__}: {error}")
            return False
        self._engine = engine
        self._report(Phase.FIRST_TOKEN, "")
        return True

    async def stop(self) -> None:
        """Free the engine; the process is about to end."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.stop()
        self.knowledge.close()

    async def follow_documents(self, say: Callable[[str], None] = lambda detail: None) -> None:
        """Bring the declared documents up to date with the settings of now; usually there is nothing to do."""
        declared = self.settings.current.knowledge
        if declared is None:
            await self.knowledge.follow(None, None, say)
            return
        folder = Path(declared.folder)
        stamp: tuple[object, ...] = (declared,)
        if is_packed(folder):
            facts = await asyncio.to_thread(folder.stat)  # it may come later than the settings that name it
            stamp = (declared, facts.st_mtime_ns, facts.st_ino)
            async with self._unpacking:
                if stamp != self._unpacked:
                    await asyncio.to_thread(unpack, folder, Path(self.spec.data_folder) / "documents")
                    self._unpacked = stamp
            folder = Path(self.spec.data_folder) / "documents"
        await self.knowledge.follow(folder, stamp, say)

    async def watch_documents(self) -> None:
        """Index declared documents when the settings name others, so that no request has to wait for it. Never ends."""
        while True:
            try:
                await self.follow_documents()
            except (EmbeddingMissing, OSError, ValueError, sqlite3.Error) as problem:
                log.warning("the declared documents are not indexed: %s", problem)
                await asyncio.sleep(DOCUMENTS_RETRY_SECONDS)
            await asyncio.sleep(DOCUMENTS_SECONDS)

    def drain(self) -> None:
        """Take no new work from now on."""
        self._report(Phase.DRAINING, "")
        self.draining.set()

    def _report(self, phase: Phase, detail: str) -> None:
        if phase != self._phase:
            log.info("phase %s", phase.value)
            self._phase, self._since = phase, time.time()
        self._detail = detail

    def _fail(self, reason: str) -> None:
        failed_in, reason = self._phase, " ".join(reason.split())
        log.error("failed in phase %s: %s", failed_in.value, reason)
        self._report(Phase.FAILED, failed_in.value)
        self._error = reason

    # What it says of itself ------------------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """The phase of this moment."""
        return self._phase

    @property
    def ready(self) -> bool:
        """New requests are welcome."""
        return self._engine is not None and self._phase in (Phase.FIRST_TOKEN, Phase.READY)

    @property
    def engine(self) -> Engine:
        """The started engine; raises EngineFailed when there is none."""
        if self._engine is None:
            raise EngineFailed("the engine is not running")
        return self._engine

    def load(self) -> Load:
        """The engine's load; nothing while it starts."""
        return Load() if self._engine is None else self._engine.load()

    def status(self) -> ReplicaStatus:
        """The document of /-/status."""
        load = self.load()
        return ReplicaStatus(
            service=self.spec.service,
            replica=self.spec.replica,
            hash=self.spec.hash,
            phase=self._phase,
            since=self._since,
            detail=self._detail,
            ready=self.ready,
            error=self._error,
            running=load.running,
            queue=load.queue,
        )

    def enter(self) -> None:
        """A request came in."""
        self.in_flight += 1
        self.idle.clear()

    def leave(self) -> None:
        """A request is over, however it ended."""
        self.in_flight -= 1
        if not self.in_flight:
            self.idle.set()

    # Work ------------------------------------------------------------------------------------------------------------

    async def generate(self, encoded: Encoded, sampling: Sampling, arrived: float) -> AsyncGenerator[Step, None]:
        """The engine's steps, counted and timed. `arrived`: `time.perf_counter()` of the request.

        Raises QueueFull before the first step when `limits.queue` requests wait already. Close it (aclosing) to cancel.
        """
        engine, limit = self.engine, self.settings.current.limits.queue
        if limit and (waiting := engine.load().queue) >= limit:
            raise QueueFull(f"{waiting} requests wait already; this replica queues at most {limit}")
        self.metrics.prompt_tokens.inc(len(encoded.token_ids))
        tokens, last = 0, None
        steps = cast("AsyncGenerator[Step, None]", engine.generate(encoded, sampling))
        try:
            async with aclosing(steps):
                async for step in steps:
                    now = time.perf_counter()
                    if last is None:
                        self.metrics.ttft.observe(now - arrived)
                    else:
                        self.metrics.inter_token.observe(now - last)
                    last, tokens = now, step.completion_tokens
                    if self._phase is Phase.FIRST_TOKEN:
                        self._report(Phase.READY, "")
                    yield step
        finally:
            self.metrics.completion_tokens.inc(tokens)
