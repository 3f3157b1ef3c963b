"""Python packages into a virtual environment by uv: seconds where pip takes minutes, and files shared between folders.

uv itself comes by pip, and it is pip's configuration that users have: its indexes, folders of wheels and certificates
are handed on. What uv's own variables say goes first.
"""

from __future__ import annotations

import ast
import math
import os
import subprocess
import sys
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

from tools.console import Heartbeat, StepFailed, run

INDEX = "check that pip reaches a package index (`pip config list`), then run this again: downloads are kept"
FULL_DISK = "free about 10 GB of disk, then run this again"
VENV = "install the venv module of this Python (Debian: apt-get install python3-venv), then run this again"
OPTIONS = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "timeout": "UV_HTTP_TIMEOUT",
}
"""Option of pip to the variable that tells uv the same: variables, for an address may hold a password."""
LISTS = {"UV_INDEX": " ", "UV_FIND_LINKS": ",", "UV_INSECURE_HOST": " "}
"""What separates the words of several."""
PIP_PRECEDENCE = ("global", "install", ":env:")


class Installer:
    """uv, installed beside one interpreter; it fills that environment and others."""

    def __init__(self, python: Path) -> None:
        self._python, self._uv = python, python.parent / "uv"

    @cached_property
    def _configuration(self) -> tuple[dict[str, str], list[str]]:
        return translated(_output(self._python, "-m", "pip", "config", "list").splitlines())

    def prepare(self, version: str) -> None:
        """Install this version of uv unless it is there. Raises StepFailed."""
        if not self._uv.exists() or f" {version} " not in f"{_output(self._uv, '--version')} ":
            command: list[str | Path] = [
                self._python,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--no-input",
                f"uv=={version}",
            ]
            run(command, step="pip install: uv", remedy=INDEX)

    def install(self, what: str, *arguments: str, into: Path | None = None, cwd: Path, remedy: str = INDEX) -> None:
        """`uv pip install` with these arguments into the environment of `into`, or its own. Raises StepFailed."""
        environment, configured = self._configuration
        # Where Python may not keep what it compiles, every start would compile everything that it imports again.
        options = [*configured, *(["--compile-bytecode"] if sys.dont_write_bytecode else [])]
        command: list[str | Path] = [
            self._uv,
            "pip",
            "install",
            "--no-progress",
            "--python",
            into or self._python,
            *options,
            *arguments,
        ]
        progress = Progress(compiles=sys.dont_write_bytecode)
        try:
            with Heartbeat(what) as beat:
                run(
                    command,
                    step=f"uv pip install: {what}",
                    remedy=remedy,
                    cwd=cwd,
                    environment={**environment, **os.environ},
                    on_line=lambda line: beat.tell(progress.after(line)),
                )
        except StepFailed as error:
            if "No space left" in error.output:
                raise StepFailed(error.step, FULL_DISK, error.output) from None
            raise


class Progress:
    """uv's lines in one line: what it is at, and which large files are still on their way."""

    def __init__(self, *, compiles: bool) -> None:
        self._compiles = compiles
        self._awaited: list[str] = []
        self._here = 0
        self._text = "working"

    def after(self, line: str) -> str:
        """What to show once uv has printed this line."""
        word, _, rest = line.strip().partition(" ")
        if word == "Downloading":
            self._awaited.append(rest)
        elif word == "Downloaded":
            self._awaited = [each for each in self._awaited if each.split(" ")[0] != rest]
            self._here += 1
        elif word == "Installed":
            self._text = f"{line.strip()}; compiles them" if self._compiles else line.strip()
        elif word in ("Resolved", "Prepared"):
            self._text = line.strip()
        if word.startswith("Download"):
            waits = f", waits for {self._awaited[-1]}" if self._awaited else ""
            self._text = f"{self._here} of {self._here + len(self._awaited)} large files are here{waits}"
        return self._text


def make_venv(folder: Path, name: str, *options: str) -> None:
    """An empty environment of the Python that runs this. Raises StepFailed."""
    run([sys.executable, "-m", "venv", *options, folder], step=f"creating the virtual environment {name}", remedy=VENV)


def translated(lines: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """What `pip config list` prints, as variables and options of uv. Pure."""
    found: list[tuple[int, str, str]] = []
    for line in lines:
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if section in PIP_PRECEDENCE and value:
            found.append((PIP_PRECEDENCE.index(section), option, str(ast.literal_eval(value)).strip()))
    found.sort()
    settings = {option: value for _, option, value in found}
    variables = {
        OPTIONS[option]: _value(OPTIONS[option], value) for _, option, value in found if option in OPTIONS and value
    }
    if "UV_INDEX" in variables:  # pip takes the best of all indexes, uv of its own accord the first that has any
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables, ["--no-index"] if settings.get("no-index", "").lower() in ("1", "true", "yes", "on") else []


def _value(variable: str, value: str) -> str:
    """As uv wants it: no `~` in paths, whole seconds."""
    if variable in LISTS:
        return LISTS[variable].join(os.path.expanduser(word) for word in value.split())
    if variable == "UV_HTTP_TIMEOUT":
        return str(math.ceil(float(value)))
    return os.path.expanduser(value)


def _output(*command: str | Path) -> str:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False).stdout
