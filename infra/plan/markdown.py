"""A plan as Markdown for a pull request: the table, the findings, the rest folded away. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from infra.plan.document import Finding, Level, Plan
from infra.plan.text import Row, summary, table, verdict

MARKS = {Level.ERROR: "❌", Level.WARNING: "⚠️", Level.NOTE: "💬"}
RIGHT = {"%", "CONTEXT", "GiB", "USD/h"}


def markdown(plan: Plan) -> str:
    """The whole plan in GitHub's Markdown, newline at the end."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield f"### Plan for target {plan.target}: {'does not pass ❌' if plan.errors else 'passes ✅'}"
    rows = table(plan)
    if len(rows) > 1:
        yield ""
        yield from _table(rows)
    if plan.findings:
        yield ""
        yield from (_finding(finding) for finding in plan.findings)
    follows = list(summary(plan))
    if follows:
        yield ""
        yield "<details><summary>Places, rollouts, starts, headroom, costs</summary>"
        yield ""
        yield from (f"- {escape(line)}" for line in follows)
        yield ""
        yield "</details>"
    yield ""
    yield escape(verdict(plan))


def _table(rows: list[Row]) -> Iterator[str]:
    yield _row(rows[0])
    yield _row(tuple("---:" if name in RIGHT else "---" for name in rows[0]))
    for row in rows[1:]:
        yield _row(tuple(escape(cell) for cell in row))


def _row(cells: Row) -> str:
    return f"| {' | '.join(cells)} |"


def _finding(finding: Finding) -> str:
    fix = f" **→ {escape(finding.fix)}**" if finding.fix else ""
    return (
        f"- {MARKS[finding.level]} {finding.level.value} `{finding.path}` ({finding.rule}): {escape(finding.text)}{fix}"
    )


def escape(text: str) -> str:
    """Text as it is meant: names with `_`, `*`, `|` or `<` stay names."""
    return "".join(f"\\{character}" if character in "\\`*_|<>[]#" else character for character in text)
