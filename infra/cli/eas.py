"""Commands about EAS's own service descriptions: `import-eas`, `export-eas`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from infra.cli import options
from infra.cli.failure import USAGE, Failure
from infra.cli.observe import Output


def import_eas(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An EAS service.json (or the same as YAML).")],
    name: Annotated[str, typer.Option("--name", help="The service's name, for a file that has none.")] = "",
    write: Annotated[bool, typer.Option("--write", help="Add the service to the stack file.")] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="text, or json for machines.")] = Output.TEXT,
    stack: options.Stack = None,
) -> None:
    """Turn an EAS service.json into a service of a stack file, and say what became of each field.

    The service is printed, the report goes to standard error. Nothing is dropped in silence: what has no meaning here
    is kept under `extra`, secrets are left out. Exit code 1: the file is refused.

    [dim]$ inferform import-eas service.json[/]
    [dim]$ inferform import-eas service.json --write --stack local[/]
    """
    import json

    from infra.cli.easfile import add_service, as_yaml
    from infra.cli.edit import replace_file
    from infra.cli.project import find
    from infra.stackfile import StackFileErrors
    from infra.stackfile.eas import import_service
    from infra.stackfile.legacy import Unreadable, hub_names, read_description

    try:
        imported = import_service(read_description(file), name=name, hub=hub_names())
    except Unreadable as bad:
        raise Failure(str(bad), bad.hint, code=USAGE) from bad
    except StackFileErrors as refused:
        raise Failure(f"{file} is refused:\n" + "\n".join(f"  {error}" for error in refused.errors)) from refused
    if output is Output.JSON:
        report = [{"path": item.path, "outcome": item.outcome.value, "text": item.text} for item in imported.report]
        answer = {"name": imported.name, "service": imported.service, "report": report}
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        for item in imported.report:
            typer.echo(str(item), err=True)
        if not write:
            typer.echo(as_yaml({imported.name: imported.service}), nl=False)
    if write:
        stack_file = find(stack).file
        text = stack_file.read_text(encoding="utf-8")
        replace_file(stack_file, add_service(text, imported.name, imported.service))
        typer.secho(f"{stack_file.name}: services.{imported.name} was added", fg="green", err=True)


def export_eas(
    service: options.Service,
    version: Annotated[str, typer.Option("--version", help="Which version. Default: the one with most traffic.")] = "",
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Write here instead of standard output.")] = None,
    stack: options.Stack = None,
) -> None:
    """Write a service of the stack file as an EAS service.json; what it cannot say goes to standard error.

    [dim]$ inferform export-eas chat > service.json && eascmd create service.json[/]
    """
    import json

    from infra.cli.client import known_service
    from infra.cli.project import find
    from infra.stackfile import StackFileErrors, load_file
    from infra.stackfile.eas import export_service
    from infra.stackfile.legacy import hub_names

    here = find(stack)
    try:
        declared = load_file(here.file, built_only=False).declared
    except StackFileErrors as wrong:
        raise Failure(str(wrong), "`inferform plan` shows the same") from wrong
    known_service(service, declared, state="declared")
    try:
        exported = export_service(service, declared[service], version=version, hub=hub_names())
    except KeyError as missing:
        raise Failure(f"{service} has no version {version}", code=USAGE) from missing
    for item in exported.report:
        typer.echo(str(item), err=True)
    text = json.dumps(exported.document, indent=2, ensure_ascii=False)
    if file is None:
        typer.echo(text)
        return
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text + "\n")
    except FileExistsError as exists:
        raise Failure(f"{file} exists, and is not overwritten", "name another file") from exists


COMMANDS: dict[str, Callable[..., None]] = {"import-eas": import_eas, "export-eas": export_eas}
