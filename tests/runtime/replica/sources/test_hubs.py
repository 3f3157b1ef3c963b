"""Hugging Face's and ModelScope's own clients against small servers of their hubs' shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.contract.version import ModelReference, Trust
from runtime.replica.sources import SourceError, fetch
from runtime.replica.sources.__main__ import main
from runtime.replica.sources.inspect import inspect
from tests.runtime.replica.sources.hubs import COMMIT, Hub, huggingface, modelscope

FILES = {
    "config.json": b'{"model_type": "llama"}',
    "model.safetensors": bytes(range(256)) * 12_000,
    "tokenizer.json": b"{}",
    "pytorch_model.bin": b"pickle",
    "modeling_own.py": b"print()",
    "README.md": b"words",
    "onnx/config.json": b"{}",
}
WANTED = ["config.json", "model.safetensors", "tokenizer.json"]


@pytest.fixture(params=["hf", "modelscope"])
async def hub(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Hub]:
    """One of the two hubs, as the environment names it."""
    serve = huggingface if request.param == "hf" else modelscope
    async with serve(Hub(dict(FILES))) as running:
        monkeypatch.setenv("HF_ENDPOINT" if request.param == "hf" else "MODELSCOPE_ENDPOINT", running.url)
        monkeypatch.setenv("MODELSCOPE_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "hub-cache"))
        running.scheme = request.param
        yield running


def reference(hub: Hub, name: str = "tiny", revision: str = "", digest: str = COMMIT) -> ModelReference:
    source = f"{hub.scheme}://org/{name}{'@' + revision if revision else ''}"
    return ModelReference(name=name, source=source, digest=digest)


def names(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0][0] != ".")
    return sorted(str(path.relative_to(folder)) for path in files if path.name != "fetched.json")


async def test_safetensors_tokenizer_and_configuration_arrive_and_nothing_else(hub: Hub, tmp_path: Path) -> None:
    said: list[str] = []
    folder = await fetch(reference(hub), tmp_path, said.append)
    assert names(folder) == WANTED
    assert all((folder / name).read_bytes() == FILES[name] for name in WANTED)
    assert said[-1] == "3 of 3 MB"


async def test_the_command_fills_a_cache_where_replicas_look(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = reference(hub)
    assert await asyncio.to_thread(main, ["fetch", wanted.source, wanted.digest, str(tmp_path)]) == 0
    folder = capsys.readouterr().out.strip()
    hub.refuse = True
    assert str(await fetch(wanted, tmp_path, lambda detail: None)) == folder


async def test_a_second_fetch_asks_the_hub_nothing(hub: Hub, tmp_path: Path) -> None:
    first = await fetch(reference(hub), tmp_path, lambda detail: None)
    hub.refuse = True
    assert await fetch(reference(hub), tmp_path, lambda detail: None) == first


async def test_two_at_once_fetch_once(hub: Hub, tmp_path: Path) -> None:
    folders = await asyncio.gather(*(fetch(reference(hub), tmp_path, lambda detail: None) for _ in range(3)))
    assert len(set(folders)) == 1
    assert sorted(hub.asked) == WANTED


async def test_a_dropped_connection_goes_on_where_it_ended(hub: Hub, tmp_path: Path) -> None:
    hub.files["model.safetensors"] = FILES["model.safetensors"] * 8  # more than one block of either client
    hub.break_after["model.safetensors"] = 15_000_000
    folder = await fetch(reference(hub), tmp_path, lambda detail: None)
    assert (folder / "model.safetensors").read_bytes() == hub.files["model.safetensors"]
    resumed = [asked for asked in hub.asked if asked.startswith("model.safetensors from")]
    assert len(resumed) == 1, hub.asked


async def test_an_unknown_model_or_commit_is_named_in_one_line(hub: Hub, tmp_path: Path) -> None:
    for wrong in (reference(hub, name="none"), reference(hub, digest="0" * 40)):
        with pytest.raises(SourceError, match=f"{hub.scheme}://org/") as error:
            await fetch(wrong, tmp_path, lambda detail: None)
        assert "\n" not in str(error.value)
    assert not [path for path in (tmp_path / "models").iterdir() if not path.name.startswith(".")]


async def test_pickles_alone_are_refused_unless_trusted(hub: Hub, tmp_path: Path) -> None:
    del hub.files["model.safetensors"]
    with pytest.raises(SourceError, match=r"pickle weights only \(pytorch_model\.bin\); trust\.pickle"):
        await fetch(reference(hub), tmp_path, lambda detail: None)
    folder = await fetch(reference(hub), tmp_path, lambda detail: None, trust=Trust(pickle=True))
    assert names(folder) == ["config.json", "pytorch_model.bin", "tokenizer.json"]


async def test_code_arrives_only_where_it_is_trusted(hub: Hub, tmp_path: Path) -> None:
    folder = await fetch(reference(hub), tmp_path, lambda detail: None, trust=Trust(remote_code=True))
    assert "modeling_own.py" in names(folder)


async def test_inspect_gives_what_the_lock_records(hub: Hub) -> None:
    facts = await asyncio.to_thread(inspect, f"{hub.scheme}://org/tiny")
    assert facts == {
        "source": f"{hub.scheme}://org/tiny",
        "revision": COMMIT,
        "weightBytes": len(FILES["model.safetensors"]),
        "pickleOnly": False,
        "remoteCode": False,
        "config": {"model_type": "llama"},
    }


async def test_an_unreachable_hub_is_an_error_that_names_the_source(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if hub.scheme == "modelscope":
        pytest.skip("its client retries for minutes, whatever it is told")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SourceError, match="hf://org/tiny"):
        await fetch(reference(hub), tmp_path, lambda detail: None)
