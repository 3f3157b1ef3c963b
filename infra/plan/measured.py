"""What runs recorded, beside what the plan estimates. Pure. It changes no decision, no finding and no hash."""

from __future__ import annotations

from dataclasses import replace

from infra.measured import Records
from infra.plan.document import Plan, VersionPlan
from infra.plan.machine import Machine
from infra.plan.units import counted, gib
from runtime.contract.version import VersionTemplate


def machine_place(machine: Machine) -> str:
    """`2 cores, 15.6 GiB, 1 x NVIDIA A10`: machines of the same size measure alike."""
    gpus = f", {len(machine.gpus)} x {machine.gpus[0].name}" if machine.gpus else ""
    return f"{counted(machine.cpus, 'core')}, {gib(machine.memory_bytes)} GiB{gpus}"


def cluster_place(template: VersionTemplate) -> str:
    """The instance type, when there is but one that it may run on; else nothing, for nobody knows which it was."""
    return template.instance_types[0] if len(template.instance_types) == 1 else ""


def with_measured(plan: Plan, records: Records, machine: Machine | None) -> Plan:
    """The plan with the record of each version that ran, just as it is planned, at just such a place."""
    if not records:
        return plan

    def found(version: VersionPlan) -> VersionPlan:
        local = machine is not None and plan.target == "local"
        place = machine_place(machine) if local and machine is not None else cluster_place(version.template)
        return replace(version, measured=records.get(f"{version.hash}@{place}"))

    services = (
        replace(service, versions=tuple(found(version) for version in service.versions)) for service in plan.services
    )
    return replace(plan, services=tuple(services))
