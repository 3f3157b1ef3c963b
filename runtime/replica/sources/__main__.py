"""`python -m runtime.replica.sources inspect|manifest SOURCE`: one JSON object on stdout.

`fetch SOURCE DIGEST CACHE [--pickle] [--code]` puts a model into a cache folder, where replicas look for it. Exit code
1: it could not be done; 2: usage.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from runtime.contract.version import Trust
from runtime.replica.sources.fetch import fetch_source
from runtime.replica.sources.inspect import inspect, manifest
from runtime.replica.sources.reference import SourceError, parse_source

TRUSTED = {"--pickle", "--code"}


def main(arguments: list[str]) -> int:
    """Run the command line."""
    try:
        match arguments:
            case ["inspect", source]:
                print(json.dumps(inspect(source)))
            case ["manifest", source]:
                print(json.dumps(manifest(source)))
            case ["fetch", source, digest, cache, *trusted] if set(trusted) <= TRUSTED:
                trust = Trust(pickle="--pickle" in trusted, remote_code="--code" in trusted)
                print(fetch_source(parse_source(source), digest, Path(cache), _say, trust))
            case _:
                usage = "inspect|manifest SOURCE, or fetch SOURCE DIGEST CACHE [--pickle] [--code]"
                print(f"usage: python -m runtime.replica.sources {usage}", file=sys.stderr)
                return 2
    except (SourceError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _say(detail: str) -> None:
    print(f"  {detail}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
