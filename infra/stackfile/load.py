"""From a stack's config to a normalised `Stack`, or to all of its errors at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from infra.stackfile.autoscaler import check_autoscaler
from infra.stackfile.base import FileModel
from infra.stackfile.checks import check_quota, check_service, name_error
from infra.stackfile.errors import (
    ABSENT,
    Location,
    StackFileError,
    StackFileErrors,
    dotted,
    nearest,
    translate,
)
from infra.stackfile.legacy import expand
from infra.stackfile.not_yet import not_available
from infra.stackfile.resources import Quota, ResourceGroup
from infra.stackfile.services import MAIN, Service
from infra.stackfile.targets import TARGETS, LocalTarget, Target
from infra.stackfile.validate import Problems, validate
from infra.stackfile.versions import Version

NAMESPACE = "inferform"
SECTIONS = ("target", "offline", "mirrors", "resourceGroups", "quotas", "services")
PROVIDER_KEYS = ("version", "pluginDownloadURL")
"""Keys of the `inferform` namespace that belong to the plugin itself."""
VERSION_KEYS = tuple(field.alias or name for name, field in Version.model_fields.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A stack file, normalised: every service has its versions as a mapping and a percent for each of them."""

    target: Target
    offline: bool
    mirrors: tuple[str, ...]
    resource_groups: Mapping[str, ResourceGroup]
    quotas: Mapping[str, Quota]
    services: Mapping[str, Service]
    declared: Mapping[str, Mapping[str, Any]]
    """What the user wrote under each service, as plain data: components show it in the diff."""
    folder: Path
    """Paths in the file are relative to it."""
    warnings: tuple[StackFileError, ...] = ()
    """What may surprise and stops nothing: what an EAS service.json says that has no meaning here."""
    not_built: tuple[StackFileError, ...] = ()
    """What can be planned and not yet be realised (empty unless loaded with `built_only` false)."""

    def path(self, text: str) -> Path:
        """A path of the file, absolute."""
        return (self.folder / Path(text).expanduser()).absolute()


def load(config: Mapping[str, object], *, folder: Path, built_only: bool = True) -> Stack:
    """Read a stack's config: keys as `services` or `inferform:services`, values as data or as JSON text.

    Keys of other namespaces (`pulumi:tags`, `aws:region`) are not ours and are passed over. Raises StackFileErrors with
    every problem of the file. `built_only` false lets through what no target can realise yet: it can still be planned.
    """
    errors = Problems()
    raw = _sections(config, errors)
    warnings: list[StackFileError] = []
    written = _mapping(raw.get("services"), ("services",), errors)
    declared = {name: expand(value, ("services", name), folder, errors, warnings) for name, value in written.items()}
    services = {name: _versioned(_plain(value), ("services", name), errors) for name, value in declared.items()}
    raw = {**raw, "services": services}

    target = _target(raw.get("target"), errors)
    offline = _scalar("offline", raw.get("offline", False), bool, errors)
    mirrors = _scalar("mirrors", raw.get("mirrors", []), tuple[str, ...], errors)

    groups: dict[str, ResourceGroup] = {}
    raw_groups = _mapping(raw.get("resourceGroups"), ("resourceGroups",), errors)
    for name, value in raw_groups.items():
        _named("resource group", name, ("resourceGroups", name), errors)
        if (group := validate(ResourceGroup, value, ("resourceGroups", name), errors)[0]) is not None:
            groups[name] = group

    quotas: dict[str, Quota] = {}
    raw_quotas = _mapping(raw.get("quotas"), ("quotas",), errors)
    for name, value in raw_quotas.items():
        _named("quota", name, ("quotas", name), errors)
        quota, rough = validate(Quota, value, ("quotas", name), errors)
        if rough is not None:
            errors.checked(check_quota(rough, ("quotas", name), raw_groups))
        if quota is not None:
            quotas[name] = quota

    parsed: dict[str, Service] = {}
    for name, value in services.items():
        at = ("services", name)
        _named("service", name, at, errors)
        for version in _names(value, "versions"):
            _named("version", version, (*at, "versions", version), errors)
        service, rough_service = validate(Service, value, at, errors)
        if rough_service is not None:
            errors.checked(check_service(rough_service, at, groups=raw_groups, quotas=raw_quotas, folder=folder))
            errors.checked(check_autoscaler(rough_service, at))
        if service is not None:
            parsed[name] = service.model_copy(update={"traffic": _traffic(service)})
    not_built = not_available(raw)
    if built_only:
        errors.checked(not_built)

    if errors.errors:
        shorthand = _shorthand(declared)
        raise StackFileErrors([_as_written(error, shorthand) for error in errors.errors])
    return Stack(
        target=target or LocalTarget(),
        offline=bool(offline),
        mirrors=tuple(mirrors or ()),
        resource_groups=groups,
        quotas=quotas,
        services=parsed,
        declared={name: _plain(value) or {} for name, value in declared.items()},
        folder=folder,
        warnings=tuple(warnings),
        not_built=tuple(_as_written(error, _shorthand(declared)) for error in not_built),
    )


