"""Which image a version's pods run, by digest: it is in the version's hash. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from infra.plan.document import Finding, Level, ServicePlan
from infra.plan.lock import Lock
from infra.stackfile import LocalTarget, Stack
from runtime.contract.version import Method

PATH = "target.image"


def image_of(stack: Stack, method: Method, lock: Lock | None) -> tuple[str | None, Finding | None]:
    """The image of a method, and what is wrong with it.

    1. Target local has none.
    2. `target.image`, when it is named by digest; a tag that the lock file pins stands for its digest.
    3. Without it the lock file's image of the method, which `inferform image build` wrote there.
    """
    if isinstance(stack.target, LocalTarget):
        return None, None
    pinned = lock.images if lock else {}
    named = stack.target.image
    if named is None:
        if found := pinned.get(method.value):
            return found, None
        text = f"no image is known for method {method.value}: neither target.image nor inferform.lock names one"
        fix = f"run `inferform image build --method {method.value} --push REGISTRY`"
        return None, Finding(level=Level.ERROR, rule="image-missing", path=PATH, text=text, fix=fix)
    if is_pinned(named):
        return named, None
    if found := pinned.get(named):
        return found, None
    named_by = "has no whole digest" if "@" in named else "is a tag, which can change under the same name"
    text = f"{named} {named_by}"
    folder, mark, last = named.partition("@")[0].rpartition("/")
    name = f"{folder}{mark}{last.partition(':')[0]}"
    fix = f"name it by digest, {name}@sha256:..., as `inferform image build` writes it"
    return named, Finding(level=Level.ERROR, rule="image-tag", path=PATH, text=text, fix=fix)


def gateway_image(stack: Stack, lock: Lock | None, services: Sequence[ServicePlan]) -> str | None:
    """The image that the gateway runs: any of ours has it, and `standard` is the smallest."""
    standard, _ = image_of(stack, Method.STANDARD, lock)
    others = (version.template.image for service in services for version in service.versions)
    return standard or next((image for image in others if image), None)


def is_pinned(reference: str) -> bool:
    """Is an image named by digest?"""
    _, mark, digest = reference.rpartition("@sha256:")
    return bool(mark) and len(digest) == 64 and all(each in "0123456789abcdef" for each in digest)
