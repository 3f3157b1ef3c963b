"""The plugin's functions, for programs in any language: `plan` of a stack's configuration, `fit` of a model on a GPU.

Both are answered by the plan's pure code: no cluster, no cloud, no host.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog import CatalogError, load, load_for
from infra.plan import LockError, make, read_lock, read_machine, text, to_data
from infra.plan.ask import UnknownName, fit_of
from infra.plan.file import error_finding
from infra.resources import token
from infra.stackfile import StackFileErrors
from infra.stackfile import load as load_stack

Spec = dict[str, Any]
STRING, INTEGER, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
ANY = {"$ref": "pulumi.json#/Any"}


@dataclass(frozen=True)
class Function:
    """One function: its description, its schema, and what answers it."""

    description: str
    inputs: Mapping[str, Spec]
    required: tuple[str, ...]
    outputs: Mapping[str, Spec]
    answer: Callable[[Mapping[str, Any]], dict[str, Any]]

    def spec(self) -> Spec:
        """Its entry in the package schema."""
        return {
            "description": self.description,
            "inputs": {"properties": dict(self.inputs), "required": list(self.required)},
            "outputs": {"properties": dict(self.outputs), "required": sorted(self.outputs)},
        }


def plan(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Plan a stack's configuration; its own errors are findings. Raises ValueError for a broken lock file."""
    folder = Path(str(arguments.get("folder") or ".")).absolute()
    try:
        stack = load_stack(arguments["config"], folder=folder, built_only=False)
    except StackFileErrors as wrong:
        found = [error_finding(error, "config") for error in wrong.errors]
        listed = [
            {"level": each.level.value, "rule": each.rule, "path": each.path, "text": each.text, "fix": each.fix}
            for each in found
        ]
        return {"ok": False, "text": str(wrong), "findings": listed, "plan": json.dumps(None)}
    try:
        machine = read_machine() if stack.target.kind == "local" else None
        made = make(stack, load_for(folder), lock=read_lock(folder), machine=machine)
    except (LockError, CatalogError) as bad:
        raise ValueError(str(bad)) from bad
    data = to_data(made)
    return {"ok": data["ok"], "text": text(made), "findings": data["findings"], "plan": json.dumps(data)}


def fit(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Does a catalog model fit a GPU? Raises ValueError for a name that the catalog does not know."""
    wanted = {name: arguments[name] for name in ("gpus", "context", "concurrency") if arguments.get(name) is not None}
    try:
        answer = fit_of(
            load(),
            model=str(arguments["model"]),
            gpu=str(arguments["gpu"]),
            engine=str(arguments.get("engine") or "vllm"),
            **{name: int(value) for name, value in wanted.items()},
        )
    except UnknownName as unknown:
        raise ValueError(str(unknown)) from unknown
    return {
        "fits": answer.fits,
        "reason": answer.reason,
        "gpus": answer.gpus,
        "context": answer.context,
        "concurrency": answer.concurrency,
        "largestContext": answer.largest_context,
        "mostConcurrency": answer.most_concurrency,
        "roomBytes": answer.room_bytes,
        "terms": {term.name: term.bytes for term in answer.terms},
    }


FUNCTIONS: dict[str, Function] = {
    token("plan"): Function(
        description="Plans a stack's configuration: fits, allowed, affordable, will roll out. Asks no network.",
        inputs={
            "config": {**ANY, "description": "The `inferform` keys of a stack file: target, services, quotas, ..."},
            "folder": {**STRING, "description": "Where paths and inferform.lock are; the working folder when absent."},
        },
        required=("config",),
        outputs={
            "ok": {**BOOLEAN, "description": "No finding is an error."},
            "text": {**STRING, "description": "The plan as `inferform plan` prints it."},
            "findings": {
                "type": "array",
                "items": {"type": "object", "additionalProperties": STRING},
                "description": "level, rule, path, text and fix of each.",
            },
            "plan": {**STRING, "description": "The whole plan as JSON."},
        },
        answer=plan,
    ),
    token("fit"): Function(
        description="Does a model of the catalog fit a GPU, with which context? Estimates, unmeasured.",
        inputs={
            "model": {**STRING, "description": "A model's catalog id."},
            "gpu": {**STRING, "description": "A GPU's catalog id, such as nvidia-a10."},
            "gpus": {**INTEGER, "description": "How many; the fewest of 1, 2, 4 and 8 that hold it when absent."},
            "context": {**INTEGER, "description": "Tokens; as long as fits when absent."},
            "concurrency": {**INTEGER, "description": "Sequences at once; 16 when absent."},
            "engine": {**STRING, "description": "vllm (the default) or transformers."},
        },
        required=("model", "gpu"),
        outputs={
            "fits": BOOLEAN,
            "reason": STRING,
            "gpus": INTEGER,
            "context": INTEGER,
            "concurrency": INTEGER,
            "largestContext": INTEGER,
            "mostConcurrency": INTEGER,
            "roomBytes": {"type": "number", "description": "What the engine may use of one GPU."},
            "terms": {"type": "object", "additionalProperties": {"type": "number"}, "description": "Bytes on a GPU."},
        },
        answer=fit,
    ),
}
