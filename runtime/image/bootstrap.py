"""A base image where the engine can pull none: Debian by debootstrap, from the mirror that apt is configured with."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from runtime.contract.paths import cache_folder
from runtime.image.console import Progress, answer, run
from runtime.image.engines import Engine
from runtime.image.problem import ImageProblem
from runtime.image.recipe import COMPILING, SUITE, Recipe

PIP = "python3-pip"
LEFT_OUT = (
    "etc/apt/sources.list",  # the mirror's address
    "etc/resolv.conf",  # this machine's, copied by debootstrap
    "etc/hostname",
    "var/cache/apt/*",
    "var/lib/apt/lists/*",
    "var/log/*",
    "usr/share/doc/*",
    "usr/share/man/*",
    "usr/share/locale/*",
)


def base_name(recipe: Recipe) -> str:
    """The name of the bootstrapped base of a recipe."""
    wanted = " ".join((SUITE, PIP, *LEFT_OUT, *COMPILING, *recipe.system))
    return f"localhost/inferform-base:{SUITE}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"


def ensure_base(engine: Engine, recipe: Recipe, progress: Progress, *, fresh: bool = False) -> str:
    """Make the base unless the engine has it; returns its name. Raises ImageProblem."""
    name = base_name(recipe)
    if not fresh and engine.has(name):
        return name
    program = shutil.which("debootstrap") or shutil.which("debootstrap", path="/usr/sbin")
    if program is None:
        raise ImageProblem("--bootstrap needs debootstrap", "apt-get install debootstrap, or name a base with --base")
    if os.geteuid() != 0:
        raise ImageProblem("--bootstrap needs root: debootstrap makes device files and changes its root", "use sudo")
    mirror = debian_mirror(
        answer(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"]) or ""
    )
    progress.step(f"base {name}: debootstrap of {SUITE}, once (minutes)")
    debs = cache_folder() / "images" / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="inferform-base-", dir=cache_folder() / "images") as scratch:
        root = Path(scratch) / "root"
        packages = ",".join((PIP, *recipe.system))
        options = ["--variant=minbase", f"--include={packages}", f"--cache-dir={debs.absolute()}"]
        run(
            [program, *options, SUITE, root, mirror],
            failed=f"debootstrap could not make {SUITE}",
            hint="is the mirror reachable? `apt-get update` asks the same one",
            follow=progress.tell,
        )
        progress.step("compiling Python's own and Debian's modules")
        run(["chroot", root, "sh", "-c", f"python3 -m {' '.join(COMPILING)} /usr/lib/python3* || :"], failed="chroot")
        archive = Path(scratch) / "root.tar"
        # dev and proc: a container gets its own. Times and names: the same packages are the same layer.
        left_out = [f"--exclude=./{path}" for path in LEFT_OUT]
        shape = ["--numeric-owner", "--sort=name", "--mtime=@0", "--exclude=./dev/*", "--exclude=./proc/*"]
        progress.step("packing the base")
        run(["tar", "-C", root, *shape, *left_out, "-cf", archive, "."], failed="tar could not pack the base")
        engine.import_root(archive, name, progress.tell)
    return name


def debian_mirror(targets: str) -> str:
    """The address of a Debian archive among apt's `address release` lines; raises ImageProblem. Pure."""
    found = list(_mains(line.split() for line in targets.splitlines()))
    if not found:
        raise ImageProblem(
            "--bootstrap: apt is configured with no Debian archive", "run it on Debian, or name a base with --base"
        )
    return found[0]


def _mains(targets: Iterable[list[str]]) -> Iterable[str]:
    """Addresses whose releases are whole ones, not `-updates` or `-security`."""
    for target in targets:
        if len(target) == 2 and "-" not in target[1] and "debian" in target[0]:
            yield target[0].rstrip("/")
