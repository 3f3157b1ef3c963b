"""What the stack file itself has to say, in the words of a plan. Pure."""

from __future__ import annotations

from infra.plan.document import Finding, Level
from infra.stackfile import Stack, StackFileError
from infra.stackfile.errors import ABSENT, shorten


def error_finding(error: StackFileError, file: str) -> Finding:
    """An error of the stack file."""
    where = f" at {file}:{error.line}" if error.line else ""
    return Finding(level=Level.ERROR, rule="stack-file", path=error.path, text=_text(error) + where, fix=error.nearest)


def import_findings(stack: Stack) -> tuple[Finding, ...]:
    """What the service.json files that services begin with say without effect."""
    return tuple(
        Finding(level=Level.WARNING, rule="eas-import", path=each.path, text=_text(each), fix=each.nearest)
        for each in stack.warnings
    )


def not_built_findings(stack: Stack) -> tuple[Finding, ...]:
    """What can be planned and not yet be realised. A whole target is a warning: its plan is complete."""
    return tuple(
        Finding(
            level=Level.WARNING if each.path == "target.kind" else Level.ERROR,
            rule="not-built",
            path=each.path,
            text=_text(each),
            fix=each.nearest,
        )
        for each in stack.not_built
    )


def _text(error: StackFileError) -> str:
    said = "" if error.value is ABSENT else f" (it says {shorten(error.value)})"
    return f"{error.reason}{said}"
