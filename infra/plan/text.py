"""A plan as text for a terminal: one row per version, then what follows from it. At most 100 columns. Pure.

Only paths of the stack file may be longer: a path that is cut is no path.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from infra.plan.cost import signed
from infra.plan.document import Cost, Finding, Headroom, Level, Plan, ServicePlan, VersionPlan
from infra.plan.units import counted, duration, enumerated, gib

WIDTH = 100
NARROWEST = 16
Row = tuple[str, ...]


def text(plan: Plan, *, width: int = WIDTH) -> str:
    """The whole plan, newline at the end."""
    parts: tuple[Iterable[str], ...] = (
        _table(plan, width),
        _wrapped(summary(plan), width),
        findings_text(plan.findings, width),
        [verdict(plan)],
    )
    blocks = ("\n".join(part) for part in parts)
    return "\n\n".join(block for block in blocks if block) + "\n"


def findings_text(findings: Sequence[Finding], width: int = WIDTH) -> Iterator[str]:
    """`error services.chat.context [fit-memory]`, the text below it, then what would pass. Alike ones are said once."""
    alike: dict[tuple[object, ...], list[Finding]] = {}
    for finding in findings:
        alike.setdefault((finding.level, finding.rule, finding.text, finding.fix), []).append(finding)
    for finding, *others in alike.values():
        yield f"{finding.level.value} {finding.path} [{finding.rule}]"
        if others:
            yield from wrap(f"  and {enumerated([other.path for other in others])}", width, after="    ")
        yield from wrap(f"  {finding.text}", width, after="  ")
        if finding.fix:
            yield from wrap(f"  -> {finding.fix}", width, after="     ")


def table(plan: Plan) -> list[Row]:
    """Header and rows: a version each. On target local everything is on this machine and has no price."""
    header: Row = ("SERVICE", "VERSION", "%", "MODEL", "CONTEXT", "REPLICAS", "GiB", "ON", "USD/h")
    rows = [header, *(_row(service, version) for service in plan.services for version in service.versions)]
    return [row[:-2] for row in rows] if plan.target == "local" else rows


def summary(plan: Plan) -> Iterator[str]:
    """What follows from the table, a sentence each: places, rollouts, starts, headroom, costs."""
    versions = [(service, version) for service in plan.services for version in service.versions]
    yield from _together(_place(service, version) for service, version in versions if version.placement)
    yield from _together(_held(service, version) for service, version in versions if version.terms)
    yield from _together(_memory_measured(service, version) for service, version in versions if _was_measured(version))
    yield from _together(_rollout(service) for service in plan.services if service.versions)
    yield from _together(_start(service) for service in plan.services if any(v.cold_start for v in service.versions))
    for row in plan.headroom:
        yield _headroom(row)
    yield from _costs(plan)


def verdict(plan: Plan) -> str:
    """The last line."""
    counts = [(level, sum(finding.level is level for finding in plan.findings)) for level in Level]
    said = ", ".join(f"{count} {level.value}{'s' if count > 1 else ''}" for level, count in counts if count)
    outcome = "does not pass" if plan.errors else "passes"
    versions = [version for service in plan.services for version in service.versions]
    known = sum(version.measured is not None for version in versions)
    measured = f"{known} of {counted(len(versions), 'version')} measured" if known else "unmeasured"
    return f"{outcome}: {said or 'nothing to say'}. Memory and times are estimates, {measured}."


def columns(rows: Sequence[Row], width: int, *, shrink: Sequence[int], right: Sequence[int] = ()) -> Iterator[str]:
    """Rows in columns, two spaces apart. Too wide: the widest of the columns in `shrink` gives way, one by one."""
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    while sum(widths) + 2 * (len(widths) - 1) > width:
        widest = max(shrink, key=lambda index: widths[index])
        if widths[widest] <= NARROWEST:
            break
        widths[widest] -= 1
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


def money(cost: Cost | None) -> str:
    """`1.54`, `1.54..6.15`, or `?` for a price that nobody knows."""
    if cost is None:
        return "-"
    low, high = (("?" if each is None else f"{each:.2f}") for each in (cost.min_per_hour, cost.max_per_hour))
    return low if low == high else f"{low}..{high}"


def _table(plan: Plan, width: int) -> Iterator[str]:
    rows = table(plan)
    if len(rows) > 1:
        local = len(rows[0]) == 7
        shrink = (0, 1, 3) if local else (0, 1, 3, 7)
        yield from columns(rows, width, shrink=shrink, right=(2, 4, 6, 8))


def _row(service: ServicePlan, version: VersionPlan) -> Row:
    template, bounds = version.template, version.bounds
    replicas = f"{bounds.min}" if bounds.min == bounds.max else f"{bounds.min}..{bounds.max}"
    engine = template.engine.value if template.engine else "process"
    return (
        service.name,
        version.name,
        "off" if service.stopped else str(service.traffic.get(version.name, 0)),
        template.model.name if template.model else f"({engine})",
        f"{template.context or '-'} x {template.concurrency}",
        replicas,
        gib(sum(term.bytes for term in version.terms)) if version.terms else "?",
        version.placed,
        money(version.cost),
    )


def _wrapped(lines: Iterable[str], width: int) -> Iterator[str]:
    for line in lines:
        yield from wrap(line, width, after="  ")


def wrap(line: str, width: int, *, after: str) -> list[str]:
    """A line in pieces of at most `width`; those after the first are indented. A short line costs nothing."""
    return [line] if len(line) <= width else textwrap.wrap(line, width, subsequent_indent=after)


def _together(sentences: Iterable[tuple[str, str]]) -> Iterator[str]:
    """(subject, sentence) pairs: subjects of the same sentence share it."""
    alike: dict[str, list[str]] = {}
    for subject, sentence in sentences:
        alike.setdefault(sentence, []).append(subject)
    yield from (f"{enumerated(subjects)}{sentence}" for sentence, subjects in alike.items())


def _rollout(service: ServicePlan) -> tuple[str, str]:
    return service.name, f": an update is a {service.rollout.strategy} ({service.rollout.reason})"


def _place(service: ServicePlan, version: VersionPlan) -> tuple[str, str]:
    placement = version.placement
    assert placement is not None
    gpus = f"{counted(placement.gpu_fraction or placement.gpus, 'GPU')} of " if placement.gpus else ""
    split = f", tensor {placement.tensor} x pipeline {placement.pipeline}" if placement.gpus > 1 else ""
    after = f"; next {', '.join(placement.runners_up)}" if placement.runners_up else ""
    return f"{service.name}/{version.name}", f" on {gpus}{placement.instance_type}{split}: {placement.why}{after}"


def _held(service: ServicePlan, version: VersionPlan) -> tuple[str, str]:
    """What each device holds, largest first, and how far it could go."""
    placement = version.placement
    terms = sorted(version.terms, key=lambda term: -term.bytes)
    parts = " + ".join(f"{term.name} {gib(term.bytes)}" for term in terms)
    whole = gib(sum(term.bytes for term in terms))
    device = "each GPU" if version.template.gpus else "a replica"
    could = ""
    if placement is not None and placement.reach is not None:
        could = f"; up to {placement.reach.context} tokens, or {placement.reach.concurrency} sequences"
    room = f" of {gib(placement.room_bytes)}" if placement is not None else ""
    return f"{service.name}/{version.name}", f": {device} holds {whole}{room} GiB: {parts}{could}"


def _start(service: ServicePlan) -> tuple[str, str]:
    """The service's slowest version; what was measured comes before what is estimated."""
    version = max(
        (each for each in service.versions if each.cold_start),
        key=lambda each: each.cold_start.seconds if each.cold_start else 0.0,
    )
    start, measured = version.cold_start, version.measured
    assert start is not None
    if measured is not None:
        parts = _phases((words(phase), seconds) for phase, seconds in measured.seconds.items())
        said = f"after {duration(measured.total, 1)}{parts}, measured {measured.date} on {measured.place}"
        return service.name, f": first token of a new replica {said}; the estimate is {duration(start.seconds)}"
    parts = _phases((words(each.phase), each.seconds) for each in start.phases)
    return service.name, f": first token of a new replica after about {duration(start.seconds)}{parts}"


