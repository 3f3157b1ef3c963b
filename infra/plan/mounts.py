"""Storage mounts of a version: what lies at a path inside one, and what a target can honour. Pure but for
digests, for which the caller is asked. Note: docs/designs/local-target.md, `Mounts`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from infra.plan.document import Finding, Level
from infra.plan.lock import Lock
from infra.stackfile import Stack, Version, mount_source
from runtime.contract import mounts as contract
from runtime.contract.version import Mount, VersionTemplate

Digest = Callable[[Path], str]
"""The digest of a folder's content; raises OSError."""


def located(text: str, version: Version) -> str:
    """The source of a model or adapter: what lies at a path inside a mount, or the text itself.

    `/model_dir/a` is `./weights/a`, `s3://bucket/prefix/a` or `git+https://host/repository@commit#a`, by the mount's
    source; inside an empty mount it is `empty://`.
    """
    for mount in version.storage:
        below = contract.inside(text, mount.mount_path)
        if below is None:
            continue
        source = mount_source(mount.source)
        if source.kind == "empty":
            return contract.EMPTY
        if not below:
            return mount.source
        return f"{mount.source}#{below}" if source.kind == "git" else f"{mount.source.rstrip('/')}/{below}"
    return text


def mounts(version: Version, folder: Path) -> tuple[Mount, ...]:
    """The version's mounts as the contract writes them: paths absolute and normal, git with its commit."""
    return tuple(
        Mount(
            mount_path="/" + mount.mount_path.strip("/"),
            source=_absolute(mount.source, folder),
            read_only=mount.read_only and mount_source(mount.source).kind != "empty",
        )
        for mount in version.storage
    )


def pinned(template: VersionTemplate, lock: Lock | None, digest: Digest) -> VersionTemplate:
    """The template with the digests of what its replicas copy, so that changed content is a new version.

    A folder that replicas may write to is itself what it is; its content is no part of the version. A folder that
    cannot be read has no digest: `mount_findings` says why.
    """
    copied = contract.prepared(template)

    def of(mount: Mount) -> str:
        if mount not in copied or not mount.read_only:
            return ""
        if mount.source.startswith("/"):
            try:
                return digest(Path(mount.source))
            except OSError:
                return ""
        if mount.source.startswith("s3://"):
            return lock.mounts.get(mount.source, "") if lock else ""
        return ""  # git: the commit is in the source

    pins = tuple(mount.model_copy(update={"digest": of(mount)}) for mount in template.storage)
    return template.model_copy(update={"storage": pins})


def mount_findings(template: VersionTemplate, path: str, *, target: str) -> Iterator[Finding]:
    """What a target cannot honour, by path. `template`: as `pinned` made it.

    0. A volume claim is a cluster's.

    1. A bucket is copied: what a replica wrote would not go back, so it has to be read-only.
    2. A repository at a commit cannot be written either.
    3. A bucket can change, so it needs an entry of the lock file.
    4. A folder has to be readable.
    What only holds the model or adapters is not copied, and nothing writes there: it needs nothing of this.
    """
    copied = contract.prepared(template)
    for index, mount in enumerate(template.storage):
        at = f"{path}.storage[{index}]"
        if mount.source.startswith(contract.CLAIM) and target == "local":
            text, fix = (
                f"{mount.source} is a volume claim, and this machine has none",
                "a path of this machine, or s3://",
            )
            yield Finding(level=Level.ERROR, rule="mount-claim", path=f"{at}.source", text=text, fix=fix)
        if mount not in copied or mount.source.startswith(contract.EMPTY):
            continue
        if mount.source.startswith(("s3://", "git+")) and not mount.read_only:
            kind = "a bucket is copied for replicas" if mount.source.startswith("s3") else "a commit never changes"
            text = f"readOnly: false cannot be honoured on target {target}: {kind}, and what is written would be lost"
            fix = "readOnly: true, or a second mount with source empty:// for what is written"
            yield Finding(level=Level.ERROR, rule="mount-writable", path=f"{at}.readOnly", text=text, fix=fix)
        elif mount.source.startswith("s3://") and not mount.digest:
            text = f"{mount.source} can change, and inferform.lock has no entry for it"
            yield Finding(
                level=Level.ERROR, rule="lock-missing", path=f"{at}.source", text=text, fix="run `inferform lock`"
            )
        elif mount.source.startswith("/") and mount.read_only and not mount.digest:
            text = f"{mount.source} cannot be read whole, so its content cannot be pinned"
            fix = "make every file in it readable"
            yield Finding(level=Level.ERROR, rule="mount-unreadable", path=f"{at}.source", text=text, fix=fix)


def copied_buckets(stack: Stack) -> Iterator[tuple[str, str]]:
    """(service/version, source) of every bucket that replicas copy whole: the lock file pins them."""
    for service_name, service in sorted(stack.services.items()):
        for name, version in sorted(service.versions.items()):
            for mount in contract.prepared(_rough(service.method, version, stack.folder)):
                if mount.source.startswith("s3://") and mount.read_only:
                    yield f"{service_name}/{name}", mount.source


def _rough(method: object, version: Version, folder: Path) -> VersionTemplate:
    """As much of a template as `prepared` looks at, for a version whose model is not resolved."""
    named = [text for text in (version.model, *version.adapters.values()) if text is not None]
    reference = {"source": "", "digest": ""}
    return VersionTemplate.model_validate(
        {
            "method": method,
            "engine": None,
            "engine_args": dict(version.engine_args),
            "adapters": {str(at): {"name": text, **reference} for at, text in enumerate(named)},
            "storage": mounts(version, folder),
            "env": dict(version.env),
        }
    )


def _absolute(text: str, folder: Path) -> str:
    return str((folder / Path(text).expanduser()).absolute()) if mount_source(text).kind == "path" else text
