"""Fifteen hundred mutated stack files: every one is planned or refused with paths; nothing ends in a traceback."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import yaml

from infra.plan import make, text, to_data
from infra.plan.markdown import markdown
from infra.plan.page import page
from infra.stackfile import StackFileErrors, load
from tests.infra.places import places
from tests.infra.plan.stacks import CATALOG, machine
from tests.infra.plan.test_golden import STACKS, everything_pinned

WORDS = (
    "x SmolLM2-135M-Instruct AlphaFold2 bge-m3 hf://a/b s3://b/c ./nowhere kubernetes eks local vllm process scripted"
)
ODD: tuple[Any, ...] = (
    *(None, True, 0, -1, 1, 2, 3, 4, 17, 4096, 10**9, 0.5, "", [], {}),
    *WORDS.split(),
    *(["ecs.gn6i-c4g1.xlarge"], ["g5.xlarge", "nothing"], {"a": 1}, {"min": 0, "max": 10**6}, {"min": 0, "max": 2}),
    *({"gpus": 8}, {"gpus": 0}, {"group": "a10"}, {"gpuFraction": 0.01}, {"instanceTypes": ["m7i.2xlarge"]}),
)
KEYS = (
    "context",
    "concurrency",
    "replicas",
    "resources",
    "engine",
    "method",
    "model",
    "limits",
    "rollout",
    "stopped",
    "gpus",
)


def mutated(data: Any, chance: random.Random) -> Any:
    """One or two places replaced, removed, or given another key."""
    made = copy.deepcopy(data)
    for _ in range(chance.randint(1, 2)):
        known = list(places(made))
        if not known:
            return made
        *way, last = chance.choice(known)
        inner = made
        for key in way:
            inner = inner[key]
        action = chance.random()
        if action < 0.5:
            inner[last] = copy.deepcopy(chance.choice(ODD))
        elif action < 0.7:
            del inner[last]
        elif isinstance(inner, dict):
            inner[chance.choice(KEYS)] = copy.deepcopy(chance.choice(ODD))
    return made


def test_mutated_stack_files_are_planned_or_refused_with_paths() -> None:
    chance = random.Random(20261123)
    documents = [yaml.safe_load(file.read_text()) for file in STACKS if "sixty" not in file.stem]
    lock, refused = everything_pinned(), list[StackFileErrors]()
    for number in range(1500):
        made = mutated(chance.choice(documents), chance)
        try:
            stack = load(made, folder=Path("."), built_only=False)
        except StackFileErrors as wrong:
            refused.append(wrong)
            continue
        plan = make(stack, CATALOG, lock=lock if number % 3 else None, machine=machine(16) if number % 2 else None)
        assert all(finding.path and finding.text for finding in plan.findings), made
        assert text(plan)
        assert markdown(plan)
        assert page(plan)
        assert to_data(plan)["ok"] is (not plan.errors)
    assert 200 < len(refused) < 1300  # both kinds were met often
    assert all(error.path and error.reason for wrong in refused for error in wrong.errors)
