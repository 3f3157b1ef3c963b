"""What serves now, for the difference in cost: another stack file, or the same one at a git revision."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from catalog import OWN_FILE, CatalogError, load_for
from infra.cli.failure import USAGE, Failure
from infra.plan import Deployed, LockError, deployed_of, make, read_lock
from infra.plan.lock import FILE
from infra.stackfile import StackFileErrors, load, read_config


def deployed_at(against: str, file: Path) -> Deployed:
    """The plan of `against` (a stack file, or a git revision of `file`) as what serves. Raises Failure.

    The lock file and the project's own catalog file are those of that folder or revision; prices are today's otherwise.
    """
    other = Path(against)
    if other.is_file():
        return _planned(other, other.absolute().parent, other.absolute().parent, against)
    folder = file.absolute().parent
    with tempfile.TemporaryDirectory() as scratch:
        for name in (file.name, FILE, OWN_FILE):
            content = _at_revision(against, name, folder)
            if content is not None:
                (Path(scratch) / name).write_bytes(content)
        then = Path(scratch) / file.name
        if not then.is_file():
            raise Failure(f"{against} is neither a stack file nor a git revision that has {file.name}", code=USAGE)
        return _planned(then, Path(scratch), folder, against)


def _planned(file: Path, facts: Path, folder: Path, against: str) -> Deployed:
    """Plan `file` with the lock and catalog in `facts`; its own paths are relative to `folder`."""
    try:
        stack = load(read_config(file), folder=folder, built_only=False)
        return deployed_of(make(stack, load_for(facts), lock=read_lock(facts)))
    except (StackFileErrors, LockError, CatalogError) as bad:
        raise Failure(f"what serves cannot be told from {against}: {bad}") from bad


def _at_revision(revision: str, name: str, folder: Path) -> bytes | None:
    """A file of the folder as git has it at a revision; None when there is none."""
    command = ["git", "-C", str(folder), "show", "--end-of-options", f"{revision}:./{name}"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    except FileNotFoundError as missing:
        raise Failure("git is not installed", "name a stack file instead of a revision") from missing
    return done.stdout if done.returncode == 0 else None
