"""Prepared mounts go when no version names them, and never while one does."""

from __future__ import annotations

import fcntl
from pathlib import Path

from runtime.contract.host import VersionRecord
from runtime.contract.mounts import copy_name, empty_name
from runtime.contract.version import Bounds, EngineKind, Method, Mount, VersionTemplate
from runtime.host.leftovers import sweep_mounts, wanted_mounts

OLD, NEW = (Mount(mount_path="/data", source="s3://bucket/data", digest=digest) for digest in ("1", "2"))
SCRATCH = Mount(mount_path="/tmp/scratch", source="empty://", read_only=False)


def record(*mounts: Mount) -> VersionRecord:
    template = VersionTemplate(method=Method.STANDARD, engine=EngineKind.SCRIPTED, storage=mounts)
    return VersionRecord(service="chat", name="v1", hash="a1", template=template, bounds=Bounds())


def filled(data: Path, *names: str, service: str = "chat") -> list[Path]:
    """Copies as a replica leaves them: nobody may write them."""
    made = [data / service / "mounts" / name for name in names]
    for folder in made:
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "a.txt").write_text("x")
        (folder / "deep").chmod(0o555)
        folder.chmod(0o555)
    return made


def test_a_version_keeps_its_copies_and_its_replicas_their_empty_mounts() -> None:
    kept = wanted_mounts([record(NEW, SCRATCH)], {"chat-a1-0", "chat-b2-0", "other-a1-0"})
    assert kept == {"chat": {Path(copy_name(NEW)), Path("empty", empty_name("chat-a1-0", SCRATCH))}}


def test_what_no_version_names_goes_and_the_rest_stays(tmp_path: Path) -> None:
    mine, gone = f"empty/{empty_name('chat-a1-0', SCRATCH)}", f"empty/{empty_name('chat-a1-1', SCRATCH)}"
    old, new, empty, left = filled(tmp_path, copy_name(OLD), copy_name(NEW), mine, gone)
    [foreign] = filled(tmp_path, copy_name(OLD), service="removed")
    documents = tmp_path / "removed" / "knowledge"
    documents.mkdir()
    kept = wanted_mounts([record(NEW, SCRATCH)], {"chat-a1-0"})
    assert sweep_mounts(tmp_path, kept) == [*sorted([old, left]), foreign]
    assert not old.exists() and not left.exists() and not foreign.exists()
    assert (new / "deep" / "a.txt").exists() and (empty / "deep" / "a.txt").exists() and documents.exists()
    assert sweep_mounts(tmp_path, kept) == []
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".trash")]


def test_one_that_is_being_filled_is_left_alone(tmp_path: Path) -> None:
    name = copy_name(OLD)
    [partial] = filled(tmp_path, f".{name}.partial")
    with (partial.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert sweep_mounts(tmp_path, {}) == []
        assert partial.exists()
    sweep_mounts(tmp_path, wanted_mounts([record(OLD)], ()))
    assert partial.exists(), "a download goes on where it was"
    assert sweep_mounts(tmp_path, {}) == []
    assert not partial.exists(), "its replica died; what it left is nobody's"


def test_what_an_earlier_host_was_deleting_goes(tmp_path: Path) -> None:
    [trash] = filled(tmp_path, f".{copy_name(OLD)}.trash")
    sweep_mounts(tmp_path, {})
    assert not trash.exists()


def test_nothing_prepared_is_nothing_to_do(tmp_path: Path) -> None:
    assert sweep_mounts(tmp_path / "data", {}) == []
