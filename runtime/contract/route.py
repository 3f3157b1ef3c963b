"""The RouteTable: how one service's requests find a version. Written only by the Route resource."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runtime.contract.document import Document
from runtime.contract.replica import Knowledge, Limits, Wire
from runtime.contract.version import Method


class RouteVersion(Document):
    """One named version in the table. Weight is percent; 0 = no traffic, still addressable and never swept."""

    hash: str
    weight: int


class RouteTable(Document):
    """One service's route. `generation` is given by the host, one higher for each change."""

    service: str
    generation: int = 0
    method: Method = Method.STANDARD
    versions: dict[str, RouteVersion] = Field(default_factory=dict)
    limits: Limits = Limits()
    auth: Literal["token", "none"] = "token"
    wire: Wire = Wire()
    webui: bool = False
    knowledge: Knowledge | None = None
    stopped: bool = False
