"""What serves, read from a plan: the plan of another revision of the stack file stands for what is deployed. Pure."""

from __future__ import annotations

from infra.plan.document import Deployed, DeployedVersion, Plan


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
