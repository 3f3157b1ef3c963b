"""Mounts are made ready as declared: copies nobody may write, folders that may be written, empty ones."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from infra.plan.folder import digest_folder
from runtime.contract.phases import Phase
from runtime.contract.replica import Listen, ReplicaSpec
from runtime.contract.version import EngineKind, Method, Mount, VersionTemplate
from runtime.replica.mounts import with_mounts
from runtime.replica.sources import SourceError
from runtime.replica.sources.reference import parse_source
from runtime.replica.sources.s3 import S3Prefix


def spec(tmp_path: Path, *mounts: Mount, replica: str = "demo-0-0", **template: Any) -> ReplicaSpec:
    fields = {"method": Method.STANDARD, "engine": EngineKind.SCRIPTED, "storage": mounts, **template}
    return ReplicaSpec(
        service="demo",
        replica=replica,
        hash="0123456789",
        template=VersionTemplate(**fields),
        listen=Listen(),
        settings_file="",
        data_folder=str(tmp_path / "data"),
        cache_folder=str(tmp_path / "cache"),
    )


async def place(wanted: ReplicaSpec) -> Path:
    """Where the first mount lies: an engine argument that names it says so afterwards."""
    named = wanted.template.model_copy(update={"engine_args": {"x": wanted.template.storage[0].mount_path}})
    ready = await with_mounts(wanted.model_copy(update={"template": named}), lambda phase, detail: None)
    return Path(ready.template.engine_args["x"])


def folder(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    (made / "deep").mkdir(parents=True)
    (made / "deep" / "a.txt").write_text("one")
    (made / "run.sh").write_text("#!/bin/sh\n")
    (made / "run.sh").chmod(0o755)
    return made


def modes(tree: Path) -> set[int]:
    return {path.stat().st_mode & 0o222 for path in (tree, *tree.rglob("*"))}


async def test_a_read_only_folder_is_a_copy_that_nobody_may_write(tmp_path: Path) -> None:
    source = folder(tmp_path)
    mount = Mount(mount_path="/data", source=str(source), digest=digest_folder(source, cache=tmp_path / "cache"))
    copy = await place(spec(tmp_path, mount))
    assert (copy / "deep" / "a.txt").read_text() == "one"
    assert os.access(copy / "run.sh", os.X_OK)
    assert modes(copy) == {0}
    assert copy.is_relative_to(tmp_path / "data" / "mounts")
    assert modes(source) != {0}
    (source / "deep" / "a.txt").write_text("two")
    assert await place(spec(tmp_path, mount, replica="demo-0-1")) == copy  # the version's content, not the folder's now
    assert (copy / "deep" / "a.txt").read_text() == "one"


async def test_content_that_the_plan_did_not_see_is_refused(tmp_path: Path) -> None:
    source = folder(tmp_path)
    mount = Mount(mount_path="/data", source=str(source), digest=digest_folder(source, cache=tmp_path / "cache"))
    (source / "deep" / "a.txt").write_text("two")
    with pytest.raises(SourceError, match=r"mount /data: .*has changed since this version was planned"):
        await place(spec(tmp_path, mount))
    (source / "deep" / "a.txt").write_text("one")
    assert (await place(spec(tmp_path, mount)) / "run.sh").exists()


async def test_a_copy_that_was_cut_off_at_its_end_is_made_again(tmp_path: Path) -> None:
    source = folder(tmp_path)
    mount = Mount(mount_path="/data", source=str(source))
    copy = await place(spec(tmp_path, mount))
    copy.rename(copy.with_name(f".{copy.name}.partial"))
    assert await place(spec(tmp_path, mount)) == copy


async def test_a_folder_that_may_be_written_is_itself(tmp_path: Path) -> None:
    source = folder(tmp_path)
    assert await place(spec(tmp_path, Mount(mount_path="/data", source=str(source), read_only=False))) == source
    with pytest.raises(SourceError, match=r"mount /data: .*cannot be written"):
        await place(spec(tmp_path, Mount(mount_path="/data", source=str(tmp_path / "no"), read_only=False)))


async def test_an_empty_mount_is_new_for_each_replica_and_at_each_start(tmp_path: Path) -> None:
    mount = Mount(mount_path="/scratch/here", source="empty://", read_only=False)
    one = await place(spec(tmp_path, mount))
    (one / "left").touch()
    assert await place(spec(tmp_path, mount, replica="demo-0-1")) != one
    assert await place(spec(tmp_path, mount)) == one
    assert list(one.iterdir()) == []


async def test_shared_memory_is_the_machines_own(tmp_path: Path) -> None:
    shared = Mount(mount_path="/dev/shm", source="empty://", read_only=False)
    assert await place(spec(tmp_path, shared)) == Path("/dev/shm")


async def test_the_environment_and_the_engines_arguments_name_the_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHERE", "/data/deep")  # as the host sets it
    source = folder(tmp_path)
    wanted = spec(
        tmp_path,
        Mount(mount_path="/data", source=str(source), read_only=False),
        env={"WHERE": "/data/deep"},
        engine_args={"text": "in /data/deep", "other": 7},
    )
    phases: list[tuple[Phase, str]] = []
    ready = await with_mounts(wanted, lambda phase, detail: phases.append((phase, detail)))
    assert os.environ["WHERE"] == f"{source}/deep"
    assert ready.template.engine_args == {"text": f"in {source}/deep", "other": 7}
    assert phases == [(Phase.WEIGHTS, "/data")]


def committed(source: Path) -> str:
    """Make a folder a repository; its one commit."""
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "-m", "first"]):
        subprocess.run(["git", *words], cwd=source, check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=source, check=True, capture_output=True, text=True)
    return done.stdout.strip()


async def test_a_repository_is_a_copy_at_its_commit(tmp_path: Path) -> None:
    source = folder(tmp_path)
    mount = Mount(mount_path="/code", source=f"git+file://{source}@{committed(source)}")
    copy = await place(spec(tmp_path, mount))
    assert sorted(path.name for path in copy.iterdir()) == ["deep", "run.sh"]
    assert modes(copy) == {0}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket on a server of its own."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    yield boto3.resource("s3", region_name="us-east-1").create_bucket(Bucket="mounts")
    moto.stop()


async def test_a_bucket_is_a_copy_of_what_was_locked(tmp_path: Path, bucket: Any) -> None:
    bucket.put_object(Key="data/deep/a.bin", Body=b"any file, not only a model's")
    bucket.put_object(Key="data2/b", Body=b"elsewhere")
    digest = S3Prefix(parse_source("s3://mounts/data")).manifest().revision
    copy = await place(spec(tmp_path, Mount(mount_path="/data", source="s3://mounts/data", digest=digest)))
    assert [path.name for path in copy.rglob("*")] == ["deep", "a.bin"]
    assert modes(copy) == {0}
    bucket.put_object(Key="data/deep/a.bin", Body=b"changed")
    assert await place(spec(tmp_path, Mount(mount_path="/data", source="s3://mounts/data", digest=digest))) == copy
    with pytest.raises(SourceError, match="holds something else than was locked"):
        await place(spec(tmp_path, Mount(mount_path="/other", source="s3://mounts/data", digest=digest)))
