"""A plan as text for a terminal: one row per version, then what there is to say. At most 100 columns. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from infra.plan.document import Finding, Level, Plan, ServicePlan, VersionPlan
from infra.plan.units import gib

WIDTH = 100
Row = tuple[str, ...]


def text(plan: Plan, *, width: int = WIDTH) -> str:
    """The whole plan, newline at the end."""
    parts = (_table(plan, width), _rollouts(plan, width), findings_text(plan.findings, width), [_verdict(plan)])
    blocks = ("\n".join(part) for part in parts)
    return "\n\n".join(block for block in blocks if block) + "\n"


def findings_text(findings: Sequence[Finding], width: int = WIDTH) -> Iterator[str]:
    """`error services.chat.context [fit-memory]`, the text below it, then what would pass."""
    for finding in findings:
        yield f"{finding.level.value} {finding.path} [{finding.rule}]"
        yield from textwrap.wrap(finding.text, width, initial_indent="  ", subsequent_indent="  ")
        if finding.fix:
            yield from textwrap.wrap(f"-> {finding.fix}", width, initial_indent="  ", subsequent_indent="     ")


def _table(plan: Plan, width: int) -> Iterator[str]:
    header: Row = ("SERVICE", "VERSION", "%", "MODEL", "ENGINE", "CONTEXT", "REPLICAS", "GiB EACH", "ON")
    rows = [_row(service, version) for service in plan.services for version in service.versions]
    if plan.target == "local":  # everything is on this machine
        header, rows = header[:-1], [row[:-1] for row in rows]
    if rows:
        yield from columns([header, *rows], width, shrink=(3, -1, 0, 1), right=(2, 5, 7))


def _row(service: ServicePlan, version: VersionPlan) -> Row:
    template, bounds = version.template, version.bounds
    replicas = f"{bounds.min}" if bounds.min == bounds.max else f"{bounds.min}..{bounds.max}"
    return (
        service.name,
        f"{version.name} {version.hash}",
        "off" if service.stopped else str(service.traffic.get(version.name, 0)),
        template.model.name if template.model else "-",
        template.engine.value if template.engine else "-",
        f"{template.context or '-'} x {template.concurrency}",
        replicas,
        gib(sum(term.bytes for term in version.terms)),
        version.placed,
    )


def columns(rows: Sequence[Row], width: int, *, shrink: Sequence[int], right: Sequence[int] = ()) -> Iterator[str]:
    """Rows in columns, two spaces apart. Too wide: the columns of `shrink` are cut in turn, each to no less than 12."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    for index in shrink:
        excess = sum(widths) + 2 * (len(widths) - 1) - width
        if excess > 0:
            widths[index] = max(min(12, widths[index]), widths[index] - excess)
    for row in rows:
        cells = (
            cut(cell, size).rjust(size) if index in right else cut(cell, size).ljust(size)
            for index, (cell, size) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join(cells).rstrip()


def cut(value: str, size: int) -> str:
    """A cell that is too long loses its middle: both ends tell models apart."""
    if len(value) <= size:
        return value
    head = (size - 1) // 2
    return value[:head] + "…" + value[len(value) - (size - 1 - head) :]


def _rollouts(plan: Plan, width: int) -> Iterator[str]:
    for service in plan.services:
        line = f"{service.name}: an update is a {service.rollout.strategy} ({service.rollout.reason})"
        yield from textwrap.wrap(line, width, subsequent_indent="  ")


def _verdict(plan: Plan) -> str:
    counts = [(level, sum(finding.level is level for finding in plan.findings)) for level in Level]
    said = ", ".join(f"{count} {level.value}{'s' if count > 1 else ''}" for level, count in counts if count)
    verdict = "does not pass" if plan.errors else "passes"
    return f"{verdict}: {said or 'nothing to say'}. Memory is an estimate, unmeasured."
