"""Has a gateway checked this request already? It shows a key that only gateways and replicas know."""

from __future__ import annotations

import hmac
import os
from pathlib import Path

from runtime.auth import Headers
from runtime.contract.cluster import GATEWAY_HEADER


class GatewayKey:
    """The key in a file, read again when the file has changed and a request shows another one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key = b""
        self._stamp: tuple[int, int] | None = None

    def shown_by(self, headers: Headers) -> bool:
        """Whether the request shows the key. Compared in constant time; without a key nobody is trusted."""
        shown = headers.get(GATEWAY_HEADER)
        if shown is None:
            return False
        offered = shown.encode("utf-8", "surrogateescape")
        return self._is(offered) or (self._read_again() and self._is(offered))

    def _is(self, offered: bytes) -> bool:
        return hmac.compare_digest(offered, self._key) and self._key != b""

    def _read_again(self) -> bool:
        try:
            facts = os.stat(self._path)
            stamp = facts.st_mtime_ns, facts.st_ino
            if stamp == self._stamp:
                return False
            self._key, self._stamp = self._path.read_bytes().strip(), stamp
        except OSError:
            return False
        return True
