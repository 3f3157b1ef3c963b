"""Scales on the local target: the host's admin socket."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from runtime.contract.host import Scale
from runtime.gateway.autoscale.ports import ScaleFailed

SCALE_SECONDS = 5.0


class HostScaler:
    """A Scaler. A connection per call: there are few."""

    def __init__(self, host_socket: Path) -> None:
        self._socket = host_socket

    async def scale(self, service: str, hash: str, replicas: int, reason: str) -> None:
        """See Scaler."""
        url = f"http://host/v1/services/{service}/versions/{hash}/scale"
        body = Scale(replicas=replicas, reason=reason).to_json()
        timeout = aiohttp.ClientTimeout(total=SCALE_SECONDS)
        try:
            async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self._socket))) as session:
                async with session.put(url, data=body, timeout=timeout) as response:
                    if response.status >= 300:
                        raise ScaleFailed(f"the host answered {response.status}: {await response.text()}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ScaleFailed(f"the host cannot be reached: {str(error) or type(error).__name__}") from error
