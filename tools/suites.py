"""`scripts/check` and `scripts/test`: every suite runs, each says how long it took, one failure fails the whole."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools import setup
from tools.console import say
from tools.project import Project

PACKAGES = ("catalog", "components", "infra", "runtime", "tools")
LONG = 400
CHECKS = {
    "format": ["ruff", "format", "--check", "--quiet", "."],
    "lint": ["ruff", "check", "--quiet", "."],
    "types": ["mypy", "--strict", *(part for package in PACKAGES for part in ("-p", package))],
    "layout": ["python", "-m", "pytest", "-q", "tests/test_layout.py"],
}
PROTOCOLS = ("protocols", "runtime/replica/protocols")
APART = ("e2e", "cluster", "bench", *PROTOCOLS)
WORKERS = "2"
"""Test processes side by side. Tests are hermetic; most of their time they wait for programs that they started."""
PYTEST = ["python", "-m", "pytest", "-q", "-n", WORKERS, "--dist"]
BY_FILE = ("loadfile", "--no-loadscope-reorder")
"""A file's tests share what it deploys. In the order of their names: files of few tests are not short."""
SLOWEST = ("--durations=15", "--durations-min=10")
TESTS = {
    "unit tests": [*PYTEST, "worksteal", "tests", *(f"--ignore=tests/{name}" for name in APART)],
    "protocols and fuzzing": [*PYTEST, "worksteal", *(f"tests/{name}" for name in PROTOCOLS)],
    "end-to-end tests": [*PYTEST, *BY_FILE, *SLOWEST, "tests/e2e"],
    "cluster tests": [*PYTEST, *BY_FILE, *SLOWEST, "tests/cluster"],  # each process has a cluster of its own
}


def run_suites(suites: Mapping[str, Sequence[str]], project: Project, environment: Mapping[str, str]) -> int:
    """Run each and print a table of seconds; 0 if all passed, else 1."""
    results: list[tuple[str, int, float]] = []
    for name, command in suites.items():
        say(f"\n== {name}: {' '.join(command)}")
        started = time.monotonic()
        code = subprocess.call(command, cwd=project.root, env=dict(environment))
        results.append((name, code, time.monotonic() - started))
    sys.stdout.flush()
    say("")
    if long := long_files(project.root):
        say(f"files over {LONG} lines, ask what two things each is: {', '.join(long)}")
    for name, code, seconds in results:
        say(f"{name:<22} {'ok' if code == 0 else f'FAILED ({code})':<12} {seconds:6.1f} s")
    return 1 if any(code for _, code, _ in results) else 0


def long_files(root: Path) -> list[str]:
    """Modules that have grown past one concept; reported, for a number alone should block no change."""
    modules = (path for package in PACKAGES for path in (root / package).rglob("*.py"))
    return sorted(str(path.relative_to(root)) for path in modules if path.read_bytes().count(b"\n") > LONG)


def main(which: str) -> int:
    """`check` or `test`. Raises StepFailed where the set-up does not work."""
    project = Project()
    suites = CHECKS if which == "check" else {**CHECKS, **TESTS}
    if "cluster tests" in suites and not cluster_wanted(os.geteuid(), os.environ):
        suites = {name: command for name, command in suites.items() if name != "cluster tests"}
        say("left out: cluster tests. They start a Kubernetes cluster, which needs root")
    tools = setup.ensure(project, test=which == "test", vllm=which == "test", cluster="cluster tests" in suites)
    # The tools, and not this project's backend: tests bring their own.
    return run_suites(suites, project, {**os.environ, "PATH": project.path(tools)})


def cluster_wanted(user: int, environment: Mapping[str, str]) -> bool:
    """Whether tests on a cluster are run: by root, and where changes are judged: there nothing is left out quietly."""
    return user == 0 or "CI" in environment


if __name__ == "__main__":
    setup.script(lambda: main(sys.argv[1]))
