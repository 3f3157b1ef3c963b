"""Thin Pulumi classes of the plugin's resources, so that components can name them without the plugin."""

from infra.resources.cluster import Namespace
from infra.resources.local import Host, Rollout, Route, Token, Version
from infra.resources.package import PACKAGE, VERSION, WAKE, options, token

__all__ = [
    "PACKAGE",
    "VERSION",
    "WAKE",
    "Host",
    "Namespace",
    "Rollout",
    "Route",
    "Token",
    "Version",
    "options",
    "token",
]
