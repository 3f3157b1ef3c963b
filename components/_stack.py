"""Stack: everything that a stack file declares."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi

from components._gateway import Gateway
from components._model_service import ModelService, refuse
from components._planning import belongs_to, plan_of, project_folder, report
from components._pools import ResourceGroup, ResourceQuota
from infra.plan import Plan, text
from infra.resources import options, token
from infra.stackfile import KubernetesTarget, LocalTarget
from infra.stackfile import Stack as StackFile


class Stack(pulumi.ComponentResource):
    """Load, plan, declare: a whole stack file.

    Arguments: its keys without their namespace (target, offline, mirrors, resourceGroups, quotas, services). Paths in
    them are relative to `folder`, the project's when absent. Errors all come at once, and then nothing is declared.
    """

    services: dict[str, dict[str, Any]]
    """By name: endpoint, token (secret), versions (name to hash), plan."""

    def __init__(
        self,
        name: str,
        args: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
        *,
        folder: Path | None = None,
    ) -> None:
        stack, plan = plan_of(args, folder or project_folder())
        super().__init__(token("Stack"), name, {"target": stack.target.kind, "offline": stack.offline}, options(opts))
        child = pulumi.ResourceOptions(parent=self)
        if pulumi.runtime.is_dry_run() and not plan.errors:
            pulumi.log.info(text(plan).rstrip(), self)
        self._report(plan, stack)
        refuse(plan.errors)

        for group, declared in stack.resource_groups.items():
            _reported(ResourceGroup(group, _data(declared), child), plan, "resourceGroups", group)
        gateway = Gateway("gateway", _gateway(stack, plan), child) if stack.services else None
        cluster = gateway.door.cluster if gateway and gateway.door else None
        enforced: dict[str, list[pulumi.Resource]] = {}
        for quota, cap in stack.quotas.items():
            made_quota = ResourceQuota(quota, _data(cap), child, cluster=cluster)
            _reported(made_quota, plan, "quotas", quota)
            enforced[quota] = made_quota.objects
        models: dict[str, list[pulumi.Resource]] = {}
        if cluster is not None and isinstance(stack.target, KubernetesTarget):
            from components.targets.kubernetes.stack import caches

            models = caches(stack.target, plan.services, cluster, parent=self)
        self.services = {}
        for service, keys in stack.declared.items() if gateway else ():
            assert gateway is not None
            args = {**keys, "state": gateway.state, "endpoint": gateway.endpoint}
            made = ModelService(
                service,
                args,
                child,
                plan=plan,
                cluster=cluster,
                first=[
                    *enforced.get(stack.services[service].resources.quota or "", ()),
                    *models.get(service, ()),
                ],
            )
            outputs = {"endpoint": made.endpoint, "token": made.token, "versions": made.hashes, "plan": made.plan}
            self.services[service] = outputs
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, Any]:
        """What the stack gives to its program."""
        return {"services": self.services}

    def _report(self, plan: Plan, stack: StackFile) -> None:
        """Log what belongs to no child. With errors there will be no children: services are named to carry theirs."""
        owned = {"services": stack.services, "resourceGroups": stack.resource_groups, "quotas": stack.quotas}
        for finding in plan.findings:
            if not any(belongs_to(finding, section, name) for section, names in owned.items() for name in names):
                report(finding, self)
        if plan.errors:
            for name, keys in stack.declared.items():
                mine = [finding for finding in plan.findings if belongs_to(finding, "services", name)]
                if mine:
                    resource = pulumi.ComponentResource(
                        token("ModelService"), name, dict(keys), options(pulumi.ResourceOptions(parent=self))
                    )
                    for finding in mine:
                        report(finding, resource)


def _reported(resource: pulumi.Resource, plan: Plan, section: str, name: str) -> None:
    for finding in plan.findings:
        if belongs_to(finding, section, name):
            report(finding, resource)


def _gateway(stack: StackFile, plan: Plan) -> dict[str, Any]:
    if isinstance(stack.target, LocalTarget):
        settings = stack.target.gateway.model_dump(by_alias=True)
        return {**settings, "state": str(stack.path(stack.target.state))} if stack.target.state else settings
    from components.targets.kubernetes.scaling import autoscalers

    declared = {**_data(stack.target), "image": plan.image}
    if scaled := autoscalers(plan.services):
        declared["autoscalers"] = scaled
    if stack.target.render:
        declared["render"] = str(stack.path(stack.target.render))
    if stack.target.kubeconfig:
        declared["kubeconfig"] = str(stack.path(stack.target.kubeconfig))
    return declared


def _data(model: Any) -> dict[str, Any]:
    data: dict[str, Any] = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    return data
