"""What one gateway sees of each version: an autoscaler works from it, and a cluster's gateways tell it their leader."""

from __future__ import annotations

from pydantic import Field

from runtime.contract.document import Document


class VersionCounts(Document):
    """One version at one gateway. The counters only grow, so that any number of readers may ask at any time."""

    in_flight: int = 0  # requests on replicas now
    held: float = 0  # requests that wait for a replica now: those that name it, and its share of those that do not
    wishes: int = 0  # counter: requests that another version served because this one had no replica
    requests: int = 0  # counter: requests sent to replicas
    ttft_count: int = 0  # counter: first bytes seen
    ttft_ms: float = 0  # counter: milliseconds to first byte, summed


class GatewayActivity(Document):
    """Everything one gateway process sees. Another name is another process, whose counters began at 0."""

    gateway: str
    services: dict[str, dict[str, VersionCounts]] = Field(default_factory=dict)  # service -> hash -> counts