def _phases(phases: Iterable[tuple[str, float]]) -> str:
    """` (image 6 + weights 0.3)`, seconds; those that take no time left out."""
    parts = [f"{name} {seconds:.0f}" if seconds >= 9.95 else f"{name} {seconds:.1f}".removesuffix(".0")
             for name, seconds in phases if seconds >= 0.05]  # fmt: skip
    return f" ({' + '.join(parts)})" if parts else ""


def words(phase: str) -> str:
    """A phase as it is spoken."""
    return "first token" if phase == "firstToken" else phase


def _memory_measured(service: ServicePlan, version: VersionPlan) -> tuple[str, str]:
    """The most that a replica took, and what the plan counts for it at full context and concurrency."""
    measured = version.measured
    assert measured is not None
    taken = measured.gpu_memory_bytes if version.template.gpus else measured.memory_bytes
    device = "a GPU held" if version.template.gpus else "a replica took"
    planned = gib(sum(term.bytes for term in version.terms))
    name = f"{service.name}/{version.name}"
    return name, f": {device} {gib(taken)} GiB at most so far, measured on {measured.place}; planned are {planned}"


def _was_measured(version: VersionPlan) -> bool:
    measured = version.measured
    return measured is not None and bool(measured.gpu_memory_bytes if version.template.gpus else measured.memory_bytes)


def _headroom(row: Headroom) -> str:
    peak = f", {row.peak:.4g} while the largest rollout runs" if row.peak > row.used + 1e-9 else ""
    said = f", {row.verdict}" if row.verdict else ""
    return f"{row.owner} {row.resource}: {row.used:.4g} of {row.limit:g} at maximum replicas{peak}{said}"


def _costs(plan: Plan) -> Iterator[str]:
    stack = plan.costs.get("stack")
    if stack is None:
        return
    low, high = stack.monthly()
    months = (
        ""
        if low is None or high is None
        else f" ({' to '.join(dict.fromkeys((f'{low:,.0f}', f'{high:,.0f}')))} a month)"
    )
    note = f"; {stack.note}" if stack.note else ""
    yield f"cost: {money(stack)} USD/h at minimum..maximum replicas{months}{note}"
    if plan.cost_difference is not None:
        services = f": {plan.cost_difference.note}" if plan.cost_difference.note else ""
        yield f"cost against what serves now: {signed(plan.cost_difference)} USD/h{services}"
    yield from (f"({note})" for note in plan.cost_notes)
