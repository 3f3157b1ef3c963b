"""`python -m runtime.replica.sources inspect|manifest SOURCE`: one JSON object on stdout, or exit code 1."""

from __future__ import annotations

import json
import sys

from runtime.replica.sources.inspect import inspect, manifest
from runtime.replica.sources.reference import SourceError


def main(arguments: list[str]) -> int:
    """Run the command line."""
    if len(arguments) != 2 or arguments[0] not in ("inspect", "manifest"):
        print("usage: python -m runtime.replica.sources inspect|manifest SOURCE", file=sys.stderr)
        return 2
    try:
        facts = inspect(arguments[1]) if arguments[0] == "inspect" else manifest(arguments[1])
    except (SourceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
