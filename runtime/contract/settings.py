"""What a service's replicas are told while they run, from its route and its token. Pure."""

from __future__ import annotations

from runtime.contract.desired import Token
from runtime.contract.replica import ServiceSettings
from runtime.contract.route import RouteTable


def service_settings(route: RouteTable | None, token: Token | None, now: float) -> ServiceSettings:
    """A service without a route yet gets the defaults: a rollout's proof needs its token."""
    tokens = () if token is None else token.valid(now)
    if route is None:
        return ServiceSettings(tokens=tokens)
    return ServiceSettings(
        auth=route.auth,
        tokens=tokens,
        limits=route.limits,
        wire=route.wire,
        webui=route.webui,
        knowledge=route.knowledge,
    )
