"""Storage mounts in a plan: models that lie inside them, digests of what is copied, what local cannot honour."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from infra.plan import Lock, Plan
from infra.plan.lock import LockedModel
from infra.plan.mounts import copied_buckets
from runtime.contract.version import VersionTemplate
from tests.infra.plan.stacks import CATALOG, model_folder, plan, stack

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = dict(CATALOG.models["Qwen2.5-0.5B-Instruct"].config)
SCRIPTED = "engine: scripted, storage"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERFORM_CACHE", str(tmp_path / "cache"))


def template(planned: Plan) -> VersionTemplate:
    assert not planned.errors, planned.errors
    return planned.services[0].versions[0].template


def test_a_model_at_a_mount_path_is_the_folder_mounted_there(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "weights")
    text = "services: {chat: {model: /model_dir, storage: [{mountPath: /model_dir/, source: ./weights}]}}"
    version = template(plan(text, folder=tmp_path))
    assert version.model is not None
    assert (version.model.name, version.model.source) == ("/model_dir", str(folder))
    assert version.model.digest.startswith("sha256:")
    assert version.storage[0].mount_path == "/model_dir"
    assert version.storage[0].digest == ""  # the model's digest stands for it
    (folder / "model.safetensors").write_bytes(b"x" * 4096)
    assert template(plan(text, folder=tmp_path)).hash() != version.hash()


def test_a_model_below_a_mount_path_is_the_folder_below(tmp_path: Path) -> None:
    model_folder(tmp_path / "all" / "a")
    text = "services: {chat: {model: /models/a, storage: [{mountPath: /models, source: ./all}]}}"
    model = template(plan(text, folder=tmp_path)).model
    assert model is not None
    assert (model.name, model.source) == ("/models/a", str(tmp_path / "all" / "a"))
    [error] = plan(text.replace("/models/a", "/models/b"), folder=tmp_path).errors
    assert (error.rule, error.path) == ("model-folder", "services.chat.model")
    assert str(tmp_path / "all" / "b") in error.text


@pytest.mark.parametrize(
    ("mounted", "source"),
    [
        ("s3://bucket/models/", "s3://bucket/models/a"),
        (f"git+https://example.org/models@{COMMIT}", f"git+https://example.org/models@{COMMIT}#a"),
    ],
)
def test_a_model_in_a_mounted_bucket_or_repository_is_sized_by_the_lock(mounted: str, source: str) -> None:
    text = f"services: {{chat: {{model: /models/a, storage: [{{mountPath: /models, source: '{mounted}'}}]}}}}"
    [error] = plan(text).errors
    assert (error.rule, error.path, error.fix) == ("lock-missing", "services.chat.model", "run `inferform lock`")
    assert source in error.text
    lock = Lock(models={source: LockedModel(revision=COMMIT, weight_bytes=988_097_824, config=CONFIG)})
    model = template(plan(text, lock=lock)).model
    assert model is not None
    assert (model.name, model.source, model.digest) == ("/models/a", source, COMMIT)


def test_a_model_in_an_empty_mount_is_an_error() -> None:
    [error] = plan("services: {chat: {model: /m/x, storage: [{mountPath: /m, source: 'empty://'}]}}").errors
    assert (error.rule, error.path) == ("mount-empty", "services.chat.model")


def test_changed_content_of_a_read_only_folder_is_a_new_version(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("one")
    text = f"services: {{chat: {{{SCRIPTED}: [{{mountPath: /data, source: ./data}}]}}}}"
    before = template(plan(text, folder=tmp_path))
    assert before.storage[0].digest.startswith("sha256:")
    assert template(plan(text, folder=tmp_path)).hash() == before.hash()
    (tmp_path / "data" / "b.txt").write_text("two")
    assert template(plan(text, folder=tmp_path)).hash() != before.hash()


def test_what_replicas_write_is_no_new_version(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    text = f"services: {{chat: {{{SCRIPTED}: [{{mountPath: /data, source: ./data, readOnly: false}}]}}}}"
    before = template(plan(text, folder=tmp_path)).hash()
    (tmp_path / "data" / "log").write_text("written by a replica")
    assert template(plan(text, folder=tmp_path)).hash() == before


@pytest.mark.parametrize("source", ["s3://bucket/data", f"git+https://example.org/r@{COMMIT}"])
def test_a_copy_that_should_be_written_is_an_error_by_path(source: str) -> None:
    text = f"services: {{chat: {{{SCRIPTED}: [{{mountPath: /data, source: '{source}', readOnly: false}}]}}}}"
    [error] = plan(text).errors
    assert (error.rule, error.path) == ("mount-writable", "services.chat.storage[0].readOnly")
    assert "empty://" in error.fix


def test_a_bucket_that_only_holds_the_model_may_say_that_it_is_written() -> None:
    text = "services: {chat: {model: /m, storage: [{mountPath: /m, source: 's3://bucket/m', readOnly: false}]}}"
    lock = Lock(models={"s3://bucket/m": LockedModel(revision="ab", weight_bytes=988_097_824, config=CONFIG)})
    assert not plan(text, lock=lock).errors


def test_a_mounted_bucket_is_pinned_by_the_lock() -> None:
    text = f"services: {{chat: {{{SCRIPTED}: [{{mountPath: /data, source: 's3://bucket/data'}}]}}}}"
    [error] = plan(text).errors
    assert (error.rule, error.path) == ("lock-missing", "services.chat.storage[0].source")
    assert list(copied_buckets(stack(text))) == [("chat/main", "s3://bucket/data")]
    assert template(plan(text, lock=Lock(mounts={"s3://bucket/data": "abc"}))).storage[0].digest == "abc"


def test_an_empty_mount_can_always_be_written() -> None:
    text = f"services: {{chat: {{{SCRIPTED}: [{{mountPath: /scratch, source: 'empty://'}}]}}}}"
    assert not template(plan(text)).storage[0].read_only


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_an_error_by_path(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").touch(0o000)
    text = f"services: {{chat: {{{SCRIPTED}: [{{mountPath: /data, source: ./data}}]}}}}"
    [error] = plan(text, folder=tmp_path).errors
    assert (error.rule, error.path) == ("mount-unreadable", "services.chat.storage[0].source")
