"""How a set of tools is built: the `build.toml` beside its Go modules, read into plain data.

[path]                     # optional: an installed program that will do instead
program = "pulumi"
beside = ["pulumi-language-python"]
at-least = "3.259.0"       # against the version in the output of `program version`

[[build]]
module = "cli"             # folder with go.mod and go.sum, relative to the recipe
package = "github.com/..." # what to build, "." for the module's own main package
output = "pulumi"          # the program's name in bin/
tags = ["osusergo"]
variables = { "import/path.Name" = "value" }   # set by the linker

[[copy]]                   # a file or folder of a module that is needed beside the programs
module = "cli"
of = "github.com/pulumi/pulumi/sdk/v3"         # whose files
file = "python/cmd/pulumi-language-python-exec"
to = "bin/pulumi-language-python-exec"         # relative to the folder that holds bin/
"""

from __future__ import annotations

import hashlib
import platform
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Build:
    """One program built from one Go package."""

    module: str
    package: str
    output: str
    tags: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Copy:
    """One file or folder taken from a module's sources."""

    module: str
    of: str
    file: str
    to: str


@dataclass(frozen=True, kw_only=True)
class OnPath:
    """An installed program that is as good as a built one."""

    program: str
    at_least: tuple[int, ...]
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What a folder under tools/ builds. `digest` changes with everything that decides the outcome."""

    name: str
    folder: Path
    digest: str
    builds: tuple[Build, ...]
    copies: tuple[Copy, ...] = ()
    on_path: OnPath | None = None

    @property
    def programs(self) -> tuple[str, ...]:
        """Names in bin/ when everything is built."""
        copied = tuple(copy.to.removeprefix("bin/") for copy in self.copies if copy.to.startswith("bin/"))
        return tuple(build.output for build in self.builds) + copied


def read_recipe(folder: Path) -> Recipe:
    """Read `build.toml` of this folder. Raises FileNotFoundError, and ValueError for keys that do not fit."""
    document = tomllib.loads((folder / "build.toml").read_text())
    try:
        builds = tuple(Build(**_tuples(entry)) for entry in document.get("build", ()))
        copies = tuple(Copy(**entry) for entry in document.get("copy", ()))
        on_path = _on_path(document["path"]) if "path" in document else None
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder / 'build.toml'}: {error}") from None
    digest = _digest(folder, sorted({build.module for build in builds} | {copy.module for copy in copies}))
    return Recipe(name=folder.name, folder=folder, digest=digest, builds=builds, copies=copies, on_path=on_path)


def parse_version(text: str) -> tuple[int, ...] | None:
    """The first `1.2.3` in a text as numbers; None where there is none."""
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(part or 0) for part in found.groups()) if found else None


def _tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}


def _on_path(entry: dict[str, Any]) -> OnPath:
    at_least = parse_version(entry["at-least"])
    if at_least is None:
        raise TypeError(f"path.at-least {entry['at-least']!r} is not a version such as 1.2.3")
    return OnPath(program=entry["program"], at_least=at_least, beside=tuple(entry.get("beside", ())))


def _digest(folder: Path, modules: list[str]) -> str:
    """Of the recipe, each module's go.mod, go.sum and own sources, and the kind of machine."""
    files = [folder / "build.toml"]
    for module in modules:
        files += sorted(path for path in (folder / module).iterdir() if path.suffix in {".mod", ".sum", ".go"})
    total = hashlib.sha256(f"{platform.system()} {platform.machine()}".encode())
    for path in files:
        total.update(f"\n{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return total.hexdigest()[:16]
