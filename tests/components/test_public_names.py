"""What users may import."""

from __future__ import annotations

import components

PROMISED = ["Gateway", "GpuNodePool", "ModelService", "ResourceGroup", "ResourceQuota", "Stack"]


def test_the_public_names_are_the_promised_ones() -> None:
    assert sorted(components.__all__) == PROMISED
    assert all(hasattr(components, name) for name in PROMISED)
