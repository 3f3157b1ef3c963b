"""From a stack file on disk to a plan. A file with errors becomes a plan that has nothing but them."""

from __future__ import annotations

from pathlib import Path

from catalog import CatalogError, load
from infra.cli.failure import Failure
from infra.plan import Finding, Level, LockError, Plan, make, read_lock, read_machine
from infra.stackfile import StackFileError, StackFileErrors, load_file
from infra.stackfile.errors import ABSENT, shorten

RULE = "stack-file"
"""The rule id of every error of the file itself."""


def plan_file(path: Path) -> Plan:
    """Load and plan a stack file against this machine; raises Failure when the lock or the catalog cannot be read."""
    try:
        stack = load_file(path)
    except StackFileErrors as wrong:
        return Plan(target="unknown", services=(), findings=tuple(finding(error, path.name) for error in wrong.errors))
    except OSError as unreadable:
        raise Failure(f"{path} cannot be read: {unreadable.strerror}") from unreadable
    try:
        return make(stack, load(), lock=read_lock(stack.folder), machine=read_machine())
    except (LockError, CatalogError) as bad:
        raise Failure(str(bad)) from bad


def finding(error: StackFileError, file: str) -> Finding:
    """An error of the stack file in the words of the plan."""
    said = "" if error.value is ABSENT else f" (it says {shorten(error.value)})"
    where = f" at {file}:{error.line}" if error.line else ""
    return Finding(
        level=Level.ERROR, rule=RULE, path=error.path, text=f"{error.reason}{said}{where}", fix=error.nearest
    )
