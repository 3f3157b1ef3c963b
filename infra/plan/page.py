"""A plan as one HTML page: the table, the findings, and a picture of groups, nodes and what sits where. Pure.

The page asks nobody for anything: no script, no font, no picture from elsewhere. It is drawn at maximum
replicas, packed largest first, which is one way to pack and not a promise.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from infra.plan.document import Finding, Plan, VersionPlan
from infra.plan.packing import assign, nodes_needed
from infra.plan.text import Row, summary, table, verdict

STYLE = """
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --error: #c62828; --warning: #b26a00; --note: #5a6b7b }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line) }
th { font-weight: 600 } .scroll { overflow-x: auto }
.finding { border-left: 4px solid var(--note); padding: .2rem .8rem; margin: .6rem 0; background: var(--soft) }
.finding.error { border-color: var(--error) } .finding.warning { border-color: var(--warning) }
.finding code { overflow-wrap: anywhere } .fix { font-weight: 600 }
.pool { display: flex; flex-wrap: wrap; gap: .5rem; margin: .4rem 0 1.4rem }
.node { display: flex; width: 9rem; height: 2rem; border: 1px solid var(--line); border-radius: 4px; overflow: hidden }
.node span { font-size: 11px; padding: .4rem 0; text-align: center; overflow: hidden; white-space: nowrap;
  color: #fff; text-overflow: ellipsis; border-right: 1px solid #fff8 }
.node.missing { border: 2px dashed var(--error) }
""".strip()
MOST_REPLICAS = 2000
MOST_NODES = 200
"""Nodes drawn of one pool; a note says how many more there are."""


def page(plan: Plan) -> str:
    """The whole page."""
    body = "\n".join(_body(plan))
    title = f"Inferform plan, target {escape(plan.target)}"
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>\n{STYLE}\n</style>\n</head>\n'
        f"<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n"
    )


def _body(plan: Plan) -> Iterator[str]:
    yield f"<p><strong>{escape(verdict(plan))}</strong></p>"
    rows = table(plan)
    if len(rows) > 1:
        yield from _table(rows)
    if plan.findings:
        yield "<h2>Findings</h2>"
        yield from (_finding(finding) for finding in plan.findings)
    drawn = list(pools(plan))
    if drawn:
        yield "<h2>What sits where, at maximum replicas</h2>"
        for pool in drawn:
            yield from _pool(pool)
    follows = list(summary(plan))
    if follows:
        yield "<h2>What follows</h2>\n<ul>"
        yield from (f"<li>{escape(line)}</li>" for line in follows)
        yield "</ul>"


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield '<div class="scroll"><table>'
    yield "<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in rows[0]) + "</tr>"
    for row in rows[1:]:
        yield "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
    yield "</table></div>"


def _finding(finding: Finding) -> str:
    fix = f'<br><span class="fix">→ {escape(finding.fix)}</span>' if finding.fix else ""
    return (
        f'<div class="finding {finding.level.value}">{finding.level.value} <code>{escape(finding.path)}</code> '
        f"({escape(finding.rule)})<br>{escape(finding.text)}{fix}</div>"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Nodes of one group (or one public type) with the replicas on each, as (service/version, share of the node)."""

    name: str
    allowed: int | None
    """Nodes at most; None: public, no limit here."""
    needed: int
    nodes: tuple[tuple[tuple[str, float], ...], ...]
    """Those of the first MOST_REPLICAS replicas."""


def pools(plan: Plan) -> Iterator[Pool]:
    """Every group and public type with its nodes, packed largest first."""
    members: dict[str, list[tuple[str, VersionPlan]]] = {}
    for service in plan.services:
        for version in service.versions:
            place = version.placement
            if place is not None:
                name = f"group {place.group}" if place.group else f"public {place.instance_type}"
                members.setdefault(name, []).append((f"{service.name}/{version.name}", version))
    limits = {
        f"group {row.owner.partition('.')[2]}": int(row.limit) for row in plan.headroom if row.resource == "nodes"
    }
    for name in sorted(members):
        places = [(key, version.placement, version.bounds.max) for key, version in members[name]]
        capacity = min(place.node_slots for _, place, _ in places if place)
        sizes: Counter[int] = Counter()
        for _, place, count in places:
            sizes[place.slots if place else 0] += count
        drawn = [(key, place.slots) for key, place, count in places if place for _ in range(min(count, MOST_REPLICAS))]
        nodes = assign(drawn[:MOST_REPLICAS], capacity=capacity)
        shares = tuple(tuple((key, slots / capacity) for key, slots in node) for node in nodes)
        needed = max(len(nodes), nodes_needed(sizes, capacity=capacity))
        yield Pool(name=name, allowed=limits.get(name), needed=needed, nodes=shares)


def _pool(pool: Pool) -> Iterator[str]:
    allowed = f" of {pool.allowed}" if pool.allowed is not None else ""
    yield f"<h3>{escape(pool.name)}: {pool.needed}{allowed} nodes</h3>"
    yield '<div class="pool">'
    for index, node in enumerate(pool.nodes[:MOST_NODES]):
        missing = " missing" if pool.allowed is not None and index >= pool.allowed else ""
        held = ", ".join(f"{key} {share:.0%}" for key, share in node)
        yield (
            f'<div class="node{missing}" title="{escape(held, quote=True)}">'
            + "".join(_block(*each) for each in node)
            + "</div>"
        )
    if pool.allowed is not None:
        spare = min(MOST_NODES, pool.allowed) - pool.needed
        yield from ('<div class="node" title="free"></div>' for _ in range(spare))
    yield "</div>"
    if pool.needed > MOST_NODES:
        yield f"<p>and {pool.needed - MOST_NODES} more nodes</p>"


def _block(key: str, share: float) -> str:
    hue = zlib.crc32(key.encode()) % 360  # the same service has the same colour in every plan
    return f'<span style="width: {share:.1%}; background: hsl({hue} 45% 38%)">{escape(key)}</span>'
