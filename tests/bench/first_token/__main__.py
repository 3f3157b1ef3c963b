"""`python -m tests.bench.first_token`: goal: ours at most 1.5 times the bare script plus 3 s."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runtime.replica.sources.embedded import embedded_model_folder
from tests.bench.pairs import interleave
from tests.e2e.harness import Project, ask

SERVICE = {"chat": {"model": "SmolLM2-135M-Instruct", "method": "standard"}}


def ours() -> float:
    """Seconds from `pulumi up` in a new project to one token from the new endpoint."""
    with tempfile.TemporaryDirectory(prefix="ife-") as folder, Project(Path(folder)) as project:
        project.write(SERVICE)
        start = time.monotonic()
        project.up()
        assert ask(project.endpoint, "chat", project.token(), max_new_tokens=1).status == 200
        return time.monotonic() - start


def bare() -> float:
    """Seconds of the bare script."""
    start = time.monotonic()
    script = Path(__file__).parent / "bare_script.py"
    subprocess.run([sys.executable, script, embedded_model_folder()], check=True, capture_output=True)
    return time.monotonic() - start


if __name__ == "__main__":
    found = interleave(ours, bare)
    print(found.line("pulumi up to first token", "s"))
    over = [our - 1.5 * their for our, their in zip(found.ours, found.peer, strict=True)]
    print(f"beyond 1.5 times the script: {sorted(over)[len(over) // 2]:+.1f} s (goal: at most +3 s)")
