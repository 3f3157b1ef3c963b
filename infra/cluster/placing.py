"""Asking the cluster's nodes why a pod finds no place: seldom, and only with the right to look at nodes."""

from __future__ import annotations

import time
from collections.abc import Iterable

from infra.cluster import pods
from infra.cluster.nodes import lacks
from infra.cluster.pods import Json, name_of
from infra.cluster.session import Session
from runtime.kubeapi import NODES, PODS, Forbidden, KubeProblem

LOOK_SECONDS = 30.0
"""Nodes and their pods are listed once in so long, for all that wait: they may be many."""


class Placing:
    """What nodes lack, in words."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._seen: tuple[list[Json], list[Json]] = ([], [])
        self._again = 0.0  # monotonic

    async def of(self, waiting: Iterable[Json]) -> dict[str, str]:
        """By pod, for those that the scheduler could not place; nothing without the right to look."""
        unplaced = [pod for pod in waiting if pods.is_unschedulable(pod)]
        if not unplaced:
            return {}
        if time.monotonic() >= self._again:
            self._again = time.monotonic() + LOOK_SECONDS
            try:
                nodes = await self._session.kube.list(NODES)
                there = await self._session.kube.list(PODS, fields="spec.nodeName!=")
                self._seen = list(nodes), list(there)
            except Forbidden:
                self._again = float("inf")
            except KubeProblem:
                return {}
        seen = self._seen
        return {name_of(pod): said for pod in unplaced if (said := lacks(pod, *seen))}
