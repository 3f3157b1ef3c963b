"""What only the build may know, handed to it as secrets that leave no trace: pip's index, the certificates."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from runtime.image.problem import ImageProblem

KEPT = ("index-url", "extra-index-url", "trusted-host", "proxy", "default-timeout", "timeout", "retries")
"""Of pip's configuration: how an index is reached. Paths of this machine mean nothing in the build."""
SECTIONS = ("global", "install", ":env:")
"""Of pip's configuration, the strongest last."""
LINE = re.compile(r"^(:env:|[a-z]+)\.([a-z-]+)='(.*)'$", re.MULTILINE)
MARK = "-----BEGIN CERTIFICATE-----"


def write_secrets(folder: Path, ca_bundle: Path | None) -> dict[str, Path]:
    """Files `pip` and `ca` in `folder`, private to the user; empty ones where nothing is configured.

    Without `ca_bundle` it is the bundle that pip is configured with. Raises ImageProblem for one that cannot be read
    or holds no certificate.
    """
    settings = pip_settings()
    named = ca_bundle or (Path(found) if (found := settings.get("cert")) else None)
    contents = {
        "pip": "[global]\n" + "".join(f"{key} = {settings[key]}\n" for key in KEPT if key in settings),
        "ca": certificates(named, "--ca-bundle" if ca_bundle else "pip's setting `cert`") if named else "",
    }
    files = {}
    for name, content in contents.items():
        files[name] = folder / name
        files[name].touch(mode=0o600)
        files[name].write_text(content)
    return files


def certificates(file: Path, source: str) -> str:
    """The text of a bundle; `source` names the option in the error."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as bad:
        reason = bad.strerror if isinstance(bad, OSError) else "it is not text; convert it to PEM"
        raise ImageProblem(f"{source}: {file} cannot be read: {reason}", "name a file of PEM certificates") from bad
    if MARK not in text:
        raise ImageProblem(f"{source}: {file} holds no PEM certificate", f"each one begins with {MARK}")
    return text


def pip_settings() -> dict[str, str]:
    """pip's configuration, from its files and its environment."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PIP_NO_COLOR": "1"})
    return parse(done.stdout if done.returncode == 0 else "")


def parse(listing: str) -> dict[str, str]:
    """Key to value of `pip config list`: `global.index-url='...'`. What the environment says (`:env:.`) wins. Pure."""
    found = {(section, key): value for section, key, value in LINE.findall(listing)}
    keys = sorted({key for _, key in found})
    values = {key: [found[section, key] for section in SECTIONS if (section, key) in found] for key in keys}
    return {key: each[-1].replace("\\n", "\n    ") for key, each in values.items() if each}
