"""The plan as text and as data."""

from __future__ import annotations

import json

from infra.plan import text, to_data
from tests.infra.plan.stacks import plan

LONG = """services:
  a_service_with_a_name_that_is_as_long_as_names_can_be_xx:
    versions:
      a-version-with-a-long-name: {model: SmolLM2-135M-Instruct, replicas: {min: 1, max: 40}}
      b: {model: SmolLM2-135M-Instruct, concurrency: 4}
    traffic: {a-version-with-a-long-name: 90, b: 10}
"""


def test_no_line_is_wider_than_100_columns_but_for_paths_which_are_never_cut() -> None:
    shown = text(plan(LONG))
    assert all(len(line) <= 100 for line in shown.splitlines() if " services." not in line)
    assert "fit-memory" in shown
    assert "does not pass: 1 error" in shown


def test_a_clean_plan_says_so() -> None:
    shown = text(plan("services: {chat: {model: SmolLM2-135M-Instruct}}"))
    assert "passes: nothing to say" in shown
    assert "SmolLM2-135M-Instruct" in shown


def test_the_order_of_keys_plays_no_part() -> None:
    one = plan("services: {abc: {model: SmolLM2-135M-Instruct}, xyz: {engine: scripted}}")
    other = plan("services: {xyz: {engine: scripted}, abc: {model: SmolLM2-135M-Instruct}}")
    assert text(one) == text(other)


def test_data_is_json_with_camel_case_keys() -> None:
    data = json.loads(json.dumps(to_data(plan(LONG))))
    assert data["ok"] is False
    [service] = data["services"]
    assert service["tokenRotation"] == 1
    assert service["versions"][0]["template"]["engineArgs"] == {}
    assert data["findings"][0]["level"] == "error"
