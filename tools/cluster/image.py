"""The cluster's own image: one static program, packed as an OCI archive without any image tool."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

PAUSE = "inferform.test/pause:1"
"""Its name. The program's words: tools/pause/program/main.go."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
USER = "65532:65532"  # not root, so that the restricted Pod Security Standard takes it as it is


def pack(program: Path, archive: Path) -> None:
    """Write an OCI archive with `program` as /pause, its entry point."""
    layer = _tar({"pause": program.read_bytes()}, mode=0o755)
    machine = platform.machine()
    config = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {"Entrypoint": ["/pause"], "User": USER},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    blobs = [layer, _json(config)]
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _descriptor("application/vnd.oci.image.config.v1+json", blobs[1]),
        "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    }
    blobs.append(_json(manifest))
    entry = _descriptor("application/vnd.oci.image.manifest.v1+json", blobs[2])
    entry["annotations"] = {"io.containerd.image.name": PAUSE}
    files = {f"blobs/sha256/{_digest(blob).removeprefix('sha256:')}": blob for blob in blobs}
    files["index.json"] = _json({"schemaVersion": 2, "manifests": [entry]})
    files["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})
    archive.write_bytes(_tar(files, mode=0o644))


def _tar(files: dict[str, bytes], *, mode: int) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
    return written.getvalue()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode()
