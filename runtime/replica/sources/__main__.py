"""`python -m runtime.replica.sources inspect SOURCE`: one JSON object on stdout. Exit code 1: an error, on stderr."""

from __future__ import annotations

import json
import sys

from runtime.replica.sources.inspect import inspect
from runtime.replica.sources.reference import SourceError


def main(arguments: list[str]) -> int:
    """Run the command line."""
    if len(arguments) != 2 or arguments[0] != "inspect":
        print("usage: python -m runtime.replica.sources inspect SOURCE", file=sys.stderr)
        return 2
    try:
        facts = inspect(arguments[1])
    except (SourceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
