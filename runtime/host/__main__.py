"""`python -m runtime.host --state DIR --stack ORG/PROJECT/STACK`: the supervisor of one local stack."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from runtime.contract.host import UNKEPT, Problem
from runtime.host.commands import Commands
from runtime.host.daemon import run
from runtime.host.folder import AlreadyRunning, Folder, ForeignState

FOREIGN, RUNNING = 3, 4
"""Exit codes: the state folder is not ours; another host serves it. The last line on stderr is a Problem."""


def main(arguments: list[str], commands: Commands | None = None) -> int:
    """Run the host in the foreground; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m runtime.host",
        description="Supervises the gateway and the replicas of one stack on this machine. SIGTERM ends the host and "
        "leaves them running; POST /v1/shutdown on its socket ends everything.",
        epilog=f"Exit codes: 0 ended as asked, 2 usage, {FOREIGN} the state folder belongs to another machine or "
        f"stack, {RUNNING} another host serves it.",
    )
    parser.add_argument("--state", type=Path, required=True, metavar="DIR", help="the state folder; made when missing")
    parser.add_argument("--stack", required=True, metavar="ORG/PROJECT/STACK", help="the Pulumi stack that owns it")
    parser.add_argument(
        UNKEPT, action="store_true", help="end everything when stdin closes before it has said that the host is kept"
    )
    options = parser.parse_args(arguments)
    os.umask(0o077)
    try:
        asyncio.run(run(Folder(options.state.absolute()), options.stack, commands or Commands(), unkept=options.unkept))
    except ForeignState as error:
        return _refuse("ForeignState", error, FOREIGN)
    except AlreadyRunning as error:
        return _refuse("InUse", error, RUNNING)
    except OSError as error:
        return _refuse("Invalid", error, 1)
    return 0


def _refuse(code: str, error: Exception, exit_code: int) -> int:
    print(Problem(code=code, message=str(error)).to_json(), file=sys.stderr)
    return exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
