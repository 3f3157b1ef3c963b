"""The external metrics API, as an HPA asks it: external.metrics.k8s.io/v1beta1, over TLS.

The API server asks on behalf of whoever asked it, and it has checked their right. It does not check our certificate
(insecureSkipTLSVerify), and these numbers are no secrets.
"""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from runtime.contract.cluster import HASH, METRICS_API, SERVICE, metric_name
from runtime.contract.scaling import ScaleMetric
from runtime.gateway.autoscale.ledger import Key
from runtime.gateway.cluster.certificate import server_context
from runtime.gateway.cluster.totals import Total, Totals

GROUP_VERSION = f"{METRICS_API}/v1beta1"
GROUP_PATH = f"/apis/{GROUP_VERSION}"
NAMES = {metric_name(metric): metric for metric in ScaleMetric}


class BadSelector(ValueError):
    """A label selector that is none, or of a kind that is not answered here."""


def selected(text: str) -> dict[str, str]:
    """The labels that a selector asks for: `key=value`, `key==value`, joined by commas. Raises BadSelector."""
    wanted: dict[str, str] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        found = re.fullmatch(r"([A-Za-z0-9._/-]+)\s*==?\s*([A-Za-z0-9._-]*)", part)
        if found is None:
            raise BadSelector(f"labelSelector: {part!r} is not of the form key=value")
        wanted[found[1]] = found[2]
    return wanted


def resources() -> dict[str, Any]:
    """What discovery tells."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": GROUP_VERSION,
        "resources": [
            {"name": name, "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]}
            for name in NAMES
        ],
    }


def values(
    known: Mapping[Key, Total], metric: ScaleMetric, labels: Mapping[str, str], now: datetime
) -> list[dict[str, Any]]:
    """One item per version with these labels whose number is known. None at all: an HPA leaves the count as it is."""
    return [
        {
            "metricName": metric_name(metric),
            "metricLabels": {SERVICE: service, HASH: digest},
            "timestamp": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": f"{round(total.value * 1000)}m",
        }
        for (service, digest), total in sorted(known.items())
        if total.metric is metric and total.value is not None
        if labels.items() <= {SERVICE: service, HASH: digest}.items()
    ]


def application(totals: Totals, namespace: str) -> web.Application:
    """The API of one namespace's gateways."""

    async def discovery(request: web.Request) -> web.Response:
        return web.json_response(resources())

    async def metric(request: web.Request) -> web.Response:
        name = request.match_info["metric"]
        if name not in NAMES:
            return _status(404, "NotFound", f"there is no metric {name}; there are {', '.join(NAMES)}")
        try:
            labels = selected(request.query.get("labelSelector", ""))
        except BadSelector as bad:
            return _status(400, "BadRequest", str(bad))
        ours = request.match_info["namespace"] == namespace
        items = values(totals.known, NAMES[name], labels, datetime.now(UTC)) if ours else []
        body = {"kind": "ExternalMetricValueList", "apiVersion": GROUP_VERSION, "metadata": {}, "items": items}
        return web.json_response(body)

    app = web.Application()
    app.router.add_get(GROUP_PATH, discovery)
    app.router.add_get(f"{GROUP_PATH}/", discovery)
    app.router.add_get(f"{GROUP_PATH}/namespaces/{{namespace}}/{{metric}}", metric)
    return app


@asynccontextmanager
async def external_metrics(totals: Totals, namespace: str, listening: socket.socket) -> AsyncIterator[None]:
    """Serve it on a bound socket, with a certificate of this process's own."""
    runner = web.AppRunner(application(totals, namespace), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.SockSite(runner, listening, ssl_context=server_context(f"{namespace}.svc")).start()
        yield
    finally:
        await runner.cleanup()


def _status(code: int, reason: str, message: str) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason}
    return web.json_response({**body, "code": code}, status=code)
