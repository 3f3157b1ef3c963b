"""Which node lacks what for a pod that the scheduler cannot place. It counts nodes; this names them. Pure.

What the scheduler knows beyond resources, taints, selectors and instance types stays in its own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from infra.cluster.pods import Json, name_of

UNITS = {
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
    "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15,
}  # fmt: skip
SHOWN = 4
"""So many nodes are named."""


def quantity(text: object) -> float:
    """A quantity of the API (`500m`, `8Gi`, `4`) as a number; 0 for what is none."""
    value = str(text or "0")
    unit = next((unit for unit in UNITS if value.endswith(unit)), "")
    try:
        return float(value.removesuffix(unit)) * UNITS.get(unit, 1)
    except ValueError:
        return 0.0


def requests(pod: Json) -> dict[str, float]:
    """What a pod asks of its node, by resource."""
    total: dict[str, float] = {"pods": 1}
    for container in pod["spec"].get("containers") or []:
        for name, amount in ((container.get("resources") or {}).get("requests") or {}).items():
            total[name] = total.get(name, 0.0) + quantity(amount)
    return total


def lacks(pod: Json, nodes: Sequence[Json], pods: Iterable[Json]) -> str:
    """`node a has 3.2 of the 10 GiB memory; node b ...`, the nearest first; empty: nothing that we know of."""
    used: dict[str, dict[str, float]] = {}
    for other in pods:
        where = other["spec"].get("nodeName")
        if where and (other.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            taken = used.setdefault(where, {})
            for name, amount in requests(other).items():
                taken[name] = taken.get(name, 0.0) + amount
    found = [(len(said), name_of(node), said) for node in nodes if (said := _node(pod, node, used))]
    found.sort(key=lambda each: each[:2])
    texts = [f"node {name} {' and '.join(said)}" for _, name, said in found[:SHOWN]]
    if len(found) > SHOWN:
        texts.append(f"{len(found) - SHOWN} more nodes")
    return "; ".join(texts)


def _node(pod: Json, node: Json, used: Mapping[str, Mapping[str, float]]) -> list[str]:
    name, spec, labels = name_of(node), node.get("spec") or {}, node["metadata"].get("labels") or {}
    said = []
    if spec.get("unschedulable"):
        said.append("is cordoned")
    said += [f"is not {key}={value}" for key, value in (pod["spec"].get("nodeSelector") or {}).items()
             if labels.get(key) != value]  # fmt: skip
    if wrong := _affinity(pod, labels):
        said.append(wrong)
    for taint in spec.get("taints") or []:
        if taint.get("effect") != "PreferNoSchedule" and not any(_tolerates(each, taint) for each in _tolerations(pod)):
            said.append(f"has the taint {taint.get('key')}{_value(taint)}")
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    for resource, wish in requests(pod).items():
        free = quantity(allocatable.get(resource)) - used.get(name, {}).get(resource, 0.0)
        if free < wish:
            said.append(f"has {_amount(resource, max(free, 0))} of {_amount(resource, wish)} {resource} free")
    return said


def _affinity(pod: Json, labels: Mapping[str, Any]) -> str:
    """Why no required term of the pod's node affinity matches, by the first term's first expression."""
    affinity = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    terms = (affinity or {}).get("nodeSelectorTerms") or []
    wrong = [[each for each in term.get("matchExpressions") or [] if not _matches(each, labels)] for term in terms]
    if not terms or not all(wrong):
        return ""
    key = wrong[0][0]["key"]
    wanted = ", ".join(wrong[0][0].get("values") or []) or wrong[0][0]["operator"]
    return f"has {key} {labels.get(key, '(none)')}, not {wanted}"


def _matches(expression: Json, labels: Mapping[str, Any]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or []
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return True  # comparisons of numbers: the scheduler's words have to do


def _tolerations(pod: Json) -> list[Json]:
    found: list[Json] = pod["spec"].get("tolerations") or []
    return found


def _tolerates(toleration: Json, taint: Json) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    return toleration.get("key") == taint.get("key") and (toleration.get("value") or "") == (taint.get("value") or "")


def _value(taint: Json) -> str:
    return f"={taint['value']}" if taint.get("value") else ""


def _amount(resource: str, amount: float) -> str:
    return f"{amount / 2**30:.1f} GiB" if resource in ("memory", "ephemeral-storage") else f"{amount:g}"
