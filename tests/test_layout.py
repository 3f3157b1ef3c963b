"""The layout holds: imports point downward, files say what they are for, nothing names this or that machine."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("catalog", "components", "infra", "runtime", "tools")

FLOORS: dict[str, tuple[str, ...]] = {
    # A part of the tree and what it may import of this project, itself always included. The longest prefix decides.
    "catalog": (),
    "runtime.contract": (),
    "runtime.kubeapi": ("runtime.contract",),
    "infra": ("catalog", "runtime.contract"),  # modules directly in infra/: shared by the floors above them
    "infra.cluster": ("runtime.contract", "runtime.kubeapi"),
    "infra.stackfile": ("catalog", "runtime.contract"),
    "infra.plan": ("catalog", "runtime.contract", "infra.stackfile"),
    "infra.lock": ("catalog", "runtime.contract", "infra.stackfile", "infra.plan"),
    "infra.policy": ("catalog", "runtime.contract", "infra"),
    "infra.resources": ("catalog", "runtime.contract", "infra.stackfile", "infra.plan"),
    "components": ("catalog", "runtime.contract", "infra.stackfile", "infra.plan", "infra.resources"),
    "infra.provider": ("catalog", "runtime.contract", "runtime.kubeapi", "infra", "components"),
    "infra.cli": ("catalog", "runtime.contract", "runtime.kubeapi", "infra", "components"),
    "infra.__main__": ("catalog", "runtime.contract", "infra", "components"),
    "runtime": ("runtime", "catalog"),
    "tools": ("runtime.contract",),
}
TOP_FLOORS = ("infra.provider", "infra.cli", "infra.__main__")  # nobody below imports these, nor each other's insides
NEVER = {
    # A heavy or foreign library must stay out of these parts, also inside functions.
    "runtime": ("pulumi", "pulumi_kubernetes"),
    "infra": ("torch", "transformers", "vllm", "langchain", "langchain_community"),
    "components": ("torch", "transformers", "vllm", "langchain", "langchain_community"),
    "catalog": ("pulumi", "torch", "transformers"),
    "infra.stackfile": ("pulumi", "aiohttp", "requests", "boto3"),
    "infra.plan": ("pulumi", "aiohttp", "requests", "boto3", "socket"),
}
STANDARD_LIBRARY_ONLY = ("tools",)


@dataclass(frozen=True)
class Import:
    """One import statement's target, absolute."""

    file: Path
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.target}"


