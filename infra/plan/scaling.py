"""Does what a version says about scaling have any effect? Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from infra.plan.document import Finding, Level
from infra.plan.version import Candidate

AT_ZERO = {"idle_seconds": "idleSeconds", "activation": "activation"}
BETWEEN = {"scale_up_seconds": "scaleUpSeconds", "scale_down_seconds": "scaleDownSeconds"}


def scale_findings(candidates: Iterable[Candidate]) -> Iterator[Finding]:
    """Keys of `replicas` that do nothing.

    1. A target or cron jobs, and min and max are the same: the count cannot move.
    2. What happens at zero is declared, and min is above it.
    3. Windows are declared, and no target that they would hold back.
    """
    for each in candidates:
        declared = each.declared.replicas
        same = declared.min == declared.max
        if same and (declared.target is not None or declared.cron):
            key = "target" if declared.target is not None else "cron"
            text = f"min and max of {each.name} are both {declared.max}: its replicas cannot scale"
            yield _nothing(each, key, text, f"replicas.max: {declared.max + 1} or more")
            continue
        for name, key in AT_ZERO.items():
            if name in declared.model_fields_set and declared.min > 0:
                text = f"{each.name} never goes to zero, for its min is {declared.min}"
                yield _nothing(each, key, text, "replicas.min: 0")
        for name, key in BETWEEN.items():
            if name in declared.model_fields_set and declared.target is None:
                text = f"{each.name} has no target that moves its count"
                yield _nothing(each, key, text, "replicas.target, for example {concurrency: 8}")


def _nothing(each: Candidate, key: str, text: str, fix: str) -> Finding:
    path = f"{each.path}.replicas.{key}"
    return Finding(level=Level.WARNING, rule="scale-nothing", path=path, text=f"{text}; {key} does nothing", fix=fix)
