"""Numbers as a reader wants them. Pure."""

from __future__ import annotations


def gib(number: float) -> str:
    """Bytes as GiB: two digits after the point below 1, one below 100, none above. Without the unit."""
    value = number / 2**30
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:.0f}"
