"""Pinned tools, built once into the user's cache: `python3 -m tools.build NAME...` prints their bin folders.

Each folder under tools/ with a `build.toml` (see tools/recipe.py) is a set of tools. A set is built in a scratch folder
and renamed when whole, so a killed build leaves nothing that looks finished; two at once wait for each other.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runtime.contract.paths import cache_folder
from tools import golang
from tools.console import StepFailed, report, say
from tools.recipe import OnPath, Recipe, parse_version, read_recipe

TOOLS = Path(__file__).resolve().parent


def known() -> list[str]:
    """Names of the sets of tools that can be built."""
    return sorted(path.parent.name for path in TOOLS.glob("*/build.toml"))


def ensure(name: str, *, tools: Path = TOOLS, cache: Path | None = None) -> Path:
    """The bin folder with these tools: an installed one that is recent enough, else the built one, built if missing.

    Raises StepFailed.
    """
    recipe = read_recipe(tools / name)
    if recipe.on_path and (found := installed(recipe.on_path)):
        return found
    return built(recipe, (cache or cache_folder()) / "tools")


def installed(wanted: OnPath) -> Path | None:
    """The folder on PATH that holds the program, new enough and with its helpers; None if there is none."""
    program = shutil.which(wanted.program)
    if program is None:
        return None
    folder = Path(program).resolve().parent
    if not all((folder / name).exists() or shutil.which(name) for name in wanted.beside):
        return None
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    version = parse_version(said.stdout)
    if version is None or version < wanted.at_least:
        needed = ".".join(str(part) for part in wanted.at_least)
        found = said.stdout.strip() or "of an unknown version"
        say(f"  {program} is {found}, at least {needed} is needed: building one")
        return None
    return Path(program).parent


def built(recipe: Recipe, cache: Path) -> Path:
    """The bin folder of a recipe inside `cache`; builds what is missing."""
    folder = cache / f"{recipe.name}-{recipe.digest}"
    if folder.is_dir():
        return folder / "bin"
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / f".{folder.name}.lock", recipe.name):
        if not folder.is_dir():  # another process may have built it while this one waited
            say(f"building {recipe.name} once, into {folder}")
            for left in cache.glob(f".{folder.name}.*/"):  # by a build that was killed
                shutil.rmtree(left, ignore_errors=True)
            scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=cache))
            try:
                _build_all(recipe, scratch)
                scratch.chmod(0o755)
                scratch.rename(folder)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return folder / "bin"


def _build_all(recipe: Recipe, scratch: Path) -> None:
    for module in sorted({build.module for build in recipe.builds}):
        golang.check_go(recipe.folder / module)
    (scratch / "bin").mkdir()
    for build in recipe.builds:
        golang.build(build, recipe.folder / build.module, scratch / "bin" / build.output)
    for copy in recipe.copies:
        golang.copy(copy, recipe.folder / copy.module, scratch)


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another process is building {name}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    """Build what is named and print one bin folder a line. Exit code 1: a step failed."""
    parser = argparse.ArgumentParser(prog="python3 -m tools.build", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"sets of tools: {', '.join(known())} (default: all)")
    names = parser.parse_args(arguments).names or known()
    if unknown := [name for name in names if name not in known()]:
        parser.error(f"no tools named {', '.join(unknown)}; there are: {', '.join(known())}")
    try:
        for name in names:
            print(ensure(name), flush=True)
    except StepFailed as error:
        report(error)
        return 1
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    raise SystemExit(main())
