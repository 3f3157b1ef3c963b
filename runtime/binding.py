"""A bound TCP socket of a gateway or a replica."""

from __future__ import annotations

import socket


def bound(host: str, port: int) -> socket.socket:
    """Bound, not yet listening. `::` takes IPv4 too, and IPv4 alone on a machine without IPv6. Raises OSError."""
    try:
        return _bound(host, port)
    except OSError:
        if host != "::":
            raise
        return _bound("0.0.0.0", port)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == "::":
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
