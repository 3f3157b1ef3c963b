"""The one interface to all sources: a model reference in, a folder out, each model fetched once per cache."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from runtime.contract.version import ModelReference, Trust
from runtime.replica.sources.reference import Source, SourceError, parse_source

Progress = Callable[[str], None]
"""Details such as `120 of 269 MB`, called on the event loop that called fetch."""


async def fetch(reference: ModelReference, cache: Path, report: Progress, *, trust: Trust | None = None) -> Path:
    """The folder with the model's files, fetched into `cache` first unless it is there. Raises SourceError or OSError.

    A folder is used where it lies. Two processes that ask for the same model fetch it once.
    """
    source = parse_source(reference.source)
    loop = asyncio.get_running_loop()

    def say(detail: str) -> None:
        loop.call_soon_threadsafe(report, detail)

    # A thread of its own that ends: repacking the embedded model uses torch, and a thread that ever did, kept in a
    # pool, would slow down the engine's (see the transformers engine's worker).
    done: Future[Path] = Future()
    job = partial(fetch_source, source, reference.digest, cache, say, trust or Trust())
    threading.Thread(target=_complete, args=(done, job), name="fetch", daemon=True).start()
    return await asyncio.wrap_future(done)


def _complete(done: Future[Path], job: Callable[[], Path]) -> None:
    if not done.set_running_or_notify_cancel():
        return
    try:
        done.set_result(job())
    except BaseException as error:  # noqa: BLE001 - handed over to whoever waits
        done.set_exception(error)


def fetch_source(source: Source, digest: str, cache: Path, say: Progress, trust: Trust) -> Path:
    """What `fetch` does, blocking; `say` is called from this thread."""
    match source.scheme:
        case "path":
            folder = Path(source.place)
            if not folder.is_dir():
                raise SourceError(f"source {source.place!r}: there is no such folder")
            return folder
        case "embedded":
            from runtime.replica.sources.embedded import NAME, EmbeddedModelMissing, embedded_model_folder

            if source.place != NAME:
                raise SourceError(f"source embedded://{source.place}: the embedded model is {NAME}")
            try:
                return embedded_model_folder(cache, say=say)
            except EmbeddedModelMissing as error:
                raise SourceError(str(error)) from error
        case _:
            raise SourceError(f"source {source.scheme}:// is not implemented")
