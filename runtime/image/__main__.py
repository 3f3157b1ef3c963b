"""`python -m runtime.image`: build the image of a method; progress on stderr, a `Built` as JSON on stdout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from runtime.contract.version import Method
from runtime.image.build import Order, build
from runtime.image.console import Progress
from runtime.image.problem import ImageProblem
from runtime.image.recipe import DEFAULT_BASE, Accelerator, recipe

METHODS = tuple(method.value for method in Method if method is not Method.PROCESS)


def parser() -> argparse.ArgumentParser:
    """The options, as `inferform image build` hands them on."""
    options = argparse.ArgumentParser(prog="python -m runtime.image", description=__doc__)
    options.add_argument("--method", choices=METHODS, default=Method.STANDARD.value)
    options.add_argument("--accelerator", choices=[each.value for each in Accelerator])
    options.add_argument("--push", default="", metavar="REGISTRY")
    base = options.add_mutually_exclusive_group()
    base.add_argument("--base", default=DEFAULT_BASE, metavar="IMAGE")
    base.add_argument("--bootstrap", action="store_true")
    options.add_argument("--ca-bundle", type=Path, metavar="FILE")
    options.add_argument("--output", type=Path, metavar="FILE.tar")
    options.add_argument("--fresh", action="store_true", help="today's Debian packages, nothing from earlier builds")
    options.add_argument("--cached", action="store_true", help="keep an --output of the same content")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 built, 1 not, 2 wrong usage."""
    chosen = parser().parse_args(arguments)
    accelerator = Accelerator(chosen.accelerator) if chosen.accelerator else None
    try:
        wanted = recipe(Method(chosen.method), base=chosen.base, accelerator=accelerator)
        order = Order(
            push=chosen.push,
            bootstrap=chosen.bootstrap,
            ca_bundle=chosen.ca_bundle,
            archive=chosen.output.absolute() if chosen.output else None,
            reuse=chosen.cached,
            fresh=chosen.fresh,
        )
        built = build(wanted, order, Progress())
    except ImageProblem as problem:
        print(f"error: {problem}", file=sys.stderr)
        for line in problem.output.splitlines():
            print(f"  | {line}", file=sys.stderr)
        if problem.hint:
            print(f"  {problem.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; layers that were finished are kept", file=sys.stderr)
        return 130
    print(built.to_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
