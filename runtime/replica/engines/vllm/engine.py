"""VllmEngine: ChatLLM and BladeLLM speak over it as over any engine; OpenAI's API is passed through untouched."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from runtime.contract.paths import vllm_python
from runtime.contract.phases import Phase
from runtime.contract.version import VersionTemplate
from runtime.gateway.pool import ReplicaPool
from runtime.replica.engines.base import (
    Encoded,
    Engine,
    EngineFailed,
    Load,
    ModelCard,
    NotSupported,
    Prompt,
    PromptTooLong,
    Report,
    Sampling,
    Step,
)
from runtime.replica.engines.vllm.child import VllmChild
from runtime.replica.engines.vllm.command import served_names, start_of
from runtime.replica.engines.vllm.wire import body_of, step_of

log = logging.getLogger(__name__)

EXIT_CODE = 70
DATA = b"data: "
JSON = {"Content-Type": "application/json"}
DEFAULT_CONTEXT = 4096


class VllmEngine(Engine):
    """One vLLM server. Its death is the replica's: the host starts both anew."""

    def __init__(self, template: VersionTemplate, folder: Path, adapters: Mapping[str, Path], socket: Path) -> None:
        """Raises EngineFailed when vLLM is not set up here, or does not know an argument."""
        python = vllm_python()
        if not python.exists():
            raise EngineFailed(f"vLLM is not set up here ({python} is missing): run scripts/setup --vllm")
        config: dict[str, Any] = json.loads((folder / "config.json").read_text())
        limit = int(config.get("max_position_embeddings") or DEFAULT_CONTEXT)
        context = min(template.context or limit, limit)
        self.names = served_names(template)
        self.card = ModelCard(self.names[0], context, tuple(sorted(adapters)))
        self._slots = template.concurrency
        self._folder = folder
        start = start_of(
            template, python=python, folder=folder, adapters=adapters, socket=socket, context=context, config=config
        )
        self._child = VllmChild(start, socket)
        self._socket = socket
        self._pool: ReplicaPool | None = None
        self._watch: asyncio.Task[None] | None = None
        self._encoder: Any = None
        self._active = 0

    @property
    def pool(self) -> ReplicaPool:
        """Connections to vLLM, for what is passed through."""
        if self._pool is None:
            self._pool = ReplicaPool(f"unix:{self._socket}", asyncio.get_running_loop())
        return self._pool

    @property
    def session(self) -> aiohttp.ClientSession:
        """The connection to vLLM, for what is generated here."""
        if self._child.session is None:
            raise EngineFailed("vLLM is not running")
        return self._child.session

    async def start(self, report: Report) -> None:
        """Start the server; ready only when it lists the model and every adapter."""
        report(Phase.WEIGHTS, "vLLM starts")
        try:
            session = await self._child.start(report)
            self._encoder = await asyncio.to_thread(_encoder_of, self._folder)
            async with session.get("/v1/models") as reply:
                listed = {model["id"] for model in (await reply.json())["data"]}
            if missing := sorted({*self.names, *self.card.adapters} - listed):
                raise EngineFailed(f"vLLM does not list {', '.join(missing)}")
        except BaseException:
            await self._child.stop()
            raise
        self._watch = asyncio.create_task(self._child.watch(_lost))

    async def stop(self) -> None:
        """End the server."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        if self._pool is not None:
            self._pool.close()
        await self._child.stop()

    async def encode(self, prompt: Prompt) -> Encoded:
        """Template and tokenize here, as the transformers engine does, so that both answer alike."""
        encoded: Encoded = await asyncio.to_thread(self._encoder.encode, prompt)
        if len(encoded.token_ids) >= self.card.context:
            raise PromptTooLong(len(encoded.token_ids), self.card.context)
        return encoded

    async def generate(self, encoded: Encoded, sampling: Sampling) -> AsyncIterator[Step]:
        """Stream one completion. Closing the iterator closes the connection, and vLLM drops the request."""
        body = body_of(self.names[0], encoded, sampling, context=self.card.context)
        with self.busy():
            try:
                async with self.session.post("/v1/completions", data=json.dumps(body), headers=JSON) as reply:
                    if reply.status != 200:
                        raise _refused(reply.status, await reply.read())
                    async for line in reply.content:
                        if not line.startswith(DATA) or line.startswith(b"data: [DONE]"):
                            continue
                        chunk = json.loads(line[len(DATA) :])
                        if "error" in chunk:
                            raise EngineFailed(str(chunk["error"].get("message", "vLLM failed")))
                        if (step := step_of(chunk, self._encoder.token_text)) is not None:
                            yield step
            except (aiohttp.ClientError, OSError) as error:
                raise EngineFailed("the connection to vLLM broke") from error

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Count one request that vLLM works on."""
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of token ids."""
        return str(self._encoder.decode(token_ids))

    def load(self) -> Load:
        """Counted here: beyond the slots, requests wait inside vLLM."""
        return Load(running=min(self._active, self._slots), queue=max(0, self._active - self._slots))

    @property
    def extras(self) -> dict[str, Any]:
        """Facts for logs."""
        return {"served_names": list(self.names), "adapters": list(self.card.adapters)}


def _encoder_of(folder: Path) -> Any:
    module = importlib.import_module("runtime.replica.engines.transformers.encoding")
    tokenizers = importlib.import_module("transformers")
    return module.Encoder(tokenizers.AutoTokenizer.from_pretrained(folder, local_files_only=True))


def _refused(status: int, answer: bytes) -> Exception:
    """vLLM's refusal of one request: a 400 is the parameters' fault, anything else the engine's."""
    with contextlib.suppress(ValueError, AttributeError):
        document = json.loads(answer)
        message = str((document.get("error") or document).get("message") or document)
        return NotSupported(message) if status == 400 else EngineFailed(message)
    return EngineFailed(f"vLLM answered {status}")


def _lost(reason: str) -> None:
    """The server is gone: so are all generations. End, and let the host start a new replica."""
    log.error("%s", reason)
    logging.shutdown()
    os._exit(EXIT_CODE)
