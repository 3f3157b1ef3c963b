"""One version before it has a place: its model, engine and wishes, checked by itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from catalog import Catalog, Engine, argument_problems
from infra.plan.architecture import Architecture
from infra.plan.document import Finding, Level
from infra.plan.fit import Need
from infra.plan.folder import Folder
from infra.plan.lock import Lock
from infra.plan.resolve import Adapter, Resolved, resolve_adapter, resolve_in
from infra.stackfile import Service, Stack, Version
from infra.stackfile.checks import ENGINES
from runtime.contract.version import EngineKind, Method

CONCURRENCY = 16
"""Sequences at once unless the version says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a replica wants of its devices: equal wishes are sized once, whatever service they come from."""

    architecture: Architecture
    weight_bytes: int
    vision_bytes: int
    adapter_bytes: int
    cache_width: float | None
    engine: str
    context: int | None
    """As declared; None: as long as fits."""
    concurrency: int

    def need(self, context: int, concurrency: int, engine: Engine) -> Need:
        """What is to be placed at this context and concurrency."""
        return Need(
            architecture=self.architecture,
            weight_bytes=self.weight_bytes,
            vision_bytes=self.vision_bytes,
            adapter_bytes=self.adapter_bytes,
            context=context,
            concurrency=concurrency,
            engine=engine,
            cache_width=self.cache_width,
        )


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A version that is sound by itself. `model` is None for a scripted engine or a process."""

    service: str
    name: str
    declared: Version
    owner: Service
    path: str
    engine: EngineKind | None
    facts: Engine | None
    model: Resolved | None = None
    adapters: Mapping[str, Adapter] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """`service/version`, as in the lock file."""
        return f"{self.service}/{self.name}"

    @property
    def public(self) -> bool:
        """Are its resources public: neither a group nor a quota of one?"""
        return self.owner.resources.kind == "public"

    @property
    def most(self) -> int:
        """Replicas at most; a stopped service keeps its place."""
        return self.declared.replicas.max

    @property
    def concurrency(self) -> int | None:
        """Sequences at once where the stack file says so."""
        return self.declared.concurrency if "concurrency" in self.declared.model_fields_set else None

    def with_concurrency(self, sequences: int) -> Candidate:
        """The same version as if it declared so many sequences at once."""
        return replace(self, declared=self.declared.model_copy(update={"concurrency": sequences}))

    @cached_property
    def wish(self) -> Wish | None:
        """What a replica wants of its devices; None without a model."""
        if self.model is None or self.facts is None:
            return None
        return Wish(
            architecture=self.model.architecture,
            weight_bytes=self.model.weight_bytes,
            vision_bytes=self.model.vision_bytes,
            adapter_bytes=sum(adapter.weight_bytes for adapter in self.adapters.values()),
            cache_width=cache_width(self.declared),
            engine=self.facts.id,
            context=self.declared.context,
            concurrency=self.concurrency or CONCURRENCY,
        )

    def need(self, context: int, concurrency: int) -> Need | None:
        """What is to be placed at this context and concurrency; None without a model."""
        if self.wish is None or self.facts is None:
            return None
        return self.wish.need(context, concurrency, self.facts)


def cache_width(version: Version) -> float | None:
    """Bytes of a cache element when an engine argument says another than the model's dtype."""
    kind = str(version.engine_args.get("kvCacheDtype", "auto"))
    return 1.0 if kind.startswith(("fp8", "int8")) else None


def version_path(stack: Stack, service: str, version: str) -> str:
    """The version's path as the user wrote it: the single-version shorthand has no `versions.main`."""
    written = stack.declared.get(service, {})
    return f"services.{service}.versions.{version}" if "versions" in written else f"services.{service}"


