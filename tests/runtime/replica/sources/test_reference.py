"""Sources as text, folders, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.contract.version import ModelReference
from runtime.replica.sources import SourceError, fetch
from runtime.replica.sources.__main__ import main
from runtime.replica.sources.reference import Source, parse_source


@pytest.mark.parametrize(("text", "source"), [
    ("/models/a", Source("path", "/models/a")),
    ("embedded://SmolLM2-135M-Instruct", Source("embedded", "SmolLM2-135M-Instruct")),
    ("hf://org/name", Source("hf", "org/name")),
    ("hf://org/name@v1.0", Source("hf", "org/name", "v1.0")),
    ("modelscope://org/name@master", Source("modelscope", "org/name", "master")),
    ("s3://bucket/a/b/", Source("s3", "bucket/a/b")),
    ("s3://bucket", Source("s3", "bucket")),
])  # fmt: skip
def test_a_source_is_parsed(text: str, source: Source) -> None:
    assert parse_source(text) == source


@pytest.mark.parametrize(("text", "reason"), [
    ("models/a", "neither an absolute folder nor one of embedded://"),
    ("gs://bucket/x", "neither an absolute folder nor one of"),
    ("hf://name", "expected hf://organization/name"),
    ("hf://a/b/c", "expected hf://organization/name"),
    ("hf://a/b@v 1", "'v 1' is not a revision"),
    ("s3://", "nothing follows s3://"),
])  # fmt: skip
def test_a_wrong_source_is_quoted_with_what_would_work(text: str, reason: str) -> None:
    with pytest.raises(SourceError) as error:
        parse_source(text)
    assert repr(text) in str(error.value)
    assert reason in str(error.value)


def test_different_sources_have_different_folder_names() -> None:
    texts = ["hf://a/b", "hf://a/b@v1", "modelscope://a/b", "s3://a/b", "s3://a--b"]
    assert len({parse_source(text).folder_name for text in texts}) == len(texts)


async def test_a_folder_is_used_where_it_lies(tmp_path: Path) -> None:
    reference = ModelReference(name="mine", source=str(tmp_path), digest="")
    assert await fetch(reference, tmp_path / "cache", lambda detail: None) == tmp_path
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("source", ["/no/such/folder", "embedded://Other"])
async def test_what_is_not_there_is_named(tmp_path: Path, source: str) -> None:
    with pytest.raises(SourceError, match=source):
        await fetch(ModelReference(name="x", source=source, digest=""), tmp_path, lambda detail: None)


def test_the_command_ends_with_one_for_an_error_and_two_for_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main(["inspect", "embedded://x"]) == 1
    assert "needs no lock entry" in capsys.readouterr().err
