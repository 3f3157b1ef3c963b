"""The cluster's image is a plain OCI archive whose digests are right."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from tools.cluster.image import PAUSE, USER, pack


def test_the_archive_names_the_image_and_holds_the_program(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    pack(program, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    blobs = {name.removeprefix("blobs/sha256/"): blob for name, blob in files.items() if name.startswith("blobs/")}
    assert all(hashlib.sha256(blob).hexdigest() == name for name, blob in blobs.items())
    [entry] = json.loads(files["index.json"])["manifests"]
    assert entry["annotations"] == {"io.containerd.image.name": PAUSE}
    manifest = json.loads(blobs[entry["digest"].removeprefix("sha256:")])
    config = json.loads(blobs[manifest["config"]["digest"].removeprefix("sha256:")])
    assert config["config"] == {"Entrypoint": ["/pause"], "User": USER}
    [layer] = manifest["layers"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    with tarfile.open(fileobj=io.BytesIO(blobs[layer["digest"].removeprefix("sha256:")])) as inner:
        assert [(member.name, member.mode) for member in inner] == [("pause", 0o755)]
