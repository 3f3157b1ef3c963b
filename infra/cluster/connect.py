"""Connections to clusters, shared by everything in this process: one pool for each context, one session a namespace."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from infra.cluster.problems import translated
from infra.cluster.session import Session
from runtime.contract.cluster import ClusterAddress
from runtime.kubeapi import Blocking, KubeProblem, from_kubeconfig

Connect = Callable[[ClusterAddress], Blocking]


def by_kubeconfig(address: ClusterAddress) -> Blocking:
    """As the address's kubeconfig and context say. Raises KubeProblem; asks no network but what credentials need."""
    return Blocking(lambda: from_kubeconfig(address.kubeconfig, address.context))


class Connections:
    """Pools by context, sessions by namespace. Thread-safe."""

    def __init__(self, connect: Connect = by_kubeconfig) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, str], Blocking] = {}
        self._sessions: dict[ClusterAddress, Session] = {}

    def of(self, address: ClusterAddress) -> tuple[Blocking, Session]:
        """The pool and the session of an address. Raises HostGone and HostProblem."""
        with self._lock:
            pool = self._pools.get((address.kubeconfig, address.context))
            if pool is None:
                try:
                    pool = self._connect(address)
                except KubeProblem as problem:
                    raise translated(problem, address) from problem
                self._pools[address.kubeconfig, address.context] = pool
            session = self._sessions.get(address)
            if session is None:
                session = self._sessions[address] = pool.run(_session(pool, address))
            return pool, session

    def close(self) -> None:
        """Close everything."""
        with self._lock:
            for session in self._sessions.values():
                pool = self._pools[session.address.kubeconfig, session.address.context]
                pool.run(session.close())
            for pool in self._pools.values():
                pool.close()
            self._sessions.clear()
            self._pools.clear()


async def _session(pool: Blocking, address: ClusterAddress) -> Session:
    """Made on the loop that it belongs to."""
    await asyncio.sleep(0)
    return Session(pool.client, address)
