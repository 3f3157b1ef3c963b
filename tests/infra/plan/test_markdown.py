"""The plan in a pull request."""

from __future__ import annotations

from infra.plan.markdown import escape, markdown
from tests.infra.plan.stacks import plan

TEXT = "services: {chat_one: {model: SmolLM2-135M-Instruct, replicas: {min: 1, max: 9}}}"


def test_it_begins_with_the_verdict_and_has_a_table_and_the_findings() -> None:
    lines = markdown(plan(TEXT)).splitlines()
    assert lines[0] == "### Plan for target local: does not pass ❌"
    assert lines[2].startswith("| SERVICE | VERSION |")
    assert lines[4].startswith("| chat\\_one | main | 100 | SmolLM2-135M-Instruct |")
    assert any(line.startswith("- ❌ error `services.chat_one.replicas.max` (fit-memory)") for line in lines)


def test_every_row_has_as_many_cells_as_the_header() -> None:
    rows = [line for line in markdown(plan(TEXT)).splitlines() if line.startswith("|")]
    assert len({row.count("|") - row.count("\\|") for row in rows}) == 1


def test_names_stay_names() -> None:
    assert escape("a_b|c <d>") == "a\\_b\\|c \\<d\\>"
