"""The one interface to all sources: a model reference in, a folder out, each model fetched once per cache."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from runtime.contract.version import ModelReference, Trust
from runtime.replica.sources.files import choose_files
from runtime.replica.sources.reference import Source, SourceError, parse_source
from runtime.replica.sources.remote import Manifest, Remote
from runtime.replica.sources.store import fetched_once

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

    return await aside(partial(fetch_source, source, reference.digest, cache, say, trust or Trust()))


async def aside(job: Callable[[], Path]) -> Path:
    """What a blocking job returns or raises.

    In a thread of its own, which ends: repacking the embedded model uses torch, and a thread that ever did, kept in a
    pool, would slow down the engine's (see the transformers engine's worker). No process waits for it at its end.
    """
    done: Future[Path] = Future()
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
        case "git":
            from runtime.replica.sources.git import repository

            folder = repository(source, cache, say) / source.folder
            if not folder.is_dir():
                raise SourceError(f"{source.place} has no folder {source.folder} at {source.revision}")
            return folder
        case _:
            return _fetch_remote(source, digest, cache, say, trust)


def _fetch_remote(source: Source, digest: str, cache: Path, say: Progress, trust: Trust) -> Path:
    # A hub's digest is a commit: it wins over the branch or tag in the source, which may have moved.
    remote = open_remote(source, digest or source.revision)
    manifest: Manifest | None = None
    if not digest:
        manifest = remote.manifest()
        digest = manifest.revision
    trusted = ("--pickle" if trust.pickle else "") + ("--code" if trust.remote_code else "")
    name = f"{source.folder_name}--{digest[:12]}{trusted}"

    def download(folder: Path) -> None:
        listed = manifest or remote.manifest()
        if source.scheme == "s3" and listed.revision != digest:
            raise SourceError(
                f"s3://{source.place} holds something else than was locked: its manifest is {listed.revision[:12]}, "
                f"not {digest[:12]}; run `inferform lock` to accept what is there now"
            )
        remote.download(listed, choose_files(listed.files, trust, f"{source.scheme}://{source.place}"), folder, say)

    return fetched_once(cache, name, download, {"source": f"{source.scheme}://{source.place}", "digest": digest})


def open_remote(source: Source, revision: str) -> Remote:
    """The remote place of a source. Clients are imported late: each costs most of a second."""
    match source.scheme:
        case "hf":
            from runtime.replica.sources.hub_huggingface import HuggingFaceHub

            return HuggingFaceHub(source, revision)
        case "modelscope":
            from runtime.replica.sources.hub_modelscope import ModelScopeHub

            return ModelScopeHub(source, revision)
        case "s3":
            from runtime.replica.sources.s3 import S3Prefix

            return S3Prefix(source)
        case _:
            raise SourceError(f"{source.scheme}:// is not a remote source")
