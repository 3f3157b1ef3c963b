"""ModelService: one service, from its token to its route."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components._planning import belongs_to, plan_of, project_folder, report
from components.errors import Refused
from components.targets import local
from infra.plan import Finding, Plan, summary
from infra.resources import options, token


class ModelService(pulumi.ComponentResource):
    """One EAS-like service. Its name is the service's: `/api/predict/NAME`, letters, digits and `_`.

    Arguments: the keys of a service in the stack file, plus `state` and `endpoint` of the Gateway it is behind.
    They are the component's props, so that a diff shows the edited line: `~ traffic.v2: 10 => 50`.
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
    ) -> None:
        declared = {key: value for key, value in args.items() if key not in ("state", "endpoint")}
        if plan is None:
            _, plan = plan_of({"services": {name: declared}}, project_folder())
        super().__init__(token("ModelService"), name, declared, options(opts))
        mine = [finding for finding in plan.findings if belongs_to(finding, "services", name)]
        for finding in mine:
            report(finding, self)
        refuse(plan.errors)
        service = next(service for service in plan.services if service.name == name)
        made = local.service(service, state=args["state"], endpoint=args["endpoint"], parent=self)
        self.endpoint, self.token = made.endpoint, made.token
        self.hashes = {version.name: version.hash for version in service.versions}
        self.plan = summary(service)
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, Any]:
        """What the service gives to its program."""
        return {"endpoint": self.endpoint, "token": self.token, "hashes": self.hashes, "plan": self.plan}


def refuse(errors: tuple[Finding, ...]) -> None:
    """Stop the program when there are errors; they have been logged where they belong."""
    if errors:
        count = f"{len(errors)} error{'s' if len(errors) > 1 else ''}"
        where = ", ".join(dict.fromkeys(error.path for error in errors))
        raise Refused(f"the plan has {count}, nothing is changed: {where}")
