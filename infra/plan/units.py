"""Numbers as a reader wants them. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def gib(number: float) -> str:
    """Bytes as GiB: two digits after the point below 1, one below 100, none above. Without the unit."""
    value = number / 2**30
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def counted(number: float, noun: str) -> str:
    """`1 GPU`, `2 GPUs`."""
    return f"{number:g} {noun}" if number == 1 else f"{number:g} {noun}s"


def enumerated(names: Sequence[str], most: int = 4) -> str:
    """`a, b, c` or `a, b, c, d and 3 more`."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def duration(seconds: float, digits: int = 0) -> str:
    """`11 s`, `381 s = 6 min`, `7472 s = 2 h 5 min`: seconds add up, minutes are read."""
    said = f"{seconds:.{digits}f} s"
    minutes = round(seconds / 60)
    if minutes < 3:
        return said
    hours, rest = divmod(minutes, 60)
    return f"{said} = {f'{hours} h ' if hours else ''}{rest} min"
