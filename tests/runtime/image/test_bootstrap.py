"""A base without a registry: from which mirror, under which name, and what it needs."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.contract.version import Method
from runtime.image.bootstrap import base_name, debian_mirror, ensure_base
from runtime.image.console import Progress
from runtime.image.engines import Engine
from runtime.image.problem import ImageProblem
from runtime.image.recipe import recipe
from tests.runtime.image.fake_engine import fake_engine

STANDARD = recipe(Method.STANDARD)
NONE_YET = Engine("docker", "/nonexistent")


def test_the_mirror_is_apts_own_and_not_the_one_of_security_updates() -> None:
    targets = """https://other.example/node nodistro
http://mirror.example/debian-security/ bookworm-security
http://mirror.example/debian/ bookworm-updates
http://mirror.example/debian/ bookworm
"""
    assert debian_mirror(targets) == "http://mirror.example/debian"


def test_without_debian_in_apts_configuration_there_is_no_mirror() -> None:
    with pytest.raises(ImageProblem, match="apt is configured with no Debian archive"):
        debian_mirror("http://mirror.example/ubuntu/ noble\n")


def test_other_packages_are_another_base() -> None:
    assert base_name(STANDARD) == base_name(recipe(Method.STANDARD, base="another"))
    assert base_name(STANDARD) != base_name(replace(STANDARD, system=("python3",)))


def test_a_base_that_is_there_is_not_made_again(programs: Path) -> None:
    fake_engine(programs)
    made = ensure_base(Engine("buildah", str(programs / "buildah")), STANDARD, Progress())
    assert made == base_name(STANDARD)


@pytest.mark.skipif(os.geteuid() != 0, reason="as another user the refusal is the same whatever is configured")
def test_debootstrap_wants_root(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_engine(programs, "debootstrap")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ImageProblem, match="--bootstrap needs root"):
        ensure_base(NONE_YET, STANDARD, Progress())