def _sections(config: Mapping[str, object], errors: Problems) -> dict[str, Any]:
    """The sections of our namespace, JSON text parsed, unknown ones reported."""
    sections: dict[str, Any] = {}
    for key, value in config.items():
        namespace, mark, name = str(key).rpartition(":")
        if (mark and namespace != NAMESPACE) or name in PROVIDER_KEYS:
            continue
        if name not in SECTIONS:
            known = SECTIONS if not mark else tuple(f"{NAMESPACE}:{section}" for section in SECTIONS)
            errors.report(
                StackFileError(
                    path=str(key), reason="is not a key of a stack file", nearest=nearest(key, known, always=True)
                )
            )
            continue
        if isinstance(value, str) and value not in TARGETS:
            try:
                value = json.loads(value)
            except json.JSONDecodeError as bad:
                errors.broken(StackFileError(path=name, value=value, reason=f"is text that is not JSON ({bad.msg})"))
                continue
        if isinstance(value, Mapping) and set(value) == {"secure"}:
            errors.broken(
                StackFileError(path=name, reason="is encrypted; only secrets are", nearest="set it without --secret")
            )
            continue
        sections[name] = _plain(value)
    return sections


def _plain(value: Any) -> Any:
    """Data that JSON can say: keys and dates as text, 1.0 as 1. Pulumi hands on just that, and hashes must agree."""
    if type(value) is str or value is None:  # most of a file
        return value
    if isinstance(value, Mapping):
        return {
            str(key) if not isinstance(key, bool) else str(key).lower(): _plain(each) for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str | bool | int | float):
        return value
    return str(value)


def _mapping(value: Any, path: Location, errors: Problems) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    errors.broken(
        StackFileError(path=dotted(path), value=value, reason="must be a mapping of names to what they declare")
    )
    return {}


def _versioned(value: Any, path: Location, errors: Problems) -> Any:
    """The shorthand made long: a version's keys that stand on the service move to `versions.main`."""
    if value is None:
        value = {}
    if not isinstance(value, dict):
        return value
    own = {key: each for key, each in value.items() if key in VERSION_KEYS}
    rest = {key: each for key, each in value.items() if key not in VERSION_KEYS}
    if "versions" not in value:
        return {**rest, "versions": {MAIN: own}}
    named = _names(value, "versions")
    for key in own:
        hint = f"move it to {dotted((*path, 'versions', named[0] if named else 'NAME', key))}"
        reason = "belongs to a version, and this service names its versions"
        errors.broken(StackFileError(path=dotted((*path, key)), value=own[key], reason=reason, nearest=hint))
    if isinstance(value["versions"], dict):
        rest["versions"] = {name: {} if each is None else each for name, each in value["versions"].items()}
    return rest


def _mapping_or_empty(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _names(value: Any, key: str) -> list[str]:
    return list(_mapping_or_empty(_mapping_or_empty(value).get(key)))


def _traffic(service: Service) -> dict[str, int]:
    if not service.traffic:
        return dict.fromkeys(service.versions, 100)
    return {name: service.traffic.get(name, 0) for name in service.versions}


def _target(value: Any, errors: Problems) -> Target | None:
    if value is None:
        return LocalTarget()
    if not isinstance(value, dict):
        hint = (
            f"did you mean {{kind: {value}}}?"
            if isinstance(value, str) and value in TARGETS
            else "for example {kind: local}"
        )
        errors.broken(
            StackFileError(path="target", value=value, reason="must be a mapping of keys to values", nearest=hint)
        )
        return None
    kind = value.get("kind", ABSENT)
    if not isinstance(kind, str) or kind not in TARGETS:
        reason = "is missing" if kind is ABSENT else f"must be one of {', '.join(TARGETS)}"
        hint = nearest(kind, TARGETS, always=kind is ABSENT)
        errors.broken(StackFileError(path="target.kind", value=kind, reason=reason, nearest=hint))
        return None
    found = Problems()
    target = validate(TARGETS[kind], value, ("target",), found)[0]
    for error in found.errors:
        key = error.path.rpartition(".")[2]
        owners = [other for other, model in TARGETS.items() if other != kind and key in _aliases(model)]
        if error.reason == "is not a key here" and owners:
            error = replace(error, reason=f"is not a key of target {kind}, it is one of {' and '.join(owners)}")
        errors.broken(error)
    return target


def _aliases(model: type[FileModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _scalar(name: Literal["offline", "mirrors"], value: Any, kind: Any, errors: Problems) -> Any:
    try:
        return TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError as invalid:
        errors.broken(*(translate(each, data=value, model=kind, prefix=(name,)) for each in invalid.errors()))
        return None


def _named(kind: str, name: str, path: Location, errors: Problems) -> None:
    if problem := name_error(kind, name, dotted(path)):
        errors.report(problem)


def _shorthand(declared: Mapping[str, Any]) -> set[str]:
    return {name for name, value in declared.items() if "versions" not in _mapping_or_empty(value)}


def _as_written(error: StackFileError, shorthand: set[str]) -> StackFileError:
    """Paths as the user wrote them: without `versions.main` where the shorthand was used."""
    for name in shorthand:
        prefix = f"services.{name}.versions"
        if error.path == prefix:
            return replace(error, path=f"services.{name}")
        if error.path.startswith(f"{prefix}.{MAIN}"):
            rest = error.path.removeprefix(f"{prefix}.{MAIN}")
            return replace(error, path=f"services.{name}{rest}")
    return error