@functools.cache
def tracked() -> tuple[Path, ...]:
    """Files of the project: tracked, and new ones that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(path for name in sorted(listed.stdout.split("\0")) if name and (path := ROOT / name).is_file())


@functools.cache
def modules(*packages: str) -> tuple[Path, ...]:
    return tuple(
        path for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in (packages or PACKAGES)
    )


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def module_name(path: Path) -> str:
    """`infra/plan/fit.py` is `infra.plan.fit`; a package is called by its folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[Import]:
    """Every import in a file, also those inside functions; relative ones are made absolute."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(path, node.lineno, f"{origin}.{alias.name}")


def inside(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")


def floor_of(name: str) -> str:
    """The part of the tree whose rule holds for this module."""
    return max((part for part in FLOORS if inside(name, part)), key=len)


def may_import(importer: str, target: str) -> bool:
    """Whether a module may import another one of this project. Pure.

    1. Its own floor is always open, 2. what another floor exposes must be listed for it, 3. `infra.__init__` and other
    shared modules of infra are open to what may import infra, the top floors only to themselves.
    """
    floor = floor_of(importer)
    if inside(target, floor) and not (floor == "infra" and floor_of(target) != "infra"):
        return True
    if any(inside(target, top) for top in TOP_FLOORS) and not inside(floor, floor_of(target)):
        return False
    if floor_of(target) == "infra" and floor.startswith("infra"):
        return True
    return any(inside(target, allowed) for allowed in FLOORS[floor])


def test_imports_never_point_upward() -> None:
    wrong = [
        f"{found} (the floor {floor_of(module_name(path))} may import {FLOORS[floor_of(module_name(path))]})"
        for path in modules()
        for found in imports(path)
        if found.target.split(".")[0] in PACKAGES and not may_import(module_name(path), found.target)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("importer", "target", "allowed"),
    [
        ("infra.plan.fit", "infra.stackfile.load.load", True),
        ("infra.stackfile.load", "infra.plan.fit", False),
        ("components.stack", "infra.resources.local.Host", True),
        ("components.stack", "infra.provider.values", False),
        ("infra.provider.handlers.host", "runtime.contract.host.HostInfo", True),
        ("infra.provider.handlers.host", "runtime.gateway.app", False),
        ("infra.provider.cluster.client", "runtime.kubeapi.client", True),
        ("components.stack", "runtime.kubeapi.client", False),
        ("runtime.kubeapi.client", "runtime.gateway.app", False),
        ("infra.provider.handlers.host", "infra.hostclient.HostClient", True),
        ("infra.hostclient", "infra.plan.fit", False),
        ("runtime.gateway.app", "runtime.contract.route.RouteTable", True),
        ("runtime.contract.route", "runtime.gateway.app", False),
        ("runtime.gateway.app", "infra.stackfile", False),
        ("catalog", "infra.plan", False),
    ],
)
def test_the_rule_about_imports(importer: str, target: str, allowed: bool) -> None:
    assert may_import(importer, target) is allowed


@pytest.mark.parametrize("part", sorted(NEVER))
def test_libraries_stay_out_of_where_they_do_not_belong(part: str) -> None:
    wrong = [
        str(found)
        for path in modules()
        if inside(module_name(path), part)
        for found in imports(path)
        if found.target.split(".")[0] in NEVER[part]
    ]
    assert wrong == []


def test_the_set_up_runs_before_anything_is_installed() -> None:
    import sys

    wrong = [
        str(found)
        for path in modules(*STANDARD_LIBRARY_ONLY)
        if path.parent.name != "vllm"  # run inside vLLM's own environment
        for found in imports(path)
        if (top := found.target.split(".")[0]) not in sys.stdlib_module_names and top not in PACKAGES
    ]
    assert wrong == []


def test_every_module_says_what_it_is_for() -> None:
    mute = [
        str(path.relative_to(ROOT))
        for path in modules(*PACKAGES, "tests", "examples")
        if not ast.get_docstring(parsed(path)) and path.read_text().strip()
    ]
    assert mute == []


def test_every_public_class_and_function_says_what_it_does() -> None:
    mute = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in modules()
        for node in parsed(path).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]
    assert mute == []


def test_tests_mirror_paths() -> None:
    """`infra/plan/rollout.py` is tested in `tests/infra/plan/`: each folder of tests has its folder of code."""
    free = {"e2e", "bench", "cluster", "protocols", "examples", "layout"}
    folders = {path.relative_to(ROOT / "tests").parent for path in modules("tests") if path.name.startswith("test_")}
    astray = [
        f"tests/{folder}"
        for folder in folders
        if folder.parts and folder.parts[0] not in free and not (ROOT / folder).is_dir()
    ]
    assert astray == []


REGISTRY_HOSTS = ("pypi" + ".org", "pythonhosted" + ".org", "proxy.golang" + ".org", "sum.golang" + ".org")
REGISTRY_HOSTS += ("npmjs" + ".org", "registry.npmjs" + ".com", "deb.debian" + ".org", "download.pytorch" + ".org")
MACHINE_PATH = re.compile(r"(?:^|[^A-Za-z0-9_./-])/(?:work|farm|root)/[A-Za-z.]")


def test_no_file_names_a_package_registry_or_a_path_of_one_machine() -> None:
    wrong = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if any(host in line for host in REGISTRY_HOSTS) or MACHINE_PATH.search(line):
                wrong.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert wrong == []


def test_scripts_stay_thin() -> None:
    thick = [
        f"{path.relative_to(ROOT)}: {count} lines"
        for path in tracked()
        if path.parent == ROOT / "scripts" and (count := len(path.read_text().splitlines())) > 20
    ]
    assert thick == []
