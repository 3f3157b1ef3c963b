"""Building programs from pinned Go modules with the user's own Go."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from tools.console import Heartbeat, StepFailed, run
from tools.recipe import Build, Copy, parse_version

INSTALL_GO = "install Go {needed} or newer and put its bin folder on PATH, or install the Pulumi CLI yourself"
NETWORK = "check that Go reaches its module proxy (`go env GOPROXY`), then run this again: what was done is kept"


def environment() -> dict[str, str]:
    """The user's environment, with what makes a build the same everywhere."""
    return {**os.environ, "CGO_ENABLED": "0"}


def check_go(module: Path) -> None:
    """Raise StepFailed unless Go is there and new enough for this module's go.mod."""
    found = re.search(r"^go (\S+)", (module / "go.mod").read_text(), re.MULTILINE)
    needed = found.group(1) if found else "1.26"
    go = shutil.which("go")
    if go is None:
        raise StepFailed("looking for Go: `go` is not on PATH", INSTALL_GO.format(needed=needed))
    # Asked inside the module: with GOTOOLCHAIN=auto Go fetches a newer toolchain by itself.
    said = subprocess.run([go, "version"], cwd=module, capture_output=True, text=True, check=False)
    version = parse_version(said.stdout)
    if version is None or version < (parse_version(needed) or ()):
        output = (said.stdout + said.stderr).strip()
        raise StepFailed(f"looking for Go {needed}: {go} is older", INSTALL_GO.format(needed=needed), output)


def build(entry: Build, module: Path, output: Path) -> None:
    """Compile one program to `output`, checksums verified against the committed go.sum."""
    with Heartbeat(entry.output) as beat:
        packages = _download(entry, module, beat)
        compiled = 0

        def follow(line: str) -> None:
            nonlocal compiled
            compiled += 1
            beat.tell(f"compiled {compiled} of about {packages} packages")

        beat.tell("compiling")
        run(
            build_command(entry, output),
            step=f"compiling {entry.output} ({entry.package})",
            remedy="a full disk (`df -h`) or too little memory (about 3 GiB) is the usual reason; then run this again",
            cwd=module,
            environment=environment(),
            on_line=follow,
        )


def _download(entry: Build, module: Path, beat: Heartbeat) -> int:
    """Fetch the modules of one program; how many packages it consists of."""
    fetched = packages = 0

    def follow(line: str) -> None:
        nonlocal fetched, packages
        if line.startswith("go: downloading"):
            fetched += 1
            beat.tell(f"downloading modules, {fetched} so far")
        else:
            packages += 1

    run(
        ["go", "list", "-deps", entry.package],
        step=f"downloading the modules of {entry.output}",
        remedy=NETWORK,
        cwd=module,
        environment=environment(),
        on_line=follow,
    )
    return packages


def build_command(entry: Build, output: Path) -> list[str]:
    """The `go build` command line of one program."""
    flags = ["-s", "-w", *(f"-X {name}={value}" for name, value in entry.variables.items())]
    tags = ["-tags", ",".join(entry.tags)] if entry.tags else []
    return ["go", "build", "-v", "-trimpath", *tags, "-ldflags", " ".join(flags), "-o", str(output), entry.package]


def copy(entry: Copy, module: Path, folder: Path) -> None:
    """Take one file or folder out of a module that the go.mod pins."""
    lines: list[str] = []
    step = f"finding {entry.file} in {entry.of}"
    run(
        ["go", "mod", "download", "-json", entry.of],
        step=step,
        remedy=NETWORK,
        cwd=module,
        environment=environment(),
        on_line=lines.append,
    )
    source, target = Path(json.loads("".join(lines))["Dir"], entry.file), folder / entry.to
    if not source.exists():
        raise StepFailed(step, f"the module has no such file: correct build.toml beside {module}", str(source))
    target.parent.mkdir(parents=True, exist_ok=True)
    # Files of the module cache are read-only; ours are the user's to delete.
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)
        target.chmod(0o755)
