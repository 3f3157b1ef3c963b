"""One handler per resource of the plugin, its inputs and outputs beside it."""

from typing import Any

from infra.provider.handlers.base import Failure, Handler, InitFailed
from infra.provider.handlers.host import HostHandler
from infra.provider.handlers.namespace import NamespaceHandler
from infra.provider.handlers.rollout import RolloutHandler
from infra.provider.handlers.route import RouteHandler
from infra.provider.handlers.token import TokenHandler
from infra.provider.handlers.version import VersionHandler

HANDLERS: tuple[type[Handler[Any]], ...] = (
    HostHandler,
    NamespaceHandler,
    TokenHandler,
    VersionHandler,
    RolloutHandler,
    RouteHandler,
)

__all__ = ["HANDLERS", "Failure", "Handler", "InitFailed"]
