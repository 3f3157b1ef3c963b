"""A program that answers like buildah, podman or docker, for tests of what is made of its answers."""

from __future__ import annotations

from pathlib import Path

DIGEST = "sha256:" + "ab" * 32
SCRIPT = """#!/bin/sh
echo "$0 $*" >> "{log}"
case "$1 $2" in
  "info "*) {info} ;;
  "inspect "*)
    case "$*" in *inferform-parts*) [ -z "{no_parts}" ] || exit 1 ;; esac
    echo {digest} ;;
  "image inspect") echo 2000000000 ;;
  "build "*)
    eval context=\\${{$#}}
    rm -rf "{folder}/context"; cp -r "$context" "{folder}/context"
    echo "STEP 1/2: FROM base"; echo "resolving"; {build} ;;
  "push --digestfile")
    if [ -n "{refused}" ]; then echo "Getting image source"; echo "{refused}"; exit 125; fi
    printf %s {digest} > "$3" ;;
  "push --compression-format")
    place="${{5#oci:}}"; place="${{place%%:localhost/*}}"
    case "$4" in *inferform-parts*) kind=parts ;; *) kind=top ;; esac
    cp -r "{folder}/$kind-layout" "$place" ;;
  *) exit 1 ;;
esac
"""


def fake_engine(
    folder: Path,
    name: str = "buildah",
    *,
    info: str = "true",
    build: str = "true",
    refused: str = "",
    no_parts: bool = False,
) -> Path:
    """Write the program `name` into `folder`; returns the log of its calls. The last context it got is kept beside.

    It exports what a test has put into `parts-layout` and `top-layout` there.
    """
    log = folder / "calls"
    facts = {"folder": folder, "info": info, "build": build, "refused": refused, "no_parts": no_parts or ""}
    script = SCRIPT.format(log=log, digest=DIGEST, **facts)
    (folder / name).write_text(script)
    (folder / name).chmod(0o755)
    return log
