"""The gateway's own paths: /-/health for everyone, /-/metrics for this machine."""

from __future__ import annotations

import orjson

from runtime.contract.names import (
    HEALTH_PATH,
    METRIC_GATEWAY_DESIRED,
    METRIC_GATEWAY_HELD,
    METRIC_GATEWAY_IN_FLIGHT,
    METRIC_GATEWAY_REQUESTS,
    METRIC_GATEWAY_SECONDS,
    METRICS_PATH,
)
from runtime.gateway.answers import Answer, problem
from runtime.gateway.gateway import Gateway
from runtime.gateway.request import Request


class Internal:
    """Answers paths that belong to no service."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def answer(self, request: Request, path: str) -> Answer:
        """The answer to a path outside every service's address."""
        loopback_only = path == METRICS_PATH
        if path not in (HEALTH_PATH, METRICS_PATH) or (loopback_only and not request.client.loopback):
            return problem(404, "NotFound", f"{path} is no service's address; services are below /api/predict/")
        if request.head.method not in (b"GET", b"HEAD"):
            allowed = problem(405, "MethodNotAllowed", f"{path} answers GET and HEAD")
            return Answer(405, allowed.body, extra=b"Allow: GET, HEAD\r\n")
        return self.metrics() if loopback_only else self.health()

    def health(self) -> Answer:
        """200 while requests are welcome, else 503."""
        view = self._gateway.view
        status = "draining" if self._gateway.draining else "ok" if view is not None else "no view yet"
        body = {"status": status, "revision": view.revision if view is not None else None}
        return Answer(200 if status == "ok" else 503, orjson.dumps(body))

    def metrics(self) -> Answer:
        """What Prometheus reads."""
        gateway = self._gateway
        lines = [f"# TYPE {METRIC_GATEWAY_REQUESTS} counter"]
        for (service, code), count in sorted(gateway.records.by_code.items()):
            lines.append(f'{METRIC_GATEWAY_REQUESTS}{{service="{service}",code="{code}"}} {count}')
        lines.append(f"# TYPE {METRIC_GATEWAY_IN_FLIGHT} gauge")
        for service, balancer in sorted(gateway.services.items()):
            for replica, count in sorted(balancer.in_flight_by_replica().items()):
                lines.append(f'{METRIC_GATEWAY_IN_FLIGHT}{{service="{service}",replica="{replica}"}} {count}')
        lines.append(f"# TYPE {METRIC_GATEWAY_HELD} gauge")
        for service, balancer in sorted(gateway.services.items()):
            lines.append(f'{METRIC_GATEWAY_HELD}{{service="{service}"}} {balancer.held}')
        lines.append(f"# TYPE {METRIC_GATEWAY_DESIRED} gauge")
        for (service, version), decision in sorted(gateway.decisions.items(), key=lambda each: each[0]):
            lines.append(f'{METRIC_GATEWAY_DESIRED}{{service="{service}",version="{version}"}} {decision.replicas}')
        lines.append(f"# TYPE {METRIC_GATEWAY_SECONDS} histogram")
        for service, histogram in sorted(gateway.records.seconds.items()):
            label = f'service="{service}"'
            total = 0
            for bound, total in histogram.cumulative():
                lines.append(f'{METRIC_GATEWAY_SECONDS}_bucket{{{label},le="{bound}"}} {total}')
            lines.append(f"{METRIC_GATEWAY_SECONDS}_sum{{{label}}} {histogram.sum:.6f}")
            lines.append(f"{METRIC_GATEWAY_SECONDS}_count{{{label}}} {total}")
        return Answer(200, ("\n".join(lines) + "\n").encode(), b"text/plain; version=0.0.4; charset=utf-8")
