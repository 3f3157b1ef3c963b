"""The custom resources of both targets, thin: names, inputs, outputs. docs/designs/local-target.md has their table.

Inputs are camelCase, as on the wire; outputs that are not inputs are declared as attributes.
"""

from __future__ import annotations

import pulumi

from infra.resources.package import PluginResource


class Host(PluginResource):
    """The daemon of one state folder. Inputs: state (absolute path), gateway {host, port}."""

    OUTPUTS = ("endpoint", "running")
    state: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    """http://HOST:PORT of the gateway."""


class Token(PluginResource):
    """A service's token. Inputs: state, service, rotation, overlapSeconds."""

    OUTPUTS = ("token", "present")
    token: pulumi.Output[str]


class Version(PluginResource):
    """An immutable version. Inputs: state, service, name, hash, template, replicas {min, max}, scaling."""

    OUTPUTS = ("present",)
    hash: pulumi.Output[str]


class Rollout(PluginResource):
    """The wait for, and the proof of, a version; its delete is refused while a route names that.

    Inputs: state, endpoint, service, hash, strategy, surge, timeouts, stopped, replicas {min, max}, share, token.
    """

    OUTPUTS = ("proven",)
    proven: pulumi.Output[bool]


class Route(PluginResource):
    """A service's RouteTable.

    Inputs: state, gateway (http://HOST:PORT), service, method, versions, limits, auth, wire, webui, knowledge,
    stopped.
    """

    OUTPUTS = ("endpoint", "generation")
    endpoint: pulumi.Output[str]
    """The service's URL."""
    generation: pulumi.Output[int]
