"""Starts a replica's process for a slot: its GPUs, its spec, its environment."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from runtime.contract.desired import Version
from runtime.contract.paths import cache_folder
from runtime.contract.replica import Listen, ReplicaSpec
from runtime.host.commands import Commands, replica_environment
from runtime.host.folder import Folder
from runtime.host.gpus import devices, pick
from runtime.host.process import Child, spawn
from runtime.host.settings import write_private
from runtime.host.store import Slot


class NoGpu(RuntimeError):
    """Too few GPUs are free; the text says how many."""


class Launcher:
    """What is the same for every replica of one host."""

    def __init__(self, folder: Folder, commands: Commands) -> None:
        self._folder, self._commands = folder, commands
        self._gpus = devices(os.environ)

    def prepare(self, slot: Slot, version: Version, taken: Collection[str], now: float) -> Slot:
        """The slot as it will be with its new process: nonce, socket, GPUs. Raises NoGpu. No effect yet."""
        asked = version.record.template.gpus
        gpus = pick(self._gpus, taken, asked) if self._gpus else ()
        if gpus is None:
            free = sum(gpu not in taken for gpu in self._gpus)
            raise NoGpu(f"waits for {asked} GPU{'' if asked == 1 else 's'}: {free} of {len(self._gpus)} are free")
        nonce = secrets.token_hex(8)
        socket = str(self._folder.socket(nonce))
        return replace(slot.emptied(), nonce=nonce, socket=socket, gpus=gpus, spawned_at=now, waits="")

    def launch(self, slot: Slot, version: Version, log: Path) -> Child:
        """Start the process of a prepared slot; raises OSError."""
        record, spec_file = version.record, self._folder.spec(slot.replica)
        spec = ReplicaSpec(
            service=record.service,
            replica=slot.replica,
            hash=record.hash,
            template=record.template,
            listen=Listen(socket=slot.socket),
            settings_file=str(self._folder.settings / f"{record.service}.json"),
            data_folder=str(self._folder.data(record.service)),
            cache_folder=str(cache_folder()),
        )
        self._folder.data(record.service).mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(spec_file, spec.to_json())
        return spawn(
            self._commands.replica(spec_file, slot.nonce),
            nonce=slot.nonce,
            environment=self.environment(slot, version),
            log=log,
            folder=self._folder.state,
        )

    def environment(self, slot: Slot, version: Version) -> dict[str, str]:
        """Of the slot's process and of the commands that check it."""
        return replica_environment(os.environ, version.record.template, slot.gpus if self._gpus else None)
