"""Marks for tests that need a program which a desk may lack."""

from __future__ import annotations

import os

import pytest


def needs(what: str, there: bool) -> pytest.MarkDecorator:
    """Left out where it is missing, but for CI: what cannot run there fails."""
    return pytest.mark.skipif(not there and "CI" not in os.environ, reason=f"{what} is not installed")
