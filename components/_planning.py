"""From what a user declared to a plan, and from a plan's findings to Pulumi's diagnostics."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.settings import SETTINGS

from catalog import CatalogError, load_for
from components._deployed import deployed
from components.errors import Refused
from infra.plan import (
    Finding,
    Level,
    LockError,
    Plan,
    make,
    read_lock,
    read_machine,
    read_measured,
    with_measured,
)
from infra.stackfile import Stack, StackFileErrors, load


def project_folder() -> Path:
    """The folder of Pulumi.yaml; inside a plugin, which runs in the program's folder, that one."""
    return Path(SETTINGS.root_directory or os.getcwd()).absolute()


def plan_of(config: Mapping[str, Any], folder: Path) -> tuple[Stack, Plan]:
    """Read a stack file's config and plan it against this machine. Raises Refused."""
    try:
        stack = load(config, folder=folder)
    except StackFileErrors as wrong:
        raise Refused(str(wrong), wrong) from wrong
    try:
        catalog, local = load_for(folder), stack.target.kind == "local"
        machine, now = (read_machine(), None) if local else (None, deployed(catalog))  # nothing costs anything here
        plan = make(stack, catalog, lock=read_lock(folder), machine=machine, deployed=now)
        return stack, with_measured(plan, read_measured(), machine)
    except (LockError, CatalogError) as bad:
        raise Refused(str(bad)) from bad


def said(finding: Finding) -> str:
    """A finding in one paragraph: where, what, what would pass, and the rule to look up."""
    fix = f"; {finding.fix}" if finding.fix else ""
    return f"{finding.path}: {finding.text}{fix} [{finding.rule}]"


def report(finding: Finding, resource: pulumi.Resource) -> None:
    """Log a finding at the resource it belongs to; notes in previews only."""
    match finding.level:
        case Level.ERROR:
            pulumi.log.error(said(finding), resource)
        case Level.WARNING:
            pulumi.log.warn(said(finding), resource)
        case Level.NOTE if pulumi.runtime.is_dry_run():
            pulumi.log.info(said(finding), resource)


def belongs_to(finding: Finding, section: str, name: str) -> bool:
    """Is the finding about `section.name` of the stack file, or something below it?"""
    path = f"{section}.{name}"
    return finding.path == path or finding.path.startswith((f"{path}.", f"{path}["))
