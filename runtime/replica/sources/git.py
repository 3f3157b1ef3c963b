"""A repository's files at one commit, by the machine's own git: never a prompt, never for longer than a limit.

Credentials come from git itself (a credential helper, an SSH agent); none stand in a stack file.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Timer

from runtime.contract.tree import files_below
from runtime.replica.sources.reference import Source, SourceError
from runtime.replica.sources.remote import Say
from runtime.replica.sources.store import RECEIPT, fetched_once

SECONDS = 1800.0
_LFS = b"version https://git-lfs.github.com/spec/"
_PROGRESS = re.compile(r"(?:remote: )?([A-Z][a-z]+ [a-z]+): +(\d+)%")
_SETTINGS = ("advice.detachedHead=false", "core.hooksPath=/dev/null", "credential.interactive=false", "gc.auto=0")
_UNATTENDED = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",  # the program: it answers nothing
    "SSH_ASKPASS": "true",
    "GIT_ALLOW_PROTOCOL": "https:ssh:file",
    "GIT_HTTP_LOW_SPEED_LIMIT": "1000",  # bytes per second
    "GIT_HTTP_LOW_SPEED_TIME": "60",
    "LC_ALL": "C",
}


def repository(source: Source, cache: Path, say: Say, *, seconds: float = SECONDS) -> Path:
    """The folder in the cache with the repository's files, cloned first unless it is there. Raises SourceError."""

    facts = {"source": source.place}

    def download(folder: Path) -> None:
        facts["digest"] = clone(source, folder, say, seconds=seconds)

    return fetched_once(cache, f"{source.folder_name}--{source.revision[:12]}", download, facts)


def commit_of(folder: Path, source: Source) -> str:
    """The whole id of the commit that `repository` left in its own folder. `folder`: as `fetch` gives it."""
    whole = folder.parents[source.folder.count("/")] if source.folder else folder
    return str(json.loads((whole / RECEIPT).read_text())["digest"])


def clone(source: Source, folder: Path, say: Say, *, seconds: float = SECONDS) -> str:
    """Put the files of `source` at its commit into `folder`, without `.git`; returns the commit's whole id.

    The commit alone is asked for; a server that gives only branches, or an abbreviated id, needs all of them.
    """
    if shutil.which("git") is None:
        raise SourceError(f"{source.place}: git is not installed on this machine")
    for left in folder.iterdir():  # of an earlier try: git is not asked to make sense of half a clone
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    git = _Git(source, folder, say, seconds)
    git.run("init", "--quiet", "--template=")
    wanted = source.revision
    whole = len(wanted) == 40 and git.tries("fetch", "--progress", "--depth=1", "--", source.place, wanted)
    if not whole:
        every = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        git.run("fetch", "--progress", "--", source.place, *every)
        if not git.tries("rev-parse", "--quiet", "--verify", f"{wanted}^{{commit}}"):
            raise SourceError(f"{source.place} has no commit {wanted} in any branch or tag")
    git.run("checkout", "--progress", "--force", "--detach", "FETCH_HEAD" if whole else wanted)
    commit = git.run("rev-parse", "HEAD").strip()
    shutil.rmtree(folder / ".git")
    for name in files_below(folder):
        if (pointer := folder / name).stat().st_size < 1024 and pointer.read_bytes().startswith(_LFS):
            raise SourceError(f"{source.place}: {name} is kept in Git LFS, and git-lfs is not set up (git lfs install)")
    return commit


class _Git:
    """Commands in one clone, all within one limit of time."""

    def __init__(self, source: Source, folder: Path, say: Say, seconds: float) -> None:
        self._source, self._folder, self._say, self._seconds = source, folder, say, seconds

    def tries(self, *words: str) -> bool:
        """Whether the command succeeds; a command that takes too long is a SourceError all the same."""
        return self._ended(words)[0] == 0

    def run(self, *words: str) -> str:
        """Standard output; SourceError with git's last line when it fails."""
        code, output, lines = self._ended(words)
        if code:
            told = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines or [f"exit code {code}"]
            raise SourceError(f"{self._source.place}: git {words[0]}: {told[-1]}")
        return output

    def _ended(self, words: Sequence[str]) -> tuple[int, str, list[str]]:
        settings = [part for setting in _SETTINGS for part in ("-c", setting)]
        ssh = os.environ.get("GIT_SSH_COMMAND", "ssh") + " -oBatchMode=yes -oConnectTimeout=20"
        # A group of its own, for git starts helpers; in this process's session, so that they end with the replica.
        process = subprocess.Popen(
            ["git", *settings, *words],
            cwd=self._folder,
            env={**os.environ, **_UNATTENDED, "GIT_SSH_COMMAND": ssh, "GIT_DIR": str(self._folder / ".git")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            process_group=0,
        )
        late = Timer(self._seconds, _kill, (process.pid,))
        late.daemon = True
        late.start()
        with process:
            assert process.stderr is not None
            assert process.stdout is not None
            lines = []
            for line in process.stderr:  # universal newlines: git ends its progress with carriage returns
                lines.append(line.strip())
                if found := _PROGRESS.match(lines[-1]):
                    self._say(f"git: {found[1].lower()} {found[2]} %")
            output = process.stdout.read()
            code = process.wait()
        in_time = late.is_alive()
        late.cancel()
        if not in_time and code < 0:
            raise SourceError(f"{self._source.place}: git {words[0]} did not end within {self._seconds:g} s")
        return code, output, [line for line in lines if line]


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
