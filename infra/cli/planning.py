"""From a stack file on disk to a plan. A file with errors becomes a plan that has nothing but them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from catalog import CatalogError, load_for
from infra.cli.against import deployed_at
from infra.cli.failure import Failure
from infra.plan import LockError, Plan, make, read_lock, read_machine, read_measured, with_measured
from infra.plan.file import error_finding, not_built_findings
from infra.stackfile import Stack, StackFileErrors, load_file


def plan_file(path: Path, *, against: str | None = None) -> Plan:
    """Load and plan a stack file against this machine; raises Failure when the lock or the catalog cannot be read.

    What cannot be realised yet is planned all the same, with a finding that says so. `against` is another stack file or
    a git revision: what serves now.
    """
    return load_and_plan(path, against=against)[1]


def load_and_plan(path: Path, *, against: str | None = None) -> tuple[Stack | None, Plan]:
    """As `plan_file`, with the stack file; None when it has errors."""
    try:
        stack = load_file(path, built_only=False)
    except StackFileErrors as wrong:
        findings = tuple(error_finding(each, path.name) for each in wrong.errors)
        return None, Plan(target="unknown", services=(), findings=findings)
    except OSError as unreadable:
        raise Failure(f"{path} cannot be read: {unreadable.strerror}") from unreadable
    try:
        deployed = deployed_at(against, path) if against else None
        lock = read_lock(stack.folder)
        machine = read_machine()
        plan = make(stack, load_for(stack.folder), lock=lock, machine=machine, deployed=deployed)
    except (LockError, CatalogError) as bad:
        raise Failure(str(bad)) from bad
    shown = with_measured(plan, read_measured(), machine)
    return stack, replace(shown, findings=(*not_built_findings(stack), *plan.findings))
