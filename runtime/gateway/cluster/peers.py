"""What the other gateways see: the leading one asks each at its internal port."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

import aiohttp
from pydantic import ValidationError

from runtime.contract.activity import GatewayActivity
from runtime.contract.cluster import INTERNAL_PORT
from runtime.gateway.cluster.internal_port import ACTIVITY_PATH
from runtime.gateway.cluster.objects import Pod, host_in_url

ASK_SECONDS = 0.8
log = logging.getLogger(__name__)


class Peers:
    """An ActivitySource. `gateways` gives the pods of the gateway's Service now, this one among them."""

    def __init__(self, name: str, gateways: Callable[[], Sequence[Pod]], *, port: int = INTERNAL_PORT) -> None:
        self._name, self._gateways, self._port = name, gateways, port
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ASK_SECONDS))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def others(self) -> Sequence[GatewayActivity]:
        """See ActivitySource. Those that drain are asked too: their requests are still under way."""
        others = [pod for pod in self._gateways() if pod.name != self._name]
        answers = await asyncio.gather(*(self._ask(pod) for pod in others))
        return [answer for answer in answers if answer is not None]

    async def _ask(self, pod: Pod) -> GatewayActivity | None:
        try:
            async with self._session.get(f"http://{host_in_url(pod.ip)}:{self._port}{ACTIVITY_PATH}") as answer:
                answer.raise_for_status()
                return GatewayActivity.from_json(await answer.read())
        except (aiohttp.ClientError, OSError, ValidationError) as error:
            log.debug("%s does not tell its activity: %s", pod.name, error)
            return None
