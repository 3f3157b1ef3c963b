"""Commands that reach a service: `endpoint`, `token`, `call`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from infra.cli import options
from infra.cli.failure import Failure, host_answers


def endpoint(service: options.OptionalService = None, stack: options.Stack = None) -> None:
    """Print the URL of a service, or of all services.

    [dim]$ inferform endpoint chat[/]
    """
    from infra.cli import client
    from infra.cli.project import find

    here = find(stack)
    with host_answers(here.stack):
        host = client.connect(here)
        known = client.by_service(host.versions())
        if service:
            typer.echo(client.endpoint(host, client.known_service(service, known)))
            return
        for name in known:
            typer.echo(f"{name}\t{client.endpoint(host, name)}")


def token(
    service: options.Service,
    rotate_hint: Annotated[bool, typer.Option("--rotate-hint", help="Say how to get a new token.")] = False,
    stack: options.Stack = None,
) -> None:
    """Print a service's token, and nothing else.

    [dim]$ inferform token chat --rotate-hint[/]
    [dim]$ TOKEN=$(inferform token chat)[/]
    """
    from infra.cli import client
    from infra.cli.project import find

    here = find(stack)
    with host_answers(here.stack):
        host = client.connect(here)
        client.known_service(service, client.by_service(host.versions()))
        record = host.token(service)
    typer.echo(record.token)
    if rotate_hint:
        typer.echo(
            f"To rotate: set `tokenRotation: {record.rotation + 1}` on services.{service} in {here.file.name} "
            f"and run `pulumi up`. The token above then works for {record.overlap_seconds:g} s more "
            "(tokenOverlapSeconds).",
            err=True,
        )


def call(
    service: options.Service,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The prompt; - reads it from standard input.")],
    system: Annotated[str, typer.Option("--system", help="A system prompt.")] = "",
    max_new_tokens: Annotated[
        int | None, typer.Option("--max-new-tokens", min=1, help="At most this many tokens.")
    ] = None,
    temperature: Annotated[float | None, typer.Option("--temperature", min=0, help="0 always says the same.")] = None,
    version: Annotated[str, typer.Option("--version", help="Ask this version, past the traffic map.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON, at its end.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds to wait for each piece of the answer.")
    ] = 600,
    stack: options.Stack = None,
) -> None:
    """Ask a service something; the answer is shown as it comes.

    [dim]$ inferform call chat 'What is the capital of Canada?'[/]
    [dim]$ git diff | inferform call chat - --system 'Write a commit message.'[/]
    """
    import json
    import sys

    from infra.cli import client
    from infra.cli.chatllm import CallFailed, ask
    from infra.cli.project import find
    from infra.hostclient import Absent
    from runtime.contract.names import PREDICT_PREFIX

    here = find(stack)
    with host_answers(here.stack):
        host = client.connect(here)
        client.known_service(service, client.by_service(host.versions()))
        route = host.route(service)
        try:
            secret = host.token(service).token
        except Absent:
            secret = ""
    request: dict[str, object] = {"prompt": sys.stdin.read() if text == "-" else text}
    if system:
        request["system_prompt"] = system
    if max_new_tokens is not None:
        request["max_new_tokens"] = max_new_tokens
    if temperature is not None:
        request |= {"temperature": temperature, "do_sample": temperature > 0}
    cumulative = route.table.wire.stream_mode == "cumulative"
    with host_answers(here.stack), host.way_to_gateway() as way:
        url = f"{way.url}{PREDICT_PREFIX}{service}"
        try:
            for piece in ask(
                url, secret, request, version=version, stream=not as_json, cumulative=cumulative, timeout=timeout
            ):
                if as_json:
                    typer.echo(json.dumps(piece, ensure_ascii=False, indent=2))
                else:
                    typer.echo(str(piece.get("response", "")), nl=False)
        except CallFailed as failed:
            raise Failure(way.problem or str(failed), failed.hint) from failed
    if not as_json:
        typer.echo()


COMMANDS: dict[str, Callable[..., None]] = {"endpoint": endpoint, "token": token, "call": call}
