"""From a spec to an engine that can be started: fetch weights, choose the engine. Heavy imports happen late."""

from __future__ import annotations

import asyncio
import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from runtime.contract.phases import Phase
from runtime.contract.replica import Limits, ReplicaSpec
from runtime.contract.version import EngineKind, ModelReference
from runtime.replica.engines.base import Engine, EngineFailed, Report
from runtime.replica.mounts import with_mounts


async def prepare_engine(spec: ReplicaSpec, limits: Callable[[], Limits], report: Report) -> Engine:
    """The engine of `spec`, its weights fetched, not yet started. Raises EngineFailed, OSError or ValueError.

    `limits` gives the limits of the moment: they may change while the replica runs.
    """
    spec = await with_mounts(spec, report)
    template = spec.template
    match template.engine:
        case EngineKind.SCRIPTED:
            from runtime.replica.engines.scripted import ScriptedEngine

            return ScriptedEngine(template)
        case EngineKind.TRANSFORMERS:
            if template.model is None:
                raise EngineFailed("the version names no model, and engine transformers needs one")
            # Importing torch takes seconds: in a thread, so that the status answers meanwhile.
            await asyncio.to_thread(importlib.import_module, "runtime.replica.engines.transformers")
            from runtime.replica.engines.transformers import TransformersEngine

            return TransformersEngine(template, await _fetched(template.model, spec, report), limits)
        case EngineKind.VLLM:
            return await _vllm(spec, report)
        case _:
            raise EngineFailed("a version of method process has no engine, and no replica can serve it yet")


async def _vllm(spec: ReplicaSpec, report: Report) -> Engine:
    template = spec.template
    if template.model is None:
        raise EngineFailed("the version names no model, and engine vllm needs one")
    await asyncio.to_thread(importlib.import_module, "runtime.replica.engines.vllm")
    from runtime.replica.engines.vllm import VllmEngine

    folder = await _fetched(template.model, spec, report)
    adapters = {name: await _fetched(adapter, spec, report) for name, adapter in sorted(template.adapters.items())}
    return VllmEngine(template, folder, adapters, _child_socket(spec))


async def _fetched(model: ModelReference, spec: ReplicaSpec, report: Report) -> Path:
    from runtime.replica.sources import fetch

    def say(detail: str) -> None:
        report(Phase.WEIGHTS, detail)

    say("")
    return await fetch(model, Path(spec.cache_folder), say, trust=spec.template.trust)


def _child_socket(spec: ReplicaSpec) -> Path:
    """Beside the replica's own socket; a replica that listens on a port has a folder of its own."""
    if spec.listen.socket is not None:
        return Path(spec.listen.socket).with_suffix(".vllm")
    return Path(tempfile.mkdtemp(prefix="inferform-")) / "vllm.sock"
