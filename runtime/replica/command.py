"""`python -m runtime.replica --spec FILE --nonce X`: one replica, from its first phase to its last answer.

In a pod: `--replica NAME` is the pod's name, and INFERFORM_TERMINATION_LOG names the file that says why a start failed.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import uvloop
from pydantic import ValidationError

from runtime.contract.phases import Phase
from runtime.contract.replica import ReplicaSpec
from runtime.ending import leave
from runtime.promptness import be_prompt
from runtime.replica.serve import serve
from runtime.replica.settings import BrokenSettings, SettingsFile
from runtime.replica.termination import say_why

USAGE_ERROR = 2


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 drained, 1 the start failed, 2 the spec or its settings cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m runtime.replica", description=__doc__)
    parser.add_argument("--spec", type=Path, required=True, metavar="FILE", help="the ReplicaSpec, as JSON")
    parser.add_argument("--nonce", required=True, metavar="X", help="lets the host recognise this process; not read")
    parser.add_argument("--replica", metavar="NAME", help="in place of the spec's: a pod is named by its cluster")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        spec = ReplicaSpec.from_json(chosen.spec.read_bytes())
        if chosen.replica:
            spec = spec.model_copy(update={"replica": chosen.replica})
        settings = SettingsFile(Path(spec.settings_file))
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}")
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, p['loc'])) or 'document'}: {p['msg']}" for p in error.errors())
        return _refuse(f"{error.title} of {chosen.spec.name} is not valid: {places}")
    except BrokenSettings as error:
        return _refuse(str(error))
    be_prompt()
    return uvloop.run(serve(spec, settings, leave=leave))


def _refuse(why: str) -> int:
    logging.getLogger("runtime.replica").error("cannot start: %s", why)
    say_why(Phase.IMAGE, f"cannot start: {why}")
    return USAGE_ERROR
