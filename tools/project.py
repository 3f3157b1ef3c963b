"""The project folder as Pulumi sees it: a file backend, a Pulumi home and a passphrase inside it, no account."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import venv

ROOT = Path(__file__).resolve().parent.parent
STACK = "local"
PARALLEL = 32
"""Resources that Pulumi works on at once. A Rollout occupies one while its version starts, so this many may start
together; the CLI's own default, four per core, would make them queue."""


@dataclass(frozen=True)
class Project:
    """Where things lie in one checkout."""

    root: Path = ROOT

    @property
    def state(self) -> Path:
        """Backend, Pulumi home and passphrase, together: the state is of no use without the passphrase."""
        return self.root / ".pulumi-state"

    @property
    def passphrase(self) -> Path:
        """The file (0600) that unlocks the stacks' secrets."""
        return self.state / "passphrase"

    @property
    def environment_file(self) -> Path:
        """What a user's shell sources."""
        return self.root / ".inferform" / "env"

    @property
    def stack_file(self) -> Path:
        """What a user edits."""
        return self.root / f"Pulumi.{STACK}.yaml"

    def variables(self) -> dict[str, str]:
        """What every Pulumi command on this project needs; holds no secret."""
        return {
            "PULUMI_BACKEND_URL": f"file://{self.state}",
            "PULUMI_HOME": str(self.state / "home"),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.passphrase),
            "PULUMI_PARALLEL": str(PARALLEL),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    def path(self, tools: Path, base: Mapping[str, str] = os.environ) -> str:
        """PATH with the Pulumi CLI and the virtual environment first."""
        return os.pathsep.join([str(tools), str(venv.python_of(self.root).parent), base.get("PATH", os.defpath)])

    def environment(self, tools: Path, base: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The environment of a Pulumi command that a script runs."""
        kept = {key: value for key, value in base.items() if key not in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_STACK")}
        return {**kept, **self.variables(), "PATH": self.path(tools, base)}

    def prepare(self, tools: Path) -> None:
        """Make what a first run needs: the backend's folder, a passphrase of this project, the file to source."""
        self.state.mkdir(mode=0o700, exist_ok=True)
        if not self.passphrase.exists():
            _write_private(self.passphrase, secrets.token_urlsafe(24) + "\n")
        self.environment_file.parent.mkdir(mode=0o700, exist_ok=True)
        self.environment_file.write_text(shell_lines(tools, self))

    def offer_plugin(self, name: str, version: str, folder: Path) -> None:
        """Put a plugin that was built where Pulumi looks for downloaded ones: found without a word, unlike on PATH."""
        program = f"pulumi-resource-{name}"
        place = self.state / "home" / "plugins" / f"resource-{name}-v{version}"
        place.mkdir(parents=True, exist_ok=True)
        fresh = place / f".{os.getpid()}"
        fresh.symlink_to(folder / program)
        fresh.replace(place / program)


def shell_lines(tools: Path, project: Project) -> str:
    """The file that `source` reads: PATH and Pulumi's variables. Names the passphrase's file, never the passphrase."""
    bins = f"{tools}:{venv.python_of(project.root).parent}"
    lines = [
        "# Made by scripts/setup: puts pulumi and inferform on PATH and selects this project's backend.",
        f'case ":$PATH:" in *":{bins}:"*) ;; *) export PATH={shlex.quote(bins)}":$PATH" ;; esac',
        "unset PULUMI_CONFIG_PASSPHRASE  # it would win over the file",
        *(f"export {key}={shlex.quote(value)}" for key, value in project.variables().items()),
    ]
    return "\n".join(lines) + "\n"


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on; a file that is there stays as it is."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
