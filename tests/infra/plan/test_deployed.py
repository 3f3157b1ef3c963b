"""What serves now, read from a stack's outputs, and what a change costs against it."""

from __future__ import annotations

from typing import Any

from infra.plan import Deployed, Plan, deployed_from, summary, text
from infra.plan.cost import signed
from tests.infra.plan.stacks import CATALOG, plan

SERVICE = """
target: {kind: kubernetes}
services:
  chat: {model: Qwen2.5-7B-Instruct, method: vllm, replicas: {min: %d, max: %d},
         resources: {instanceTypes: [g5.xlarge]}}
"""


def outputs(planned: Plan) -> dict[str, Any]:
    """The stack's output as the components give it."""
    return {service.name: {"plan": summary(service), "endpoint": "http://g"} for service in planned.services}


def against(planned: Plan, file: str) -> Plan:
    return plan(file, gib=None, deployed=deployed_from(outputs(planned), CATALOG))


def test_an_unchanged_stack_costs_nothing_more() -> None:
    before = plan(SERVICE % (1, 4), gib=None)
    after = against(before, SERVICE % (1, 4))
    assert after.cost_difference is not None
    assert signed(after.cost_difference) == "+0.00"
    assert "cost against what serves now: +0.00 USD/h\n" in text(after)


def test_more_replicas_cost_more_and_the_service_is_named() -> None:
    after = against(plan(SERVICE % (1, 4), gib=None), SERVICE % (1, 6))
    assert "cost against what serves now: +0.00..+2.01 USD/h: chat +0.00..+2.01\n" in text(after)


def test_a_service_that_goes_is_saved() -> None:
    after = against(plan(SERVICE % (1, 4), gib=None), "target: {kind: kubernetes}\nservices: {}")
    assert after.cost_difference is not None
    assert signed(after.cost_difference) == "-1.01..-4.02"


def test_a_stopped_service_costs_nothing_now() -> None:
    stopped = plan(SERVICE.rstrip().removesuffix("}") % (1, 4) + ", stopped: true}\n", gib=None)
    assert deployed_from(outputs(stopped), CATALOG) == Deployed()


def test_outputs_of_another_form_are_unknown_not_free() -> None:
    known = deployed_from({"chat": {"plan": {"versions": {"main": {"hash": "a"}}}}, "x": {}, "y": 3}, CATALOG)
    assert known.services.keys() == {"chat"}
    assert known.services["chat"][0].usd_per_hour is None
    after = plan(SERVICE % (1, 4), gib=None, deployed=known)
    assert "cost against what serves now: ? USD/h: chat ?\n" in text(after)


def test_what_is_kept_has_no_price_that_could_change_by_itself() -> None:
    [service] = plan(SERVICE % (1, 4), gib=None).services
    assert summary(service)["versions"]["main"] == {
        "hash": service.versions[0].hash,
        "replicas": {"min": 1, "max": 4},
        "memoryBytes": sum(term.bytes for term in service.versions[0].terms),
        "on": "g5.xlarge",
        "instanceType": "g5.xlarge",
        "nodeShare": 1.0,
    }