def examine(
    stack: Stack, service: str, name: str, *, catalog: Catalog, lock: Lock | None, folders: Mapping[str, Folder]
) -> tuple[Candidate | None, list[Finding]]:
    """Check one version by itself: its model is known, its method can serve it, what it may do is allowed."""
    owner = stack.services[service]
    declared = owner.versions[name]
    path = version_path(stack, service, name)
    engines = ENGINES[owner.method]
    engine = declared.engine or (engines[0] if engines else None)
    findings: list[Finding] = []
    model: Resolved | None = None
    if declared.model is not None and owner.method is not Method.PROCESS:
        if (known := catalog.models.get(declared.model)) and owner.method.value not in known.methods:
            return None, [method_finding(known.id, known.methods, owner, path)]
        found = resolve_in(declared, declared.model, path=f"{path}.model", catalog=catalog, lock=lock, folders=folders)
        if isinstance(found, Finding):
            return None, [found]
        model = found
        findings += model_findings(model, owner, declared, path)
    adapters: dict[str, Adapter] = {}
    for adapter, text in declared.adapters.items():
        loaded = resolve_adapter(declared, text, path=f"{path}.adapters.{adapter}", lock=lock, folders=folders)
        if isinstance(loaded, Finding):
            findings.append(loaded)
        else:
            adapters[adapter] = loaded
    if engine is not None:
        findings += argument_findings(engine, declared, path)
    if any(finding.level is Level.ERROR for finding in findings):
        return None, [*findings, *([model.problem] if model and model.problem else [])]
    if model is not None and model.problem is not None:
        findings.append(model.problem)
    candidate = Candidate(
        service=service,
        name=name,
        declared=declared,
        owner=owner,
        path=path,
        engine=engine,
        facts=catalog.engines[engine.value] if engine else None,
        model=model,
        adapters=adapters,
    )
    return candidate, findings


def argument_findings(engine: EngineKind, version: Version, path: str) -> list[Finding]:
    """Engine arguments that the engine would refuse at its start, and adapters for an engine that has none."""
    findings = [
        Finding(
            level=Level.ERROR,
            rule="engine-argument",
            path=f"{path}.engineArgs.{problem.key}",
            text=f"{problem.value!r} {problem.reason}",
            fix=problem.nearest,
        )
        for problem in argument_problems(engine.value, version.engine_args)
    ]
    if version.adapters and engine is EngineKind.TRANSFORMERS:
        text, fix = "engine transformers has no LoRA adapters", "engine: vllm, with method vllm or bladellm"
        findings.append(Finding(level=Level.ERROR, rule="engine-adapters", path=f"{path}.adapters", text=text, fix=fix))
    return findings


def model_findings(model: Resolved, owner: Service, version: Version, path: str) -> list[Finding]:
    """What stands between this model and this service.

    1. The method can serve it.
    2. Weights that are pickles only need trust.pickle.
    3. Code that comes with the model needs trust.remoteCode.
    4. A declared context is at most the model's own.
    """
    findings = []
    name, own = model.reference.name, model.architecture.context
    if owner.method not in model.methods:
        findings.append(method_finding(name, [method.value for method in model.methods], owner, path))
    if model.pickle_only and not owner.trust.pickle:
        text = f"{name} has only pickled weights, and loading a pickle runs whatever code is in it"
        fix = "convert them to safetensors, or say trust: {pickle: true}"
        findings.append(Finding(level=Level.ERROR, rule="model-pickle", path=f"{path}.model", text=text, fix=fix))
    if model.remote_code and not owner.trust.remote_code:
        text = f"{name} needs Python code of its own, which is not run unasked"
        fix = "read that code, then say trust: {remoteCode: true}"
        findings.append(Finding(level=Level.ERROR, rule="model-remote-code", path=f"{path}.model", text=text, fix=fix))
    if version.context is not None and version.context > own:
        text = f"a context of {version.context} tokens is longer than the {own} that {name} was made for"
        findings.append(
            Finding(level=Level.ERROR, rule="fit-context", path=f"{path}.context", text=text, fix=f"context: {own}")
        )
    return findings


def method_finding(name: str, methods: Sequence[str], owner: Service, path: str) -> Finding:
    """The service's method cannot serve the model; those that can are named."""
    text = f"method {owner.method.value} cannot serve {name}"
    fix = f"methods that can: {', '.join(methods)}"
    return Finding(level=Level.ERROR, rule="model-method", path=path, text=text, fix=fix)
