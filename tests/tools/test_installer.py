"""uv does what pip's configuration says, tells what it waits for, and explains a full disk."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import installer
from tools.console import StepFailed
from tools.installer import Installer, Progress, translated


def test_what_pip_is_configured_with_is_what_uv_is_told() -> None:
    lines = [
        "global.index-url='https://user:secret@one.example/simple'",
        "global.cert='/etc/certs.pem'",
        r"global.extra-index-url='\nhttps://two.example\nhttps://three.example'",
        "install.find-links='/wheels /more'",
        "install.trusted-host='one.example'",
        ":env:.default-timeout='180'",
        ":env:.disable-pip-version-check='1'",
    ]
    variables, options = translated(lines)
    assert variables == {
        "UV_DEFAULT_INDEX": "https://user:secret@one.example/simple",
        "UV_INDEX": "https://two.example https://three.example",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_INSECURE_HOST": "one.example",
        "SSL_CERT_FILE": "/etc/certs.pem",
        "UV_HTTP_TIMEOUT": "180",
    }
    assert options == []


def test_pips_environment_goes_before_its_files() -> None:
    variables, options = translated(
        [":env:.index-url='https://env.example'", "global.index-url='https://file.example'", "global.no-index='true'"]
    )
    assert variables == {"UV_DEFAULT_INDEX": "https://env.example"}
    assert options == ["--no-index"]


def test_what_pip_takes_and_uv_does_not_is_written_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    variables, _ = translated(
        ["global.timeout='60.5'", "global.cert='~/a  b.pem'", "global.find-links='~/wheels https://w.example'"]
    )
    assert variables == {
        "UV_HTTP_TIMEOUT": "61",
        "SSL_CERT_FILE": "/home/me/a  b.pem",
        "UV_FIND_LINKS": "/home/me/wheels,https://w.example",
    }
    assert translated([":env:.default-timeout='9'", "global.timeout='60'"])[0] == {"UV_HTTP_TIMEOUT": "9"}


def test_without_configuration_nothing_is_said() -> None:
    assert translated([]) == ({}, [])


def test_progress_says_which_large_file_is_awaited() -> None:
    progress = Progress(compiles=True)
    texts = [
        progress.after(line)
        for line in (
            "Resolved 29 packages in 515ms",
            "Downloading torch (514.2MiB)",
            "Downloading sympy (6.0MiB)",
            " Downloaded sympy",
            " Downloaded torch",
            "Installed 29 packages in 800ms",
            " + torch==2.15.0",
        )
    ]
    assert texts == [
        "Resolved 29 packages in 515ms",
        "0 of 1 large files are here, waits for torch (514.2MiB)",
        "0 of 2 large files are here, waits for sympy (6.0MiB)",
        "1 of 2 large files are here, waits for torch (514.2MiB)",
        "2 of 2 large files are here",
        "Installed 29 packages in 800ms; compiles them",
        "Installed 29 packages in 800ms; compiles them",
    ]


def test_an_address_with_a_password_is_in_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], dict[str, str]]] = []

    def keep(command: list[object], *, environment: dict[str, str], **options: object) -> None:
        seen.append(([str(part) for part in command], environment))

    monkeypatch.setenv("PIP_INDEX_URL", "https://user:secret@index.example/simple")
    monkeypatch.setattr(installer, "run", keep)
    Installer(Path(sys.executable)).install("packages", "torch", cwd=tmp_path)
    [(command, environment)] = seen
    assert "secret" not in " ".join(command)
    assert environment["UV_DEFAULT_INDEX"] == "https://user:secret@index.example/simple"


def test_bytecode_is_made_at_once_where_python_may_not_keep_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def keep(command: list[object], **options: object) -> None:
        commands.append([str(part) for part in command])

    monkeypatch.setattr(installer, "run", keep)
    for forbidden in (False, True):
        monkeypatch.setattr(sys, "dont_write_bytecode", forbidden)
        Installer(Path(sys.executable)).install("packages", "torch", cwd=tmp_path)
    assert ["--compile-bytecode" in command for command in commands] == [False, True]


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(command: list[object], **options: object) -> None:
        raise StepFailed("uv pip install: packages", "check the index", "No space left on device (os error 28)")

    monkeypatch.setattr(installer, "run", full)
    with pytest.raises(StepFailed) as failed:
        Installer(Path(sys.executable)).install("packages", cwd=tmp_path)
    assert failed.value.remedy == installer.FULL_DISK
