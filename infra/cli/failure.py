"""How a command fails: one message, what to do about it, an exit code; never a traceback."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import NoReturn, ParamSpec, TypeVar

import typer

ERRORS, USAGE, WARNINGS = 1, 2, 3
"""Exit codes: something is wrong; the command was called wrongly; only warnings, under --strict."""

TOLD = ("NotFound", "Forbidden", "Unauthorized")
"""Codes whose message says all."""
DEBUG_ENV = "INFERFORM_DEBUG"

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


_ends: ContextVar[ExitStack | None] = ContextVar("ends", default=None)


class Failure(Exception):
    """What the user is told: what is wrong, and what to do."""

    def __init__(self, message: str, hint: str = "", *, code: int = ERRORS) -> None:
        super().__init__(message)
        self.hint = hint
        self.code = code


def reported(command: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A command whose Failures are printed and become exit codes."""

    @functools.wraps(command)
    def run(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            with ExitStack() as ends:
                _ends.set(ends)
                return command(*args, **kwargs)
        except Failure as failure:
            stop(str(failure), failure.hint, failure.code)
        except BrokenPipeError:
            # `inferform logs chat | head`: the reader has enough. Python must not flush into the closed pipe at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None

    return run


def at_end(work: Callable[[], None]) -> None:
    """Have something done when the command ends, however it ends."""
    if (ends := _ends.get()) is not None:
        ends.callback(work)


def stop(message: str, hint: str = "", code: int = ERRORS) -> NoReturn:
    """Print an error on stderr and leave."""
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
    typer.echo(message, err=True)
    if hint:
        typer.echo(f"  {hint}", err=True)
    raise typer.Exit(code)


@contextmanager
def host_answers(stack: str) -> Iterator[None]:
    """Turn what the host's client raises into what a user can act on."""
    from infra.hostclient import HostGone, HostProblem, HostTimeout, NoWay

    try:
        yield
    except HostTimeout as late:
        raise Failure(str(late), "see `.inferform/<stack>/logs/host.log`; a plain `pulumi up` repairs") from late
    except NoWay as unreached:
        raise Failure(str(unreached), "`kubectl cluster-info` with the same context shows more") from unreached
    except HostGone as gone:
        raise Failure(
            f"nothing runs for stack {stack}: {gone}",
            "run `pulumi up`: it deploys the stack, or starts again what died",
        ) from gone
    except HostProblem as problem:
        raise Failure(problem.message if problem.code in TOLD else f"the host refused: {problem.message}") from problem


def report_bugs() -> None:
    """Show what nobody foresaw as one line, with the traceback on demand."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if os.environ.get(DEBUG_ENV):
            sys.__excepthook__(kind, error, trace)
        else:
            print(
                f"error: this is a bug in inferform: {kind.__name__}: {error}\n  {DEBUG_ENV}=1 shows where",
                file=sys.stderr,
            )

    sys.excepthook = hook
