"""Settings as a pod gets them: a folder with the service's token and its route, each replaced by the kubelet."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from runtime.contract.desired import Token
from runtime.contract.host import TokenRecord
from runtime.contract.replica import Limits, ServiceSettings
from runtime.contract.route import RouteTable
from runtime.replica.settings import BrokenSettings, SettingsFile


class Mount:
    """A volume as the kubelet writes it: names that lead through `..data`, which is swapped in one step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.version = 0
        folder.mkdir()

    def write(self, **files: str) -> None:
        self.version += 1
        fresh = self.folder / f"..{self.version}"
        fresh.mkdir()
        for name, text in files.items():
            (fresh / f"{name}.json").write_text(text)
            link = self.folder / f"{name}.json"
            if not link.is_symlink():
                link.symlink_to(f"..data/{name}.json")
        os.symlink(fresh.name, self.folder / "..new")
        (self.folder / "..new").replace(self.folder / "..data")


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    return Mount(tmp_path / "settings")


def token(value: str, before: str = "", until: float = 0) -> str:
    return Token(record=TokenRecord(token=value), before=before, before_until=until).to_json()


def test_without_a_route_a_service_has_its_token_and_the_defaults(mount: Mount) -> None:
    mount.write(tokens=token("t"))
    assert SettingsFile(mount.folder).current == ServiceSettings(tokens=("t",))


def test_a_route_that_comes_and_a_token_that_changes_are_seen(mount: Mount) -> None:
    mount.write(tokens=token("t"))
    settings = SettingsFile(mount.folder, every_seconds=0)
    route = RouteTable(service="chat", limits=Limits(queue=3), webui=True)
    mount.write(tokens=token("u"), route=route.to_json())
    assert settings.current == ServiceSettings(tokens=("u",), limits=Limits(queue=3), webui=True)


def test_the_token_before_ends_at_its_time_without_any_change(mount: Mount) -> None:
    now = 100.0
    mount.write(tokens=token("new", "old", 200.0))
    settings = SettingsFile(mount.folder, every_seconds=0, now=lambda: now)
    assert settings.current.tokens == ("new", "old")
    now = 200.0
    assert settings.current.tokens == ("new",)


def test_a_pod_without_any_file_yet_trusts_nobody(mount: Mount) -> None:
    assert SettingsFile(mount.folder).current == ServiceSettings()


def test_a_broken_file_keeps_the_last_and_says_no_token(mount: Mount, caplog: pytest.LogCaptureFixture) -> None:
    mount.write(tokens=token("secret"))
    settings = SettingsFile(mount.folder, every_seconds=0)
    with caplog.at_level(logging.WARNING):
        for broken in (token("secret")[:-5], json.dumps({"record": {"token": 5}}), '{"other": "secret"}'):
            mount.write(tokens=broken)
            assert settings.current.tokens == ("secret",)
    assert "tokens.json is not valid" in caplog.text
    assert "secret" not in caplog.text


def test_a_broken_file_at_the_start_is_an_error(mount: Mount) -> None:
    mount.write(tokens="{")
    with pytest.raises(BrokenSettings, match=r"tokens\.json is not valid"):
        SettingsFile(mount.folder)
