"""S3 by ranged reads against moto's server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from runtime.contract.version import ModelReference, Trust
from runtime.replica.sources import SourceError, fetch
from runtime.replica.sources.files import choose_files
from runtime.replica.sources.inspect import inspect
from runtime.replica.sources.reference import parse_source
from runtime.replica.sources.s3 import S3Prefix

SOURCE = "s3://models/tiny/v1"
WEIGHTS = bytes(range(256)) * 12_000  # 3 MB
CONFIG = b'{"model_type": "llama"}'
PART = 256 << 10


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """moto's server on a port of its own."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket with one small model, and the environment that leads to it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    bucket = boto3.resource("s3", region_name="us-east-1").create_bucket(Bucket="models")
    bucket.put_object(Key="tiny/v1/config.json", Body=CONFIG)
    bucket.put_object(Key="tiny/v1/model.safetensors", Body=WEIGHTS)
    bucket.put_object(Key="tiny/v1/pytorch_model.bin", Body=b"pickle")
    bucket.put_object(Key="tiny/v10/config.json", Body=b"another model whose name begins alike")
    yield bucket
    bucket.objects.delete()
    bucket.delete()


def digest() -> str:
    return S3Prefix(parse_source(SOURCE)).manifest().revision


def reference(pinned: str = "") -> ModelReference:
    return ModelReference(name="tiny", source=SOURCE, digest=pinned)


def download(folder: Path, say: Callable[[str], None] = lambda detail: None) -> S3Prefix:
    """All wanted files in small parts, one at a time."""
    remote = S3Prefix(parse_source(SOURCE), part_bytes=PART, workers=1)
    manifest = remote.manifest()
    remote.download(manifest, choose_files(manifest.files, Trust(), SOURCE), folder, say)
    return remote


async def test_a_prefix_is_fetched_by_digest_once(bucket: Any, tmp_path: Path) -> None:
    said: list[str] = []
    folder = await fetch(reference(digest()), tmp_path, said.append)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "fetched.json", "model.safetensors"]
    assert said[-1] == "3 of 3 MB"
    bucket.objects.delete()
    assert await fetch(reference(folder.name[-12:]), tmp_path, said.append) == folder  # not asked again


async def test_another_content_than_the_locked_one_is_refused(bucket: Any, tmp_path: Path) -> None:
    pinned = digest()
    bucket.put_object(Key="tiny/v1/config.json", Body=b"{}")
    with pytest.raises(SourceError, match=r"holds something else than was locked.*inferform lock"):
        await fetch(reference(pinned), tmp_path, lambda detail: None)
    assert not [path for path in (tmp_path / "models").iterdir() if not path.name.startswith(".")]


def test_a_manifest_changes_with_any_object_and_not_with_neighbours(bucket: Any) -> None:
    before = digest()
    bucket.put_object(Key="tiny/v10/more", Body=b"x")
    assert digest() == before
    bucket.put_object(Key="tiny/v1/tokenizer.json", Body=b"x")
    assert digest() != before


