"""Which versions' logs are meant, and following several at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence

from infra.hostclient import HostGone, HostProblem
from infra.place import Place
from runtime.contract.cluster import version_name
from runtime.contract.host import VersionState


def chosen(versions: Sequence[VersionState], *, version: str = "", replica: str = "") -> list[VersionState]:
    """The versions of one service that a name or hash means, and, given a replica, the one that it belongs to."""
    return [
        each
        for each in versions
        if version in ("", each.record.name, each.record.hash)
        and (not replica or replica.startswith(_beginnings(each)))
    ]


def _beginnings(version: VersionState) -> tuple[str, str]:
    """How names of its replicas begin: on a host, and on a cluster."""
    service, hash = version.record.service, version.record.hash
    return f"{service}-{hash}-", f"{version_name(service, hash)}-"


def follow_all(host: Place, versions: Sequence[VersionState], *, replica: str = "", tail: int = 200) -> Iterator[str]:
    """Lines of all versions as they come; each is led by its version's name where there are several.

    Ends when every stream has ended; raises what the last one raised.
    """
    lines: queue.SimpleQueue[str | HostGone | HostProblem | None] = queue.SimpleQueue()

    def read(version: VersionState) -> None:
        prefix = f"{version.record.name} | " if len(versions) > 1 else ""
        try:
            for line in host.follow_logs(version.record.service, version.record.hash, replica=replica, tail=tail):
                lines.put(prefix + line)
            lines.put(None)
        except (HostGone, HostProblem) as lost:
            lines.put(lost)

    for version in versions:
        # Daemons: Ctrl-C must end the command although a read of a quiet log never returns.
        threading.Thread(target=read, args=(version,), daemon=True).start()
    failure: HostGone | HostProblem | None = None
    running = len(versions)
    while running:
        match lines.get():
            case str() as line:
                yield line
            case None:
                running -= 1
            case lost:
                running, failure = running - 1, lost
    if failure is not None:
        raise failure
