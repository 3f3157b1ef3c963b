"""`python -m runtime.replica --spec FILE --nonce X`: one replica, from its first phase to its last answer."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import uvloop
from pydantic import ValidationError

from runtime.contract.replica import ReplicaSpec
from runtime.replica.serve import serve
from runtime.replica.settings import SettingsFile

USAGE_ERROR = 2


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 drained, 1 the start failed, 2 the spec or its settings cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m runtime.replica", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, metavar="FILE", help="the ReplicaSpec, as JSON")
    parser.add_argument("--nonce", required=True, metavar="X", help="lets the host recognise this process; not read")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    log = logging.getLogger("runtime.replica")
    try:
        spec = ReplicaSpec.from_json(chosen.spec.read_bytes())
        settings = SettingsFile(Path(spec.settings_file))
    except OSError as error:
        log.error("cannot start: %s: %s", error.filename, error.strerror)
        return USAGE_ERROR
    except ValidationError as error:
        # The input of a settings file holds tokens: name places, not values.
        places = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'document'}: {p['msg']}" for p in error.errors())
        log.error("cannot start: %s of %s is not valid: %s", error.title, chosen.spec.name, places)
        return USAGE_ERROR
    return uvloop.run(serve(spec, settings))


if __name__ == "__main__":
    sys.exit(main())
