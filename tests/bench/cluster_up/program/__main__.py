"""The peer: the same Kubernetes objects, declared as plain data with nothing around them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pulumi
from pulumi_kubernetes import Provider


class Raw(pulumi.CustomResource):
    """One object of any kind."""

    def __init__(self, kind: str, name: str, inputs: dict[str, Any], opts: pulumi.ResourceOptions) -> None:
        super().__init__(kind, name, inputs, opts)


provider = Provider("cluster", kubeconfig=os.environ["BARE_KUBECONFIG"], cluster_identifier="bare")
made: dict[str, pulumi.Resource] = {}
for each in json.loads(Path(os.environ["BARE_OBJECTS"]).read_text()):
    after = [made[name] for name in each["after"] if name in made]
    options = pulumi.ResourceOptions(provider=provider, depends_on=after)
    made[each["urn"]] = Raw(each["type"], each["name"], each["inputs"], options)
