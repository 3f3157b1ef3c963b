"""From a spec to an engine that can be started: fetch weights, choose the engine. Heavy imports happen late."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from pathlib import Path

from runtime.contract.phases import Phase
from runtime.contract.replica import Limits, ReplicaSpec
from runtime.contract.version import EngineKind
from runtime.replica.engines.base import Engine, EngineFailed, Report


async def prepare_engine(spec: ReplicaSpec, limits: Callable[[], Limits], report: Report) -> Engine:
    """The engine of `spec`, its weights fetched, not yet started. Raises EngineFailed, OSError or ValueError.

    `limits` gives the limits of the moment: they may change while the replica runs.
    """
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
            from runtime.replica.sources import fetch

            report(Phase.WEIGHTS, "")
            folder = await fetch(
                template.model,
                Path(spec.cache_folder),
                lambda detail: report(Phase.WEIGHTS, detail),
                trust=template.trust,
            )
            return TransformersEngine(template, folder, limits)
        case _:
            raise EngineFailed(
                f"engine {template.engine or 'none'} is not available in this replica; use transformers or scripted"
            )
