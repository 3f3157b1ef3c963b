"""Everything a clean clone needs: `python3 -m tools.setup`. What is done already is not done again.

1. .venv from constraints.txt   2. the Pulumi CLI, found or built   3. the embedded model, repacked once
4. a file backend and a passphrase for this project   5. with --test: Debian packages for browser tests and benchmarks
6. with --vllm: vLLM in an environment of its own   7. with --kubernetes: Pulumi's provider for Kubernetes
8. with --cluster: that, and what scripts/cluster needs
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tools import build, image, venv, vllm_venv
from tools.cluster import control
from tools.console import StepFailed, report, run, say
from tools.project import Project

DEBIAN_PACKAGES = {"chromium": "chromium", "nginx": "nginx-light"}
"""Program to the Debian package that holds it: the chat page's tests run in a real browser (and are skipped without
one), the gateway's benchmarks compare with nginx."""
PROVIDER = "4.25.0"
"""The version that tools/kubernetes-provider builds; constraints.txt pins the Python package of the same."""
IMAGE_PACKAGES = {"buildah": "buildah", "debootstrap": "debootstrap", "podman": "podman"}
"""What builds the runtime's image, for tests on the cluster."""


def ensure(
    project: Project, *, test: bool = False, vllm: bool = False, kubernetes: bool = False, cluster: bool = False
) -> Path:
    """Set the project up and return the folder of the Pulumi CLI. Raises StepFailed."""
    with _alone(project.root):
        venv.ensure(project.root)
        tools = build.ensure("pulumi")
        run(
            [venv.python_of(project.root), "-m", "runtime.replica.sources.embedded"],
            step="repacking the embedded model",
            remedy="remove .venv and run this again; a full disk (270 MB are needed in the cache) is the usual reason",
            cwd=project.root,
            on_line=lambda line: say(line) if line.startswith("  ") else None,
        )
        project.prepare(tools)
        if test:
            _try_packages(_missing(DEBIAN_PACKAGES))
        if cluster:
            # Without these the tests on a cluster cannot run, so their lack is an error.
            _install_packages(_missing({**control.PROGRAMS, **IMAGE_PACKAGES}))
            for name in ("cluster", "pause", "kinds"):
                build.ensure(name)
            _image(project)
        if kubernetes or cluster:
            project.offer_plugin("kubernetes", PROVIDER, build.ensure("kubernetes-provider"))
        if vllm:
            vllm_venv.ensure(project.root)
    return tools


def _image(project: Project) -> None:
    """The runtime's image for pods. Here and not in the tests: the first time takes longer than any test may."""
    run(
        image.command(venv.python_of(project.root)),
        step="building the image for pods",
        remedy="see what it says; a full disk (10 GB are needed) or Debian's mirror out of reach is the usual reason",
        cwd=project.root,
        on_line=lambda line: say(f"  image: {line}") if line.startswith("[") else None,
    )


def _missing(programs: Mapping[str, str]) -> list[str]:
    return sorted({package for program, package in programs.items() if not _installed(program)})


def _try_packages(missing: Sequence[str]) -> None:
    try:
        _install_packages(missing)
    except StepFailed as error:
        reason = f"{error.step}: {error.output.splitlines()[-1:]}" if error.output else "apt-get install, as root"
        say(f"not installed, what needs them is skipped, or fails in CI: {', '.join(missing)} ({reason})")


def _install_packages(missing: Sequence[str]) -> None:
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise StepFailed(f"installing {', '.join(missing)}", f"as root: apt-get install {' '.join(missing)}")
    say(f"installing Debian packages: {', '.join(missing)}")
    # RUNLEVEL=1: the package must not start a server of its own.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    commands = (["apt-get", "update", "-q"], ["apt-get", "install", "-qy", "--no-install-recommends", *missing])
    for command in commands:
        run(command, step=" ".join(command), remedy="see what apt-get says", environment=environment)


def _installed(program: str) -> bool:
    """Also in /usr/sbin, which is not on every user's PATH."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin") is not None


@contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Two set-ups of one checkout take turns."""
    folder = root / ".inferform"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / ".setup.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up of this checkout is running; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def script(action: Callable[[], int]) -> None:
    """Run a script's action and exit: a failed step is explained, Ctrl-C is not a traceback."""
    try:
        code = action()
    except StepFailed as error:
        report(error)
        code = 1
    except KeyboardInterrupt:
        say("\nstopped; run it again to go on from here")
        code = 130
    sys.exit(code)


def main(arguments: Sequence[str] | None = None) -> int:
    """Set the checkout up and say how to use it."""
    parser = argparse.ArgumentParser(prog="scripts/setup", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--test", action="store_true", help="also what browser tests and benchmarks need (as root: apt-get)"
    )
    parser.add_argument("--vllm", action="store_true", help="also vLLM, for methods vllm and bladellm")
    parser.add_argument("--kubernetes", action="store_true", help="also Pulumi's provider, for target kubernetes")
    parser.add_argument("--cluster", action="store_true", help="also what scripts/cluster needs (as root: apt-get)")
    options = parser.parse_args(arguments)
    project = Project()
    ensure(project, test=options.test, vllm=options.vllm, kubernetes=options.kubernetes, cluster=options.cluster)
    say("set up; for a shell with pulumi and inferform on PATH:")
    print(f"source {shown(project.environment_file, project)}")
    return 0


def shown(path: Path, project: Project) -> str:
    """A path as the user would type it: short in the project folder, absolute elsewhere."""
    asked_from = Path(os.environ.get("INFERFORM_CALLED_FROM", os.curdir)).resolve()
    return str(path.relative_to(project.root)) if asked_from == project.root.resolve() else str(path)


if __name__ == "__main__":
    script(main)
