"""From a stack file, the catalog and this machine to the plan. Pure but for reading model folders it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from catalog import Catalog
from infra.plan.anywhere import ANY_NODE
from infra.plan.cluster import decide
from infra.plan.cost import difference, price_notes
from infra.plan.document import (
    Deployed,
    Finding,
    Level,
    PhaseClocks,
    Plan,
    RolloutPlan,
    ServicePlan,
    VersionPlan,
)
from infra.plan.documents import packed_size
from infra.plan.file import import_findings
from infra.plan.folder import Folder, digest_folder, read_folder
from infra.plan.image import gateway_image, image_of
from infra.plan.local import PLACE, Sized, decide_rollout, memory_findings, size, taken
from infra.plan.lock import Lock
from infra.plan.machine import Machine
from infra.plan.mounts import Digest, mount_findings, mounts, pinned
from infra.plan.offline import offline_findings, offline_image
from infra.plan.on_cluster import cache_claim, cache_findings, cluster_findings
from infra.plan.placing import Placed
from infra.plan.resolve import folders_of
from infra.plan.scaling import scale_findings
from infra.plan.version import Candidate, examine
from infra.plan.wishes import method_findings, split_args, start_estimate, start_findings
from infra.stackfile import LocalTarget, Service, Stack
from runtime.contract.version import VersionTemplate


def make(
    stack: Stack,
    catalog: Catalog,
    *,
    lock: Lock | None = None,
    machine: Machine | None = None,
    deployed: Deployed | None = None,
    read: Callable[[Path], Folder] = read_folder,
    digest: Digest = digest_folder,
    documents: Callable[[Path], int] = packed_size,
) -> Plan:
    """The plan of a stack.

    `lock`: `read_lock(stack.folder)`. `machine`: `read_machine()` on target local. `deployed`: what serves now.
    Each may be absent, and is then unknown. The same input gives the same plan, whatever the order of keys.
    `read`, `digest` and `documents` are the only effects: they read the folders that it names: of models, mounts, and
    (on a cluster, where documents have to be sent) knowledge bases, whose packed size in bytes is asked for.
    Findings of level error stop a preview; a version that has one may be missing from the plan.
    """
    folders = {text: read(stack.path(text)) for text in dict.fromkeys(folders_of(stack))}
    candidates, findings = _candidates(stack, catalog, lock, folders)
    findings += offline_findings(stack, candidates)
    findings += scale_findings(candidates)
    pin = partial(pinned, lock=lock, digest=digest)
    if isinstance(stack.target, LocalTarget):
        plan = _local(stack, candidates, findings, machine, catalog, pin)
    else:
        sizes = {
            name: documents(stack.path(service.knowledge.documents))
            for name, service in stack.services.items()
            if service.knowledge
        }
        findings += cluster_findings(stack, candidates, sizes)
        plan = _cluster(stack, candidates, findings, catalog, lock, deployed, pin)
    said = [*plan.findings, *start_findings(stack, plan), *import_findings(stack)]
    return replace(plan, findings=_ordered(said))


def _candidates(
    stack: Stack, catalog: Catalog, lock: Lock | None, folders: Mapping[str, Folder]
) -> tuple[list[Candidate], list[Finding]]:
    candidates, findings = [], []
    for service in sorted(stack.services):
        for name in sorted(stack.services[service].versions):
            candidate, found = examine(stack, service, name, catalog=catalog, lock=lock, folders=folders)
            findings += found
            if candidate is not None:
                candidates.append(candidate)
    return candidates, findings


def _local(
    stack: Stack,
    candidates: list[Candidate],
    findings: list[Finding],
    machine: Machine | None,
    catalog: Catalog,
    pin: Callable[[VersionTemplate], VersionTemplate],
) -> Plan:
    sized = [size(candidate, machine) for candidate in candidates]
    if machine is not None:
        findings += memory_findings(sized, machine)
    findings += _not_enforced(stack)
    by_service: dict[str, list[Sized]] = {name: [] for name in stack.services}
    for each in sized:
        by_service[each.candidate.service].append(each)
    whole, services = taken(sized), []
    for name, service in sorted(stack.services.items()):
        rollout, found = decide_rollout(name, by_service[name], whole, machine)
        findings += found
        versions = tuple(_version(each, stack, machine, catalog, pin) for each in by_service[name])
        for each, version in zip(by_service[name], versions, strict=True):
            findings += mount_findings(version.template, each.candidate.path, target=stack.target.kind)
        findings += _twins(name, versions)
        services.append(_service(name, service, stack, versions, rollout))
    return Plan(target=stack.target.kind, services=tuple(services), findings=tuple(findings))


def _version(
    each: Sized,
    stack: Stack,
    machine: Machine | None,
    catalog: Catalog,
    pin: Callable[[VersionTemplate], VersionTemplate],
) -> VersionPlan:
    candidate = each.candidate
    template = pin(template_of(candidate, stack, context=each.context, concurrency=each.concurrency, gpus=each.gpus))
    if each.gpus and machine is not None and machine.gpus:
        template = template.model_copy(update={"gpu_model": machine.gpus[0].name})
    return VersionPlan(
        name=candidate.name,
        hash=template.hash(),
        template=template,
        bounds=candidate.declared.replicas.bounds(),
        scaling=candidate.declared.replicas.scaling(candidate.owner.autoscaler),
        terms=each.terms,
        placed=PLACE,
        cold_start=start_estimate(candidate, catalog, instance=None, new_node=False, gpu=each.gpus > 0),
    )


def _cluster(
    stack: Stack,
    candidates: list[Candidate],
    findings: list[Finding],
    catalog: Catalog,
    lock: Lock | None,
    deployed: Deployed | None,
    pin: Callable[[VersionTemplate], VersionTemplate],
) -> Plan:
    answer = decide(stack, candidates, catalog, lock)
    by_service: dict[str, list[VersionPlan]] = {name: [] for name in stack.services}
    findings = [*findings, *answer.findings, *method_findings(answer.placed)]
    for each in answer.placed:
        image, problem = image_of(stack, each.candidate.owner.method, lock)
        version = _placed_version(each, stack, catalog, image, pin)
        findings += mount_findings(version.template, each.candidate.path, target=stack.target.kind)
        findings += [*([problem] if problem else []), *offline_image(stack, image)]
        by_service[each.candidate.service].append(version)
    findings += cache_findings(stack, by_service)
    services = []
    for name, service in sorted(stack.services.items()):
        versions = tuple(by_service[name])
        findings += _twins(name, versions)
        services.append(_service(name, service, stack, versions, answer.rollouts[name]))
    return Plan(
        target=stack.target.kind,
        services=tuple(services),
        image=gateway_image(stack, lock, services),
        findings=tuple(findings),
        headroom=tuple(answer.headroom),
        costs=answer.costs,
        cost_difference=difference(services, deployed),
        cost_notes=price_notes(answer.priced, catalog),
    )


def _placed_version(
    each: Placed,
    stack: Stack,
    catalog: Catalog,
    image: str | None,
    pin: Callable[[VersionTemplate], VersionTemplate],
) -> VersionPlan:
    candidate, option, placement = each.candidate, each.option, each.placement
    declared = candidate.owner.resources
    template = template_of(
        candidate,
        stack,
        context=option.context if option else candidate.declared.context,
        concurrency=option.concurrency if option else candidate.declared.concurrency,
        gpus=option.gpus if option else declared.gpus or 0,
    )
    extra: dict[str, object] = {"instance_types": each.types, "image": image, "quota": declared.quota}
    if candidate.model is not None and not isinstance(stack.target, LocalTarget) and stack.target.model_cache:
        extra["model_cache"] = cache_claim(candidate.model.reference)
    if option is not None:
        card = catalog.gpus[option.instance.gpu].name if option.instance.gpu else None
        extra |= {"gpu_model": card, "cpus": option.cpus, "memory_gib": option.memory_gib}
        extra["engine_args"] = {**split_args(option.split), **candidate.declared.engine_args}
    template = pin(template.model_copy(update=extra))
    instance = option.instance if option else None
    known = placement is not None and (bool(placement.group) or instance is ANY_NODE)
    new_node = instance is not ANY_NODE and (candidate.declared.replicas.min == 0 or not known)
    start = start_estimate(candidate, catalog, instance=instance, new_node=new_node, gpu=bool(option and option.gpus))
    return VersionPlan(
        name=candidate.name,
        hash=template.hash(),
        template=template,
        bounds=candidate.declared.replicas.bounds(),
        scaling=candidate.declared.replicas.scaling(candidate.owner.autoscaler),
        terms=option.terms if option else (),
        placed=placement.group or placement.instance_type if placement else "unknown",
        placement=placement,
        cost=each.cost,
        cold_start=start if option else None,
    )


def template_of(
    candidate: Candidate, stack: Stack, *, context: int | None, concurrency: int, gpus: int
) -> VersionTemplate:
    """The version's template: everything that is in its hash, as plain values."""
    declared, owner = candidate.declared, candidate.owner
    checks = ((name, getattr(declared.probes, name)) for name in ("startup", "liveness", "readiness"))
    probes = {name: check.contract() for name, check in checks if check is not None}
    return VersionTemplate(
        method=owner.method,
        engine=candidate.engine,
        model=candidate.model.reference if candidate.model else None,
        context=context,
        concurrency=concurrency,
        engine_args=dict(declared.engine_args),
        adapters={name: adapter.reference for name, adapter in sorted(candidate.adapters.items())},
        storage=mounts(declared, stack.folder),
        env=dict(declared.env),
        probes=probes,
        trust=owner.trust.contract(),
        cpus=owner.resources.cpus,
        memory_gib=owner.resources.memory_gib,
        gpus=gpus,
    )


