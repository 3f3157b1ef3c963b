"""What the documentation shows is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from components.targets.kubernetes.render import manifests
from infra.plan import Lock, make
from infra.stackfile import load_file
from runtime.contract.desired import Token
from tests.components.targets.kubernetes.stacks import MODELS
from tests.infra.plan.stacks import CATALOG, IMAGES

ROOT = Path(__file__).parents[4]
FILES = sorted((ROOT / "examples/kubernetes").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_an_example_passes_its_plan_and_has_manifests(file: Path) -> None:
    stack = load_file(file)
    plan = make(stack, CATALOG, lock=Lock(models=MODELS.models, images=IMAGES))
    assert plan.errors == ()
    assert len(manifests(stack, plan, "proj.dev")) > 15


def test_a_token_is_written_by_hand_as_the_documentation_says() -> None:
    [form] = re.findall(r"printf '(\{.*?\})' ", (ROOT / "docs/kubernetes.md").read_text())
    token = Token.from_json(form.replace("%s", "abc"))
    assert token.valid(now=0) == ("abc",)
