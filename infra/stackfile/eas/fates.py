"""What an import says about every field of the document. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.stackfile.eas.fields import ALIBABA, field_of
from infra.stackfile.eas.mapping import TARGETS, mount_of, mount_rest
from infra.stackfile.eas.report import Item, Outcome
from infra.stackfile.eas.tree import get
from infra.stackfile.errors import ABSENT, Location, dotted


def fates(document: Mapping[str, Any], rest: Mapping[str, Any]) -> Iterator[Item]:
    """What became of every field: a row of the table, a mount, or unknown. One line for each field or list."""
    said: set[str] = set()
    for path in _leaves(document, ()):
        item = _fate(path, document, rest)
        if item.path not in said:
            said.add(item.path)
            yield item


def _fate(path: Location, document: Mapping[str, Any], rest: Mapping[str, Any]) -> Item:
    if path[0] == "storage" and len(path) > 1:
        return _mount_fate(get(document, path[:2]), path[:2])
    if path[:2] == ("autoscaler", "scaleStrategies") and len(path) > 2:
        return _strategy_fate(get(document, path[:3]), path[:3])
    row = field_of(path)
    if row is None:
        return Item(path=dotted(path), outcome=Outcome.WARNING, text="unknown; kept under extra")
    words = row.path.split(".")
    shown = dotted(path[: len(words) - 1]) if words[-1] == "**" else dotted(path)
    if row.to:
        kept = get(rest, path) is not ABSENT and row.path not in ("metadata.name",)
        verbatim = row.path.startswith(("containers.0.command", "containers.0.script", "containers.0.args"))
        if not kept or verbatim or row.path == "cloud.computing.instances.**":
            return Item(path=shown, outcome=Outcome.MAPPED, text=row.to + (", and kept under extra" if kept else ""))
        text = "the count to begin with" if path[-1] == "instance" else f"cannot be said by {row.to}"
        return Item(path=shown, outcome=Outcome.KEPT, text=f"{text}; kept under extra")
    outcome = Outcome.WARNING if row.why == ALIBABA else Outcome.KEPT
    return Item(path=shown, outcome=outcome, text=f"{row.why}; kept under extra")


def _strategy_fate(strategy: Mapping[str, Any], path: Location) -> Item:
    metric = strategy.get("metricName")
    if path[-1] == 0 and set(strategy) == {"metricName", "threshold"} and metric in TARGETS:
        return Item(path=dotted(path), outcome=Outcome.MAPPED, text=f"replicas.target.{TARGETS[metric]}")
    reason = "the autoscaler follows one metric" if metric in TARGETS else f"the autoscaler does not know {metric}"
    return Item(path=dotted(path), outcome=Outcome.KEPT, text=f"{reason}; kept under extra")


def _mount_fate(mount: Mapping[str, Any], path: Location) -> Item:
    our = mount_of(mount)
    if our is None:
        text = "nothing here can mount it; kept under extra"
        if "git" in mount:
            text = "a branch can change, pin it by a commit; kept under extra"
        return Item(path=dotted(path), outcome=Outcome.KEPT, text=text)
    left = sorted(key for key in _flat(mount_rest(mount)) if key != "mount_path")
    more = f"; {', '.join(left)} kept under extra" if left else ""
    note = " (OSS speaks S3; credentials and endpoint come from the environment)" if "oss" in mount else ""
    return Item(path=dotted(path), outcome=Outcome.MAPPED, text=f"storage {our['source']}{note}{more}")


def _flat(data: Mapping[str, Any]) -> list[str]:
    return [dotted(path) for path in _leaves(data, ())]


def _leaves(data: Any, path: Location) -> Iterator[Location]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(data, list) and data:
        for index, value in enumerate(data):
            yield from _leaves(value, (*path, index))
    elif path:
        yield path
