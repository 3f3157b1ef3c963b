"""What runs measured, as a table; and taking in the memory that replicas of a running host have taken by now."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from infra.measured import Measured, record
from infra.peak import gpu_memory, memory_peak
from infra.place import Place
from infra.plan import read_machine
from infra.plan.measured import machine_place
from infra.plan.units import gib
from runtime.contract.host import VersionState

HEADER = ("SERVICE", "VERSION", "HASH", "MODEL", "ON", "DATE", "START", "GiB", "GPU GiB")


def table(records: Iterable[Measured]) -> str:
    """A row per record, the newest last."""
    rows = [HEADER, *(_row(each) for each in records)]
    if len(rows) == 1:
        return "nothing is measured yet: `pulumi up` records how long a new version's start takes\n"
    widths = [max(len(row[index]) for row in rows) for index in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines) + "\n"


def _row(each: Measured) -> tuple[str, ...]:
    memory, gpu = (gib(size) if size else "-" for size in (each.memory_bytes, each.gpu_memory_bytes))
    start = f"{each.total:.1f} s"
    return (each.service, each.version, each.hash, each.model or "-", each.place, each.date, start, memory, gpu)


def take_in(host: Place, records: dict[str, Measured], *, write: Callable[[Measured], None] = record) -> list[Measured]:
    """The records of what runs on this machine now with the memory that its replicas took so far; they are kept.

    A version whose start was not measured here has no record to add to.
    """
    place, taken = machine_place(read_machine()), []
    for state in host.versions():
        known = records.get(f"{state.record.hash}@{place}")
        if known is not None and (now := _now(known, state)) is not None:
            write(now)
            taken.append(now)
    return taken


def _now(known: Measured, state: VersionState) -> Measured | None:
    pids = [replica.pid for replica in state.replicas if replica.pid]
    if not pids:
        return None
    memory = max(known.memory_bytes, *(memory_peak(pid) for pid in pids))
    gpu = max(known.gpu_memory_bytes, *(gpu_memory(pid) for pid in pids)) if state.record.template.gpus else 0
    return known.model_copy(update={"memory_bytes": memory, "gpu_memory_bytes": gpu})
