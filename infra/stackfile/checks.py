"""What no single field can tell: names, references, traffic, sources. Pure but for looking for folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from infra.stackfile.errors import ABSENT, Location, StackFileError, dotted, nearest
from infra.stackfile.resources import Quota
from infra.stackfile.services import NAME, SERVICE_NAME, Service
from infra.stackfile.sources import BadSource, Source, model_source, mount_source
from infra.stackfile.versions import StorageMount, Version
from runtime.contract.version import EngineKind, Method

ENGINES: Mapping[Method, tuple[EngineKind, ...]] = {
    Method.STANDARD: (EngineKind.TRANSFORMERS, EngineKind.VLLM, EngineKind.SCRIPTED),
    Method.VLLM: (EngineKind.VLLM, EngineKind.SCRIPTED),
    Method.BLADELLM: (EngineKind.VLLM, EngineKind.TRANSFORMERS, EngineKind.SCRIPTED),
    Method.PROCESS: (),
}
"""The engines that can stand behind each method, its default first."""

SYSTEM_FOLDERS = (
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var",
)
"""EAS refuses mounts on system folders; /dev/shm is the exception for memory."""


def name_error(kind: str, name: str, path: str) -> StackFileError | None:
    """Is this a good name of a `service`, `version`, `resource group` or `quota`?"""
    pattern = SERVICE_NAME if kind == "service" else NAME
    if re.fullmatch(pattern, name):
        return None
    if kind == "service":
        reason = "a service's name has 3 to 63 of a-z, 0-9 and _"
        better = re.sub(r"[^a-z0-9_]+", "_", name.lower())[:63].ljust(3, "_")
    else:
        reason = f"a {kind}'s name begins with a-z and has at most 31 of a-z, 0-9 and -"
        better = re.sub(r"^[^a-z]+", "", re.sub(r"[^a-z0-9-]+", "-", name.lower()))[:31] or kind[0]
    return StackFileError(path=path, value=name, reason=reason, nearest=f"did you mean {better}?")


def check_quota(quota: Quota, path: Location, groups: Mapping[str, object]) -> Iterator[StackFileError]:
    """A quota names a group of this file."""
    if quota.resource_group is not None:
        yield from _reference("resource group", quota.resource_group, (*path, "resourceGroup"), groups)


def check_service(
    service: Service, path: Location, *, groups: Mapping[str, object], quotas: Mapping[str, object], folder: Path
) -> Iterator[StackFileError]:
    """Everything about one service that its fields alone cannot say."""
    if service.resources.group:
        yield from _reference("resource group", service.resources.group, (*path, "resources", "group"), groups)
    if service.resources.quota:
        yield from _reference("quota", service.resources.quota, (*path, "resources", "quota"), quotas)
    if not service.versions:
        yield StackFileError(
            path=dotted((*path, "versions")),
            reason="is empty",
            nearest="a service needs a version, or a model of its own",
        )
    for name, version in service.versions.items():
        yield from check_version(version, service.method, (*path, "versions", name), folder)
    yield from check_traffic(service, path)
    if service.knowledge:
        yield from _folder(service.knowledge.documents, (*path, "knowledge", "documents"), folder)


def check_version(version: Version, method: Method, path: Location, folder: Path) -> Iterator[StackFileError]:
    """A version has a model that can be read, an engine of its method, sound mounts and variables."""
    engines = ENGINES[method]
    if version.engine is not None and version.engine not in engines:
        hint = f"{method} takes {' or '.join(engines)}" if engines else f"{method} has no engine"
        yield StackFileError(
            path=dotted((*path, "engine")),
            value=version.engine.value,
            reason=f"cannot stand behind method {method}",
            nearest=hint,
        )
    if version.model is not None:
        if not _mounted(version.model, version.storage):
            yield from _source(version.model, model_source, (*path, "model"), folder)
    elif version.engine is not EngineKind.SCRIPTED and method is not Method.PROCESS:
        hint = "a catalog id (`inferform models` lists them), a path, s3://, hf:// or modelscope://"
        yield StackFileError(path=dotted((*path, "model")), reason="is missing", nearest=hint)
    for name, adapter in version.adapters.items():
        if not _mounted(adapter, version.storage):
            yield from _source(adapter, model_source, (*path, "adapters", name), folder)
    for index, mount in enumerate(version.storage):
        yield from _source(mount.source, mount_source, (*path, "storage", index, "source"), folder)
        yield from _mount(mount, version.storage[:index], (*path, "storage", index, "mountPath"))
    for index, job in enumerate(version.replicas.cron):
        if job.replicas > version.replicas.max:
            yield StackFileError(
                path=dotted((*path, "replicas", "cron", index, "replicas")),
                value=job.replicas,
                reason=f"is above max {version.replicas.max}",
                nearest=f"the nearest is {version.replicas.max}",
            )
    for name in version.env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            better = re.sub(r"\W", "_", re.sub(r"^\d+", "", name)) or "NAME"
            yield StackFileError(
                path=dotted((*path, "env", name)),
                reason="is no name of an environment variable",
                nearest=f"did you mean {better}?",
            )


def check_traffic(service: Service, path: Location) -> Iterator[StackFileError]:
    """Traffic names declared versions and sums to 100.

    1. Without traffic there is at most one version.
    2. Every key is a declared version.
    3. The percents sum to 100; the hint gives the missing part to the last version named.
    """
    at = (*path, "traffic")
    if not service.traffic:
        if len(service.versions) > 1:
            names = list(service.versions)
            example = ", ".join(f"{name}: {100 if index == 0 else 0}" for index, name in enumerate(names))
            reason = f"is missing: with {len(names)} versions it says the percent of each"
            yield StackFileError(path=dotted(at), reason=reason, nearest=f"for example {{{example}}}")
        return
    for name in service.traffic:
        if name not in service.versions:
            hint = nearest(name, service.versions, always=True)
            yield StackFileError(
                path=dotted((*at, name)),
                value=service.traffic[name],
                reason="is not a version of this service",
                nearest=hint,
            )
    total = sum(service.traffic.values())
    if total != 100:
        last = list(service.traffic)[-1]
        better = service.traffic[last] + 100 - total
        hint = f"{last}: {better} would" if 0 <= better <= 100 else ""
        yield StackFileError(
            path=dotted(at), value=dict(service.traffic), reason=f"must sum to 100, sums to {total}", nearest=hint
        )


def _reference(kind: str, name: str, path: Location, known: Mapping[str, object]) -> Iterator[StackFileError]:
    if name not in known:
        section = "resourceGroups" if kind == "resource group" else "quotas"
        hint = nearest(name, known, always=True) or f"declare it under inferform:{section}"
        yield StackFileError(path=dotted(path), value=name, reason=f"is not a {kind} of this file", nearest=hint)


def _source(text: str, parse: Callable[[str], Source], path: Location, folder: Path) -> Iterator[StackFileError]:
    try:
        source = parse(text)
    except BadSource as bad:
        shown = ABSENT if bad.secret else text
        yield StackFileError(path=dotted(path), value=shown, reason=str(bad), nearest=bad.hint)
        return
    if source.kind == "path":
        yield from _folder(text, path, folder)


def _folder(text: str, path: Location, folder: Path) -> Iterator[StackFileError]:
    """Is there such a folder? If not, the nearest of its would-be siblings."""
    wanted = folder / Path(text).expanduser()
    if wanted.is_dir():
        return
    if wanted.exists():
        yield StackFileError(path=dotted(path), value=text, reason="is a file, a folder is wanted")
        return
    siblings = [each.name for each in wanted.parent.iterdir() if each.is_dir()] if wanted.parent.is_dir() else []
    yield StackFileError(
        path=dotted(path), value=text, reason=f"there is no folder {wanted}", nearest=nearest(wanted.name, siblings)
    )


def _mounted(model: str, storage: tuple[StorageMount, ...]) -> bool:
    """Is the model's path inside a mount? Then it is there only when a replica runs."""
    here = PurePosixPath(model)
    return any(PurePosixPath(mount.mount_path) in (here, *here.parents) for mount in storage)


def _mount(mount: StorageMount, before: tuple[StorageMount, ...], path: Location) -> Iterator[StackFileError]:
    here = PurePosixPath(mount.mount_path)
    if ".." in here.parts or here == PurePosixPath("/"):
        better = "/" + "/".join(part for part in here.parts[1:] if part != "..")
        hint = f"did you mean {better}?" if better != "/" else "for example /mnt/data"
        yield StackFileError(path=dotted(path), value=mount.mount_path, reason="is no folder of its own", nearest=hint)
    inside_system = any(here == PurePosixPath(each) or PurePosixPath(each) in here.parents for each in SYSTEM_FOLDERS)
    if inside_system and here != PurePosixPath("/dev/shm"):
        yield StackFileError(
            path=dotted(path), value=mount.mount_path, reason="is a system folder", nearest=f"did you mean /mnt{here}?"
        )
    for other in before:
        there = PurePosixPath(other.mount_path)
        if here == there or there in here.parents or here in there.parents:
            yield StackFileError(
                path=dotted(path), value=mount.mount_path, reason=f"overlaps the mount {other.mount_path}"
            )
