"""`inferform init`: questions, and the stack file that the answers make."""

from __future__ import annotations

import difflib
import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import typer
from ruamel.yaml import YAML

from catalog import Catalog, load
from infra.cli.failure import USAGE, Failure
from infra.cli.project import find_project
from infra.stackfile import BadSource, StackFileErrors, load_file, model_source
from infra.stackfile.checks import name_error
from infra.stackfile.not_yet import LOCAL
from infra.stackfile.schema import FILE as SCHEMA
from runtime.contract.version import Method

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is known so far; None is to be asked, or takes its default."""

    service: str = "chat"
    model: str | None = None
    method: str | None = None
    resources: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    port: int = 8070


def run(answers: Answers, *, stack: str, ask: bool) -> None:
    """Ask what is missing, write the stack file, say what comes next. Raises Failure; overwrites nothing."""
    project = find_project(Path.cwd())
    file = project.stack_file(stack)
    if file.exists():
        raise Failure(f"{file} exists, and init overwrites nothing", "edit it, or name another stack with --stack")
    if problem := name_error("service", answers.service, "--service"):
        raise Failure(f"--service {answers.service}: {problem.reason}", problem.nearest, code=USAGE)
    catalog = load()
    complete = answer(answers, catalog, ask=ask)
    schema = SCHEMA if SCHEMA.is_relative_to(project.root) else None
    text = stack_file(complete, schema=os.path.relpath(schema, file.parent) if schema else "")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
        load_file(file)
    except FileExistsError as exists:
        raise Failure(f"{file} exists, and init overwrites nothing") from exists
    except StackFileErrors as wrong:
        file.unlink()
        error = wrong.errors[0]
        raise Failure(f"these answers make no valid stack file: {error}") from wrong
    typer.secho(f"wrote {file}", fg="green")
    typer.echo(
        f"Next: `inferform plan` says what it means, `pulumi up` makes it real "
        f"(once before: `pulumi stack init {stack}`)."
    )


def answer(answers: Answers, catalog: Catalog, *, ask: bool) -> Answers:
    """The answers with nothing missing, each checked as soon as it is known. Raises Failure for a bad option."""
    default = next(name for name, model in catalog.models.items() if model.embedded)

    def settle(given: Value | None, question: str, fallback: Value, check: Callable[[Value], str]) -> Value:
        if given is not None or not ask:
            value = fallback if given is None else given
            if problem := check(value):
                raise Failure(problem, code=USAGE)
            return value
        while True:
            value = typer.prompt(question, default=fallback, type=type(fallback))
            problem = check(value)
            if not problem:
                return value
            typer.secho(problem, fg="yellow", err=True)

    if ask and answers.model is None:
        typer.echo(f"A model is one of the {len(catalog.models)} that `inferform models` lists,")
        typer.echo("or hf://org/name, modelscope://org/name, s3://bucket/prefix, ./folder.")
    model = settle(answers.model, "Model", default, lambda value: model_problem(value, catalog))
    methods = methods_of(model, catalog)
    if ask and answers.method is None:
        others = [each for each in served_by(model, catalog) if each not in methods]
        typer.echo(
            f"Methods that serve it: {', '.join(methods)}"
            + (f"; not on target local yet: {', '.join(others)}" if others else "")
        )
    method = settle(answers.method, "Method", methods[0], lambda value: method_problem(value, model, methods))
    resources = settle(
        answers.resources, "Resources (public, or instance types in order: a,b)", "public", lambda value: ""
    )
    minimum = settle(answers.minimum, "Fewest replicas", 1, lambda value: "" if value >= 0 else "at least 0")
    maximum = settle(
        answers.maximum,
        "Most replicas",
        max(1, minimum),
        lambda value: "" if value >= max(1, minimum) else f"at least {max(1, minimum)}",
    )
    return replace(answers, model=model, method=method, resources=resources, minimum=minimum, maximum=maximum)


def model_problem(model: str, catalog: Catalog) -> str:
    """Why this is no model, or nothing."""
    try:
        source = model_source(model)
    except BadSource as bad:
        return f"{model} {bad}; {bad.hint}"
    if source.kind != "catalog" or model in catalog.models:
        return ""
    near = difflib.get_close_matches(model, list(catalog.models), n=1, cutoff=0.5)
    return f"the catalog has no model {model}" + (
        f"; did you mean {near[0]}?" if near else "; `inferform models` lists them"
    )


def served_by(model: str, catalog: Catalog) -> Sequence[str]:
    """The methods that can serve a model; any that has an engine for one that the catalog does not know."""
    known = catalog.models.get(model)
    return known.methods if known else [method.value for method in Method if method is not Method.PROCESS]


def methods_of(model: str, catalog: Catalog) -> list[str]:
    """Those of them that are available on target local."""
    refused = {value for row in LOCAL if row.path == "services.*.method" for value in row.values}
    if methods := [method for method in served_by(model, catalog) if method not in refused]:
        return methods
    raise Failure(f"no method that serves {model} is available on target local yet", code=USAGE)


def method_problem(method: str, model: str, methods: Sequence[str]) -> str:
    """Why this method cannot be taken, or nothing."""
    return "" if method in methods else f"method {method} cannot serve {model} here; these can: {', '.join(methods)}"


def stack_file(answers: Answers, *, schema: str = "") -> str:
    """The text of the stack file. Pure."""
    kinds = [each.strip() for each in (answers.resources or "public").split(",") if each.strip()]
    resources = "public" if kinds == ["public"] else "{instanceTypes: [" + ", ".join(map(_scalar, kinds)) + "]}"
    top = f"# yaml-language-server: $schema={schema}\n" if schema else ""
    return f"""\
{top}# A stack of Inferform: `inferform plan` says what it means, `pulumi up` makes it real.
# Every key is in docs/stackfile.md.
config:
  inferform:target:
    kind: local
    gateway: {{host: 127.0.0.1, port: {answers.port}}}
  inferform:services:
    {answers.service}:               # answers at http://127.0.0.1:{answers.port}/api/predict/{answers.service}
      model: {_scalar(answers.model or "")}
      method: {answers.method}       # fixes the protocols that clients speak
      resources: {resources}         # public | {{instanceTypes: [...]}} | {{group: NAME}} | {{quota: NAME}}
      replicas: {{min: {answers.minimum}, max: {answers.maximum}}}
      # context: 4096          # tokens of prompt and answer together; the model's, or what fits
      # concurrency: 16        # sequences at once
      # limits: {{qps: 0, concurrency: 0, queue: 64}}
"""


def _scalar(text: str) -> str:
    """Text as a YAML scalar, quoted where it must be."""
    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.width = 4096
    yaml.dump(text, out)
    return out.getvalue().removesuffix("...\n").strip()
