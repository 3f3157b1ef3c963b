"""An imported service as YAML, and added to a stack file without touching the rest of it. Pure."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from infra.cli.edit import SERVICES
from infra.cli.failure import Failure


def as_yaml(data: Mapping[str, Any], indent: int = 0) -> str:
    """Data as block YAML, every line indented."""
    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]  # ruamel types it as None
    yaml.width = 4096
    yaml.dump(dict(data), out)
    return "".join(
        f"{' ' * indent}{line}" if line.strip() else line for line in out.getvalue().splitlines(keepends=True)
    )


def add_service(text: str, name: str, service: Mapping[str, Any]) -> str:
    """The stack file with one more service, written above the first one; raises Failure when it cannot be."""
    document = _parsed(text)
    config = document.get("config") if isinstance(document, Mapping) else None
    services = config.get(SERVICES) if isinstance(config, Mapping) else None
    if isinstance(services, Mapping) and name in services:
        raise Failure(
            f"the stack file has a service {name} already", "nothing was changed; --name gives it another name"
        )
    lines = text.splitlines(keepends=True)
    if not isinstance(services, Mapping) or not services or services.fa.flow_style():  # type: ignore[attr-defined]
        hint = f"paste the output of `inferform import-eas` under {SERVICES}"
        raise Failure(f"the stack file has no block of `{SERVICES}` to add to", hint)
    place: Any = services
    line, column = min(place.lc.key(key) for key in place)
    edited = "".join([*lines[:line], as_yaml({name: service}, indent=column), *lines[line:]])
    place[name] = service
    if _parsed(edited) != document:
        raise Failure("the stack file cannot be edited as it is written", f"paste the service under {SERVICES}")
    return edited


def _parsed(text: str) -> Any:
    try:
        return YAML(typ="rt").load(text)
    except YAMLError as bad:
        raise Failure(f"the stack file is not YAML: {str(bad).splitlines()[0]}") from bad
