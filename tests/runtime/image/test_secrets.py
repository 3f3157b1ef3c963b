"""What the build alone may know: the index and the certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.image.problem import ImageProblem
from runtime.image.secrets import MARK, parse, write_secrets


def test_pips_environment_wins_over_its_files() -> None:
    listing = "global.index-url='https://a.example/simple'\n:env:.index-url='https://b.example'\ninstall.cert='/c'\n"
    assert parse(listing) == {"index-url": "https://b.example", "cert": "/c"}
    assert parse("WARNING: nonsense\n") == {}


def test_several_values_stay_several_lines() -> None:
    assert parse(r"global.trusted-host='a\nb'") == {"trusted-host": "a\n    b"}


def test_secrets_are_files_of_the_user_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(f"{MARK}\nMII\n")
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:password@index.example/simple")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    files = write_secrets(tmp_path, bundle)
    assert "index-url = https://user:password@index.example/simple\n" in files["pip"].read_text()
    assert "find-links" not in files["pip"].read_text()
    assert files["ca"].read_text() == bundle.read_text()
    assert {file.stat().st_mode & 0o777 for file in files.values()} == {0o600}


def test_a_bundle_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ImageProblem, match=r"--ca-bundle: .*absent.pem cannot be read: No such file"):
        write_secrets(tmp_path, tmp_path / "absent.pem")
    (tmp_path / "binary.pem").write_bytes(b"\x30\x82\xff\xfe")
    with pytest.raises(ImageProblem, match="convert it to PEM"):
        write_secrets(tmp_path, tmp_path / "binary.pem")
    (tmp_path / "text.pem").write_text("hello")
    with pytest.raises(ImageProblem, match="holds no PEM certificate"):
        write_secrets(tmp_path, tmp_path / "text.pem")
