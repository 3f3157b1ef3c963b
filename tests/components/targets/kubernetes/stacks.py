"""Stack files on a cluster, and their manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.targets.kubernetes.manifest import Manifest
from components.targets.kubernetes.render import manifests
from infra.plan import Lock, Plan
from infra.plan.document import VersionPlan
from tests.infra.plan.stacks import IMAGES, pinned, plan, stack

MODELS = pinned("Qwen2.5-7B-Instruct", "Qwen2.5-0.5B-Instruct")


def planned(text: str, folder: Path = Path("."), lock: Lock = MODELS) -> Plan:
    """A stack file's plan, with images and models pinned."""
    made = plan(text, folder=folder, lock=lock)
    assert made.errors == ()
    return made


def rendered(text: str, folder: Path = Path(".")) -> list[Manifest]:
    """All of its manifests."""
    return manifests(stack(text, folder), planned(text, folder), "proj.dev")


def version_of(service: str) -> VersionPlan:
    """The one version of a service on a cluster."""
    [made] = planned(f"{{target: {{kind: kubernetes}}, services: {{chat: {service}}}}}").services
    return made.versions[0]


def pods(made: list[Manifest]) -> list[tuple[str, dict[str, Any]]]:
    """(object, pod spec) of everything that makes pods."""
    found = [each for each in made if "template" in each.get("spec", {})]
    return [(f"{each['kind']} {each['metadata']['name']}", each["spec"]["template"]["spec"]) for each in found]


__all__ = ["IMAGES", "planned", "pods", "rendered", "version_of"]
