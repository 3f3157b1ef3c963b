"""What serves, as plain data: of a plan (another revision stands for it), or of a stack's own outputs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog import Catalog
from infra.plan.document import Deployed, DeployedVersion, Plan, ServicePlan
from infra.plan.placement import node_usd
from runtime.contract.version import Bounds


def deployed_of(plan: Plan) -> Deployed:
    """The versions of a plan as if they served now, each with what one replica costs."""
    return Deployed(
        services={
            service.name: tuple(
                DeployedVersion(
                    name=version.name,
                    hash=version.hash,
                    bounds=version.bounds,
                    usd_per_hour=None
                    if version.cost is None or version.cost.max_per_hour is None
                    else version.cost.max_per_hour / max(1, version.bounds.max),
                )
                for version in service.versions
            )
            for service in plan.services
        }
    )


def summary(service: ServicePlan) -> dict[str, Any]:
    """A service's plan in a few plain values, an output of its component: `deployed_from` reads it in the next run.

    No price and nothing else that changes by itself, as the free memory in a rollout's reason: outputs are diffed.
    """
    versions: dict[str, dict[str, Any]] = {}
    for version in service.versions:
        versions[version.name] = {
            "hash": version.hash,
            "replicas": version.bounds.to_data(),
            "memoryBytes": sum(term.bytes for term in version.terms),
            "on": version.placed,
        }
        if (place := version.placement) is not None and place.node_slots:
            share = round(place.slots / place.node_slots, 4)
            versions[version.name] |= {"instanceType": place.instance_type, "nodeShare": share}
    return {"rollout": service.rollout.strategy, "stopped": service.stopped, "versions": versions}


def deployed_from(services: Mapping[str, Any], catalog: Catalog) -> Deployed:
    """What serves by the stack's last output `services`: NAME -> {plan: summary}. Prices are today's on both sides.

    What another program or an older version wrote there in another form is left out, or has no price: unknown.
    """
    return Deployed(
        services={
            name: tuple(_version(key, value, catalog) for key, value in versions.items())
            for name, versions in ((name, _versions(given)) for name, given in sorted(services.items()))
            if versions
        }
    )


def _versions(given: Any) -> dict[str, Mapping[str, Any]]:
    plan = given.get("plan") if isinstance(given, Mapping) else None
    if not isinstance(plan, Mapping) or plan.get("stopped"):
        return {}
    versions = plan.get("versions")
    if not isinstance(versions, Mapping):
        return {}
    return {str(key): value for key, value in sorted(versions.items()) if isinstance(value, Mapping)}


def _version(name: str, data: Mapping[str, Any], catalog: Catalog) -> DeployedVersion:
    bounds = data.get("replicas")
    low, high = (int(bounds.get(key, 1)) for key in ("min", "max")) if isinstance(bounds, Mapping) else (1, 1)
    instance = catalog.instances.get(str(data.get("instanceType")))
    share = data.get("nodeShare")
    usd = node_usd(instance, catalog) if instance is not None else None
    return DeployedVersion(
        name=name,
        hash=str(data.get("hash", "")),
        bounds=Bounds(min=low, max=high),
        usd_per_hour=usd * share if usd is not None and isinstance(share, int | float) else None,
    )
