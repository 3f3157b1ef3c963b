"""`python -m tests.bench.noop_up [SERVICES]`: a no-op `pulumi up` beside a bare plugin's. Goal: ratio at most 1.3."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.bench.pairs import interleave
from tests.e2e.harness import Project, scripted

HERE = Path(__file__).parent
UP = ("up", "--yes", "--skip-preview", "--non-interactive", "--stack", "test")


def bare_project(folder: Path, environment: dict[str, str], resources: int) -> dict[str, str]:
    """A project beside ours with the bare plugin and `resources` resources; returns its environment."""
    tools = folder / "bin"
    tools.mkdir(parents=True)
    plugin = tools / "pulumi-resource-bare"
    plugin.write_text(f"#!{sys.executable}\n{(HERE / 'bare_plugin.py').read_text()}")
    plugin.chmod(0o755)
    settings = {
        "name": "bare",
        "main": os.path.relpath(HERE / "program", folder),
        "runtime": {
            "name": "python",
            "options": {"toolchain": "pip", "virtualenv": os.path.relpath(sys.prefix, folder)},
        },
        "plugins": {"providers": [{"name": "bare", "path": str(tools)}]},
    }
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(settings))
    return {**environment, "BARE_RESOURCES": str(resources)}


def timed(folder: Path, environment: dict[str, str]) -> float:
    """Seconds of one `pulumi up` that must succeed."""
    start = time.monotonic()
    subprocess.run(["pulumi", *UP], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def main(services: int) -> None:
    """Deploy both, then measure five interleaved pairs of no-op updates."""
    with tempfile.TemporaryDirectory(prefix="ife-") as scratch, Project(Path(scratch) / "ours") as ours:
        ours.write({f"chat_{n}": scripted(stopped=True) for n in range(services)})
        ours.up()
        state = json.loads(ours.pulumi("stack", "export", "--stack", "test").output)
        resources = len(state["deployment"]["resources"]) - 2  # the stack itself and the default provider
        folder = Path(scratch) / "bare"
        environment = bare_project(folder, ours.environment, resources)
        init = ["pulumi", "stack", "init", "test", "--secrets-provider=passphrase", "--non-interactive"]
        subprocess.run(init, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
        timed(folder, environment)
        ratio = interleave(lambda: timed(ours.folder, ours.environment), lambda: timed(folder, environment))
        print(ratio.line(f"no-op up, {services} services, {resources} resources", "s"))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