def _service(
    name: str, service: Service, stack: Stack, versions: tuple[VersionPlan, ...], rollout: RolloutPlan
) -> ServicePlan:
    timeouts = service.rollout.timeouts
    clocks = PhaseClocks(
        schedule=timeouts.schedule,
        image=timeouts.image,
        weights=timeouts.weights,
        engine=timeouts.engine,
        first_token=timeouts.first_token,
    )
    return ServicePlan(
        name=name,
        method=service.method,
        versions=versions,
        traffic=dict(service.traffic),
        limits=service.limits.contract(),
        auth=service.auth,
        wire=service.wire.contract(),
        webui=service.webui,
        knowledge=str(stack.path(service.knowledge.documents)) if service.knowledge else None,
        stopped=service.stopped,
        token_rotation=service.token_rotation,
        token_overlap_seconds=service.token_overlap_seconds,
        rollout=RolloutPlan(strategy=rollout.strategy, reason=rollout.reason, surge=rollout.surge, clocks=clocks),
    )


def _twins(service: str, versions: tuple[VersionPlan, ...]) -> list[Finding]:
    """Two versions of one service with the same content are one version with two names."""
    seen: dict[str, str] = {}
    findings = []
    for version in versions:
        if first := seen.get(version.hash):
            text = f"has the same content as version {first}, so they are one version ({version.hash})"
            path = f"services.{service}.versions.{version.name}"
            fix = f"delete one of them, or change what {version.name} runs"
            findings.append(Finding(level=Level.ERROR, rule="version-duplicate", path=path, text=text, fix=fix))
        seen.setdefault(version.hash, version.name)
    return findings


def _not_enforced(stack: Stack) -> list[Finding]:
    """Groups and quotas on target local are planned, not enforced."""
    names = [f"resourceGroups.{name}" for name in sorted(stack.resource_groups)]
    names += [f"quotas.{name}" for name in sorted(stack.quotas)]
    text = "is planned but not enforced on target local: every replica runs on this machine"
    return [Finding(level=Level.NOTE, rule="not-enforced", path=path, text=text) for path in names]


LEVELS = (Level.ERROR, Level.WARNING, Level.NOTE)


def _ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    """Errors first, then by path; each once."""
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda each: (LEVELS.index(each.level), each.path, each.rule, each.text)))
