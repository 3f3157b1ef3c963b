"""What a version may expect once it is placed: its start, its hold time, its method's own advice. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from catalog import Catalog, InstanceType
from infra.plan.coldstart import estimate
from infra.plan.document import ColdStart, Finding, Level, Plan
from infra.plan.fit import Split
from infra.plan.placing import Placed
from infra.plan.units import gib
from infra.plan.version import Candidate
from infra.stackfile import Stack
from runtime.contract.version import Method

BLADELLM_FACTOR = 1.7
"""BladeLLM's documents ask for GPU memory of at least 1.7 x the weights."""


def start_estimate(
    candidate: Candidate, catalog: Catalog, *, instance: InstanceType | None, new_node: bool, gpu: bool
) -> ColdStart | None:
    """The cold start of one replica; None for a process, whose start nobody knows."""
    if candidate.facts is None:
        return None
    return estimate(
        engine=candidate.facts,
        weight_bytes=candidate.model.weight_bytes if candidate.model else 0,
        source=candidate.model.reference.source if candidate.model else "",
        speeds=catalog.speeds,
        instance=instance,
        new_node=new_node,
        gpu=gpu,
    )


def start_findings(stack: Stack, plan: Plan) -> Iterator[Finding]:
    """A version that goes to zero and takes longer to come back than a request is held."""
    for service in plan.services:
        hold = stack.services[service.name].limits.hold_seconds
        for version in service.versions:
            start = version.cold_start
            if version.bounds.min == 0 and start is not None and start.seconds > hold:
                text = (
                    f"from zero the first token of {version.name} takes about {start.seconds:.0f} s (estimated), "
                    f"a request is held {hold:g} s and then gets 503"
                )
                fix = f"replicas.min: 1, or limits.holdSeconds: {_rounded(start.seconds)}"
                path = f"services.{service.name}.limits.holdSeconds"
                yield Finding(level=Level.WARNING, rule="cold-start-hold", path=path, text=text, fix=fix)


def _rounded(seconds: float) -> int:
    """Up to the next half minute."""
    return int(-(-seconds // 30) * 30)


def method_findings(placed: Sequence[Placed]) -> Iterator[Finding]:
    """BladeLLM's own rule of thumb is a warning: the sum of terms decides."""
    for each in placed:
        option, model = each.option, each.candidate.model
        if option is None or model is None or each.candidate.owner.method is not Method.BLADELLM or not option.gpus:
            continue
        has = option.gpus * option.gpu_gib * 2**30
        wants = BLADELLM_FACTOR * model.weight_bytes
        if has < wants:
            text = f"BladeLLM asks for {BLADELLM_FACTOR} x the weights, {gib(wants)} GiB; its GPUs have {gib(has)}"
            path = f"services.{each.candidate.service}.resources"
            fix = f"GPUs with {gib(wants)} GiB together, or leave it: what the plan counts fits"
            yield Finding(level=Level.WARNING, rule="bladellm-weights", path=path, text=text, fix=fix)


def split_args(split: Split) -> dict[str, int]:
    """The engine arguments of a split; none for a single device."""
    arguments = {"tensorParallelSize": split.tensor, "pipelineParallelSize": split.pipeline}
    return {name: value for name, value in arguments.items() if value > 1}
