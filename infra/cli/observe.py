"""Commands that show what runs: `status`, `logs`."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from infra.cli import options
from infra.cli.failure import USAGE, Failure, host_answers


class Output(StrEnum):
    """How an answer is printed."""

    TEXT = "text"
    JSON = "json"


def status(
    service: options.OptionalService = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="text, or json for machines.")] = Output.TEXT,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on showing it, once a second; Ctrl-C ends.")] = False,
    stack: options.Stack = None,
) -> None:
    """Show versions, replicas, phases, traffic and drift, as the host sees them now.

    [dim]$ inferform status[/]
    [dim]$ inferform status chat --watch[/]
    [dim]$ inferform status chat --output json | jq '.services.chat.versions[].ready'[/]
    """
    import json
    import time

    from infra.cli import client
    from infra.cli.project import find
    from infra.cli.status import Status, as_data, as_text, gather
    from infra.cli.watch import follow

    here = find(stack)

    def look() -> Status:
        with host_answers(here.stack):
            found = gather(client.connect(here))
        if service:
            client.known_service(service, found.services)
            found = found.only(service)
        return found

    if watch:
        if output is Output.JSON:
            raise Failure("--watch shows text, not JSON", "poll `inferform status -o json` instead", code=USAGE)
        follow(look)
        return
    found = look()
    if output is Output.JSON:
        typer.echo(json.dumps(as_data(found, stack=here.stack), indent=2, ensure_ascii=False))
    else:
        typer.echo(as_text(found, now=time.time()), nl=False)


def logs(
    service: options.Service,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new lines as they come; Ctrl-C ends.")
    ] = False,
    version: Annotated[str, typer.Option("--version", help="One version, by name or hash. Default: all.")] = "",
    replica: Annotated[
        str, typer.Option("--replica", help="One replica, by the name that `inferform status` shows.")
    ] = "",
    tail: Annotated[int, typer.Option("--tail", "-n", min=0, help="So many of the last lines of each replica.")] = 200,
    stack: options.Stack = None,
) -> None:
    """Show the logs of a service's replicas.

    [dim]$ inferform logs chat -f[/]
    [dim]$ inferform logs chat --version v2 --tail 50[/]
    """
    from infra.cli import client
    from infra.cli.logs import chosen, follow_all
    from infra.cli.project import find

    here = find(stack)
    with host_answers(here.stack):
        host = client.connect(here)
        services = client.by_service(host.versions())
        known = services[client.known_service(service, services)]
        versions = chosen(known, version=version, replica=replica)
        if not versions:
            names = ", ".join(f"{each.record.name} ({each.record.hash})" for each in known)
            raise Failure(f"{service} has no version {version or 'of replica ' + replica}", f"there are: {names}")
        if follow:
            for line in follow_all(host, versions, replica=replica, tail=tail):
                typer.echo(line)
            return
        for each in versions:
            if len(versions) > 1:
                typer.secho(f"# version {each.record.name} ({each.record.hash})", dim=True)
            typer.echo(host.logs(service, each.record.hash, replica=replica, tail=tail), nl=False)


def measured(
    now: Annotated[
        bool, typer.Option("--now", help="First take in the memory that the replicas which run here took so far.")
    ] = False,
    output: Annotated[Output, typer.Option("--output", "-o", help="text, or json for machines.")] = Output.TEXT,
    stack: options.Stack = None,
) -> None:
    """Show what was measured on this machine: the starts of versions, and the most memory of a replica.

    `pulumi up` records both for each version that it starts; `inferform plan` shows them beside its estimates.
    Memory grows under load: `--now` asks again.

    [dim]$ inferform measured[/]
    [dim]$ inferform measured --now[/]
    """
    import json

    from infra.cli import client
    from infra.cli.measured import table, take_in
    from infra.cli.project import find
    from infra.measured import read_measured

    if now:
        here = find(stack)
        with host_answers(here.stack):
            take_in(client.connect(here), read_measured())
    records = read_measured()
    if output is Output.JSON:
        typer.echo(json.dumps([each.to_data() for each in records.values()], indent=2, ensure_ascii=False))
    else:
        typer.echo(table(records.values()), nl=False)


COMMANDS: dict[str, Callable[..., None]] = {"status": status, "logs": logs, "measured": measured}
