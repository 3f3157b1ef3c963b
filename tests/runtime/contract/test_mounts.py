"""What mounts are for, and how texts that name them are read."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.contract.mounts import inside, prepared, translate
from runtime.contract.version import EngineKind, Method, ModelReference, Mount, VersionTemplate

MODEL = ModelReference(name="/models/a", source="/x", digest="")


def template(**changes: Any) -> VersionTemplate:
    mounts = (Mount(mount_path="/models", source="/x"), Mount(mount_path="/data", source="/y"))
    fields = {"method": Method.STANDARD, "engine": EngineKind.SCRIPTED, "storage": mounts, **changes}
    return VersionTemplate(**fields)


@pytest.mark.parametrize(
    ("path", "below"),
    [("/models", ""), ("/models/", ""), ("/models/a/b", "a/b"), ("/models2", None), ("/", None), ("models", None)],
)
def test_a_path_is_inside_a_mount_by_whole_parts(path: str, below: str | None) -> None:
    assert inside(path, "/models") == below


def test_a_mount_that_only_holds_the_model_is_not_prepared() -> None:
    assert [mount.mount_path for mount in prepared(template(model=MODEL))] == ["/data"]


@pytest.mark.parametrize(
    "used", [{"env": {"A": "/models/list"}}, {"engine_args": {"deep": [{"chatTemplate": "/models/chat.jinja"}]}}]
)
def test_a_mount_that_something_names_is_prepared(used: dict[str, Any]) -> None:
    assert len(prepared(template(model=MODEL, **used))) == 2


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("/data", "/p"),
        ("/data/", "/p/"),
        ("/data/x y", "/p/x y"),
        ("--in=/data/x", "--in=/p/x"),
        ("/bin:/data/bin:/models", "/bin:/p/bin:/data/q"),
        ('{"file": "/data"}', '{"file": "/p"}'),
        ("/data2", "/data2"),
        ("/data.old", "/data.old"),
        ("/a/data", "/a/data"),
        ("s3://bucket/data", "s3://bucket/data"),
        ("file:///data", "file:///data"),
        ("~/data", "~/data"),
        ("database", "database"),
    ],
)
def test_paths_inside_mounts_are_read_as_their_places(text: str, read: str) -> None:
    assert translate({"deep": [text, 7, None]}, {"/data": "/p", "/models": "/data/q"}) == {"deep": [read, 7, None]}
