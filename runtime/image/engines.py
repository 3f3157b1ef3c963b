"""The programs that build images, buildah, podman and docker: which is there, and how each is asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.image.console import Follow, answer, run
from runtime.image.problem import ImageProblem

ENGINES = ("buildah", "podman", "docker")
ISOLATION_ENV = "BUILDAH_ISOLATION"


@dataclass(frozen=True, slots=True)
class Engine:
    """One of ENGINES, by its path."""

    name: str
    program: str

    def build_command(
        self, context: Path, reference: str, secrets: Mapping[str, Path], *, fresh: bool = False, layers: bool = True
    ) -> list[str]:
        """Build `context` as `reference`. `layers`: keep every step for later builds; else they are one layer. Pure.

        The network is the machine's own, because package indexes may be reachable from there alone. chroot is the
        isolation that works without cgroups and inside containers too; the variable of buildah and podman overrides it.
        """
        hidden = [word for name, file in secrets.items() for word in ("--secret", f"id={name},src={file}")]
        hidden += ["--no-cache"] if fresh else []
        own = ["--network", "host", *hidden, "--tag", reference, "--file", str(context / "Containerfile"), str(context)]
        if self.name == "docker":
            return [self.program, "build", "--progress", "plain", *own]
        isolation = os.environ.get(ISOLATION_ENV) or "chroot"
        # --timestamp: the same content is the same digest, whenever it is built.
        flags = [
            f"--layers={'true' if layers else 'false'}",
            "--pull=false",
            "--isolation",
            isolation,
            "--format",
            "oci",
            "--timestamp",
            "0",
        ]
        return [self.program, "build", *flags, *own]

    def build(
        self,
        context: Path,
        reference: str,
        secrets: Mapping[str, Path],
        follow: Follow,
        *,
        fresh: bool = False,
        layers: bool = True,
    ) -> None:
        """Raises ImageProblem."""
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        run(
            self.build_command(context, reference, secrets, fresh=fresh, layers=layers),
            failed=f"{self.name} could not build {reference}",
            hint="the last lines say at which step; a base that cannot be pulled: --base IMAGE, or --bootstrap",
            follow=follow,
            environment=environment,
        )

    def has(self, reference: str) -> bool:
        """Is this image in the engine's store?"""
        inspect = ["inspect", "--type", "image"] if self.name == "buildah" else ["image", "inspect"]
        return answer([self.program, *inspect, reference]) is not None

    def size(self, reference: str) -> int | None:
        """Bytes of the unpacked layers; None where the engine does not say."""
        if self.name == "buildah":
            # buildah says it rounded ("2.15 GB"), podman on the same store exactly.
            podman = shutil.which("podman")
            text = answer([podman, "image", "inspect", "--format", "{{.Size}}", reference]) if podman else None
        else:
            text = answer([self.program, "image", "inspect", "--format", "{{.Size}}", reference])
        return int(text) if text and text.strip().isdigit() else None

    def digest(self, reference: str) -> str | None:
        """The manifest's digest as the engine's store has it; None where it knows one only after a push."""
        if self.name == "docker":
            text = answer([self.program, "image", "inspect", "--format", "{{json .RepoDigests}}", reference])
            found = json.loads(text) if text and text.strip() else None
            return str(found[0]).partition("@")[2] if found else None
        if self.name == "buildah":
            text = answer([self.program, "inspect", "--type", "image", "--format", "{{.FromImageDigest}}", reference])
        else:
            text = answer([self.program, "image", "inspect", "--format", "{{.Digest}}", reference])
        return text.strip() if text and text.startswith("sha256:") else None

    def push(self, reference: str, follow: Follow) -> str:
        """Push to the registry that the reference names; returns the digest there. Raises ImageProblem."""
        failed = f"{self.name} could not push {reference}"
        hint = f"log in first (`{self.name} login {reference.partition('/')[0]}`), or choose another --push"
        if self.name == "docker":
            run([self.program, "push", reference], failed=failed, hint=hint, follow=follow)
            digest = self.digest(reference)
        else:
            with tempfile.TemporaryDirectory(prefix="inferform-push-") as folder:
                file = Path(folder) / "digest"
                run([self.program, "push", "--digestfile", file, reference], failed=failed, hint=hint, follow=follow)
                digest = file.read_text().strip()
        if not digest:
            raise ImageProblem(f"{self.name} pushed {reference}, but says no digest")
        return digest

    @property
    def writes_layouts(self) -> bool:
        """Can it write a folder in OCI's image layout?"""
        return self.name != "docker"

    def write_layout(self, reference: str, folder: Path, follow: Follow) -> None:
        """Write the image as an OCI layout, every layer compressed anew. Raises ImageProblem."""
        run(
            [self.program, "push", "--compression-format", "zstd", reference, f"oci:{folder}:{reference}"],
            failed=f"{self.name} could not write {folder}",
            hint="a full disk is the usual reason",
            follow=follow,
        )

    def save(self, reference: str, file: Path, follow: Follow) -> None:
        """Write the image as an OCI archive, as docker does. Raises ImageProblem."""
        run(
            [self.program, "save", "--output", str(file), reference],
            failed=f"{self.name} could not write {file}",
            hint="a full disk is the usual reason",
            follow=follow,
        )

    def import_root(self, archive: Path, reference: str, follow: Follow) -> None:
        """Make an image of one layer from a tar of a root file system. Raises ImageProblem."""
        failed = f"{self.name} could not import {archive.name} as {reference}"
        if self.name != "buildah":
            run([self.program, "import", archive, reference], failed=failed, follow=follow)
            return
        container = run([self.program, "from", "scratch"], failed=failed).strip()
        try:
            run([self.program, "add", container, archive, "/"], failed=failed, follow=follow)
            run([self.program, "commit", "--timestamp", "0", container, reference], failed=failed, follow=follow)
        finally:
            run([self.program, "rm", container], failed=failed)


def find_engine() -> Engine:
    """The first of ENGINES that is installed and works; raises ImageProblem that says of each what is wrong."""
    wrong = []
    for name in ENGINES:
        program = shutil.which(name)
        reason = "not installed" if program is None else _why_not(program, name)
        if program is not None and reason is None:
            return Engine(name, program)
        wrong.append(f"{name}: {reason}")
    raise ImageProblem(
        f"nothing here builds images ({'; '.join(wrong)})",
        "install buildah, podman or docker; with Debian: apt-get install buildah",
    )


def _why_not(program: str, name: str) -> str | None:
    """None when it works. docker's program is of no use without its daemon, which `info` asks."""
    try:
        done = subprocess.run([program, "info"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as broken:
        return str(broken)
    # `docker info` without a daemon ends with 0 in some versions and says it on stderr.
    silent = name == "docker" and "Cannot connect" in done.stderr + done.stdout
    if done.returncode == 0 and not silent:
        return None
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"`{name} info` ended with {done.returncode}"
