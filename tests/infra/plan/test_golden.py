"""Plans of realistic stack files, as a reader sees them.

Run with INFERFORM_WRITE_GOLDEN=1 to write them anew, then look at each.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.plan import Lock, text
from infra.plan.lock import LockedModel
from tests.infra.plan.stacks import CATALOG, machine, pinned, plan

FOLDER = Path(__file__).parent / "golden"
STACKS = sorted(FOLDER.glob("*.yaml"))


def everything_pinned() -> Lock:
    """A lock file for every model of the catalog, and one bucket."""
    lock = pinned(*(name for name, model in CATALOG.models.items() if model.hub and not model.embedded))
    qwen = CATALOG.models["Qwen2.5-7B-Instruct"]
    bucket = LockedModel(revision="1" * 64, weight_bytes=qwen.weight_bytes, config=qwen.config)
    return lock.model_copy(update={"models": {**lock.models, "s3://models/qwen": bucket}})


@pytest.mark.parametrize("file", STACKS, ids=lambda file: file.stem)
def test_the_plan_reads_as_it_did(file: Path) -> None:
    shown = text(plan(file.read_text(), lock=everything_pinned(), on=machine(24, cpus=2)))
    expected = file.with_suffix(".txt")
    if os.environ.get("INFERFORM_WRITE_GOLDEN"):
        expected.write_text(shown)
    assert shown == expected.read_text()


def test_there_are_twenty_of_them_and_no_plan_without_its_stack() -> None:
    assert len(STACKS) == 20
    assert {file.stem for file in FOLDER.glob("*.txt")} == {file.stem for file in STACKS}
