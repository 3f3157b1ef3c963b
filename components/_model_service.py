"""ModelService: one service, from its token to its route."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pulumi

from components._gateway import cluster_target
from components._planning import belongs_to, plan_of, project_folder, report
from components.errors import Refused
from components.targets import local
from infra.plan import Finding, Plan, ServicePlan, summary
from infra.resources import options, token

if TYPE_CHECKING:
    from components.targets.kubernetes.declare import Cluster

ADDRESS = ("state", "endpoint", "target")
"""Arguments that say where a service goes, and are no keys of its own."""


class ModelService(pulumi.ComponentResource):
    """One EAS-like service. Its name is the service's: `/api/predict/NAME`, letters, digits and `_`.

    Arguments: the keys of a service in the stack file, plus `state` and `endpoint` of the Gateway it is behind; on a
    cluster also `target`, as a stack file has it. The keys are the component's props, so that a diff shows the edited
    line: `~ traffic.v2: 10 => 50`.
    """

    endpoint: pulumi.Output[str]
    """The service's URL."""
    token: pulumi.Output[str]
    """What clients send in the Authorization header; a secret."""
    hashes: dict[str, str]
    """Hash by version name. (Not `versions`: the SDK gives an output of a prop's name the prop's value.)"""
    plan: dict[str, Any]
    """The rollout strategy, and per version what each replica gets."""

    def __init__(
        self,
        name: str,
        args: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
        *,
        plan: Plan | None = None,
        cluster: Cluster | None = None,
        first: Sequence[pulumi.Resource] = (),
    ) -> None:
        declared = {key: value for key, value in args.items() if key not in ADDRESS}
        if plan is None:
            where = {"target": args["target"]} if "target" in args else {}
            _, plan = plan_of({**where, "services": {name: declared}}, project_folder())
        super().__init__(token("ModelService"), name, declared, options(opts))
        mine = [finding for finding in plan.findings if belongs_to(finding, "services", name)]
        for finding in mine:
            report(finding, self)
        refuse(plan.errors)
        service = next(service for service in plan.services if service.name == name)
        if plan.target == "local":
            made = local.service(service, state=args["state"], endpoint=args["endpoint"], parent=self)
        else:
            made = self._on_cluster(service, args, cluster, first)
        self.endpoint, self.token = made.endpoint, made.token
        self.hashes = {version.name: version.hash for version in service.versions}
        self.plan = summary(service)
        self.register_outputs(self.outputs())

    def _on_cluster(
        self,
        plan: ServicePlan,
        args: Mapping[str, Any],
        cluster: Cluster | None,
        first: Sequence[pulumi.Resource],
    ) -> local.Service:
        from components.targets.kubernetes.declare import Cluster, provider
        from components.targets.kubernetes.service import service
        from components.targets.kubernetes.stack import address_of

        if cluster is None:  # a program of one's own, with a Gateway of its own
            where = address_of(cluster_target(args["target"]))
            cluster = Cluster(where, provider(f"{plan.name}-cluster", where, parent=self))
        return service(plan, cluster, endpoint=args["endpoint"], first=first, parent=self)

    def outputs(self) -> dict[str, Any]:
        """What the service gives to its program."""
        return {"endpoint": self.endpoint, "token": self.token, "hashes": self.hashes, "plan": self.plan}


def refuse(errors: tuple[Finding, ...]) -> None:
    """Stop the program when there are errors; they have been logged where they belong."""
    if errors:
        count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
        where = ", ".join(dict.fromkeys(error.path for error in errors))
        raise Refused(f"the plan has {count}, nothing is changed: {where}")