def test_an_interrupted_download_goes_on_with_the_parts_it_lacks(bucket: Any, tmp_path: Path) -> None:
    class Interrupted(Exception):
        pass

    def interrupt(detail: str) -> None:
        if detail.startswith("2 "):
            raise Interrupted

    with pytest.raises(Interrupted):
        download(tmp_path, interrupt)
    said: list[str] = []
    download(tmp_path, said.append)
    assert said[0] == "1 of 3 MB"  # what had landed before
    assert (tmp_path / "model.safetensors").read_bytes() == WEIGHTS
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_an_object_that_changed_meanwhile_starts_over_and_is_never_mixed(bucket: Any, tmp_path: Path) -> None:
    def change(detail: str) -> None:
        if detail.startswith("2 "):
            bucket.put_object(Key="tiny/v1/model.safetensors", Body=WEIGHTS[::-1])

    with pytest.raises(SourceError, match=r"412|PreconditionFailed|condition"):
        download(tmp_path, change)
    download(tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == WEIGHTS[::-1]


def test_parts_that_land_damaged_are_found_by_the_checksum(bucket: Any, tmp_path: Path) -> None:
    def damage(detail: str) -> None:
        if detail.startswith("2 "):
            with (tmp_path / "model.safetensors").open("r+b") as file:
                file.write(b"damaged")

    with pytest.raises(SourceError, match=r"model\.safetensors: the content's checksum is"):
        download(tmp_path, damage)
    assert not (tmp_path / "model.safetensors").exists()
    download(tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == WEIGHTS


def test_an_upload_in_parts_is_checked_by_its_parts(bucket: Any, tmp_path: Path) -> None:
    content = os.urandom(11 << 20)
    upload = bucket.Object("tiny/v1/model.safetensors").initiate_multipart_upload()
    parts = []
    for number, start in enumerate(range(0, len(content), 5 << 20), 1):
        answer = upload.Part(number).upload(Body=content[start : start + (5 << 20)])
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    upload.complete(MultipartUpload={"Parts": parts})

    download(tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == content


def test_a_killed_process_is_followed_by_one_that_goes_on(bucket: Any, tmp_path: Path) -> None:
    bucket.put_object(Key="tiny/v1/model.safetensors", Body=WEIGHTS * 10)
    program = (
        "import sys; from pathlib import Path; from tests.runtime.replica.sources.test_s3 import download\n"
        "def say(detail):\n"
        "    print(detail, flush=True)\n"
        "    sys.stdin.readline() if detail.startswith('9 ') else None\n"
        "download(Path(sys.argv[1]), say)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("9 "):
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    said: list[str] = []
    download(tmp_path, said.append)
    assert int(said[0].split()[0]) >= 8
    assert (tmp_path / "model.safetensors").read_bytes() == WEIGHTS * 10


def test_memory_stays_bounded_whatever_the_size_of_an_object(bucket: Any, tmp_path: Path) -> None:
    bucket.put_object(Key="tiny/v1/model.safetensors", Body=bytes(96 << 20))
    program = (  # a process of its own, because moto's server holds the object in this one
        "import sys, tracemalloc; from pathlib import Path\n"
        "from runtime.replica.sources.reference import parse_source\n"
        "from runtime.replica.sources.s3 import S3Prefix\n"
        f"remote = S3Prefix(parse_source({SOURCE!r}), workers=4); manifest = remote.manifest()\n"
        "tracemalloc.start()\n"
        "remote.download(manifest, ['model.safetensors'], Path(sys.argv[1]), lambda detail: None)\n"
        "print(tracemalloc.get_traced_memory()[1])\n"
    )
    out = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, capture_output=True, text=True)
    assert (tmp_path / "model.safetensors").stat().st_size == 96 << 20
    assert int(out.stdout) < 24 << 20


def test_inspect_gives_what_the_lock_records(bucket: Any) -> None:
    facts = inspect(SOURCE)
    assert facts["revision"] == digest()
    assert (facts["weightBytes"], facts["pickleOnly"]) == (len(WEIGHTS), False)
    assert facts["config"] == {"model_type": "llama"}


@pytest.mark.parametrize(("source", "text"), [
    ("s3://models/nothing", "there is no object below this prefix"),
    ("s3://no-such-bucket/x", "NoSuchBucket"),
])  # fmt: skip
async def test_a_wrong_place_is_named(bucket: Any, tmp_path: Path, source: str, text: str) -> None:
    with pytest.raises(SourceError, match=f"{source}: .*{text}"):
        await fetch(ModelReference(name="x", source=source, digest=""), tmp_path, lambda detail: None)


async def test_an_object_name_that_would_leave_the_folder_is_refused(bucket: Any, tmp_path: Path) -> None:
    bucket.put_object(Key="tiny/v1/../../evil.json", Body=b"{}")
    with pytest.raises(SourceError, match="would leave the model's folder"):
        await fetch(reference(), tmp_path, lambda detail: None)


async def test_two_processes_at_once_fetch_once(bucket: Any, tmp_path: Path) -> None:
    pinned = digest()
    folders = await asyncio.gather(*(fetch(reference(pinned), tmp_path, lambda detail: None) for _ in range(3)))
    assert len(set(folders)) == 1
