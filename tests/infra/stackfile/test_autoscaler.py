"""What an HPA and KEDA cannot do is an error at the key that asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.stackfile import load
from infra.stackfile.errors import StackFileErrors

TARGET = {"qps": 5}


def errors(by: str, **replicas: Any) -> list[str]:
    service = {"engine": "scripted", "autoscaler": by, "replicas": replicas}
    try:
        load({"target": {"kind": "kubernetes"}, "services": {"chat": service}}, folder=Path())
    except StackFileErrors as found:
        return [str(each) for each in found.errors]
    return []


@pytest.mark.parametrize("by", ["hpa", "keda"])
def test_what_they_can_do_is_taken(by: str) -> None:
    assert errors(by, min=1, max=4, target=TARGET) == []
    assert errors(by, min=2, max=2) == []
    assert errors("keda", min=0, max=2, target=TARGET) == []


@pytest.mark.parametrize(
    ("by", "replicas", "text"),
    [
        ("hpa", {"min": 0, "max": 2, "target": TARGET}, "replicas.min: an HPA has at least 1 (it says 0)"),
        ("hpa", {"max": 2}, "replicas.target: is missing: hpa moves the count by it"),
        ("keda", {"min": 0}, "replicas.target: is missing: keda moves the count by it"),
        ("keda", {"cron": [{"schedule": "0 8 * * *", "replicas": 1}]}, "replicas.cron: is nothing that keda follows"),
        (
            "hpa",
            {"max": 2, "target": TARGET, "scaleDownSeconds": 4000},
            "replicas.scaleDownSeconds: is above what hpa takes (it says 4000",
        ),
    ],
)
def test_what_they_cannot_is_refused_at_its_key(by: str, replicas: dict[str, Any], text: str) -> None:
    [error] = errors(by, **replicas)
    assert error.startswith(f"services.chat.{text}")
