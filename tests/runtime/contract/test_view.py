"""The view that a target builds for gateways."""

from __future__ import annotations

import json

from runtime.contract.desired import Version
from runtime.contract.host import VersionRecord, VersionView
from runtime.contract.route import RouteTable, RouteVersion
from runtime.contract.scaling import CronJob, ScaleMetric, ScaleTarget, Scaling
from runtime.contract.version import Bounds, EngineKind, Method, VersionTemplate
from runtime.contract.view import build_services

TEMPLATE = VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED)
SCALING = Scaling(
    target=ScaleTarget(metric=ScaleMetric.QPS, value=5), cron=(CronJob(schedule="0 8 * * *", replicas=2),)
)


def version(**fields: object) -> Version:
    record = VersionRecord(
        service="chat",
        name="main",
        hash=TEMPLATE.hash(),
        template=TEMPLATE,
        bounds=Bounds(min=0, max=4),
        scaling=SCALING,
    )
    return Version(**{"record": record, **fields})  # type: ignore[arg-type]


def test_a_gateway_is_told_what_an_autoscaler_needs() -> None:
    route = RouteTable(service="chat", versions={"main": RouteVersion(hash=TEMPLATE.hash(), weight=100)})
    services = build_services([version(live=3, lease_until=200.0)], {"chat": route}, {}, {}, now=100.0)
    seen = services["chat"].versions[TEMPLATE.hash()]
    assert seen == VersionView(bounds=Bounds(min=0, max=4), scaling=SCALING, live=3, leased=True)
    after = build_services([version(live=3, lease_until=200.0)], {"chat": route}, {}, {}, now=201.0)
    assert not after["chat"].versions[TEMPLATE.hash()].leased


def test_a_version_that_is_being_deleted_is_nobodys_to_scale() -> None:
    assert build_services([version(deleting=True)], {}, {}, {}, now=100.0)["chat"].versions == {}


def test_a_row_of_an_older_host_reads_as_one_that_does_not_scale() -> None:
    row = json.loads(version(live=1).to_json())
    del row["record"]["scaling"], row["because"]
    read = Version.from_json(json.dumps(row))
    assert (read.record.scaling, read.because, read.live) == (Scaling(), "", 1)
