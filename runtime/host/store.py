"""Desired state and what was started for it, in SQLite: whatever was answered survives the death of this host.

Every method is one small statement or transaction, run inline; a commit is on the disk when the method returns.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

from runtime.contract.desired import Token, Version
from runtime.contract.host import GatewaySettings
from runtime.contract.route import RouteTable
from runtime.host.process import Identity

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS versions (service TEXT, hash TEXT, data TEXT NOT NULL, PRIMARY KEY (service, hash));
CREATE TABLE IF NOT EXISTS slots (replica TEXT PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS routes (service TEXT PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS generations (service TEXT PRIMARY KEY, generation INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (service TEXT PRIMARY KEY, data TEXT NOT NULL);
"""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A place for one replica's process. `nonce` without `pid`: about to be spawned, or the host died in between."""

    replica: str
    service: str
    hash: str
    number: int
    nonce: str = ""
    pid: int = 0
    start: int = 0
    boot: str = ""
    socket: str = ""
    gpus: tuple[str, ...] = ()  # what its process may see
    spawned_at: float = 0
    next_start: float = 0
    empty_since: float = 0  # its last process ended, or it began to wait
    waits: str = ""  # what it waits for, when not for the end of its back-off
    crashes: int = 0  # in a row; sets the back-off
    restarts: int = 0  # ever
    error: str = ""
    checked: bool = False  # its process has passed the checks of its version
    stopping_since: float | None = None
    terminated_at: float | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.service, self.hash

    @property
    def identity(self) -> Identity | None:
        return Identity(self.pid, self.start, self.boot, self.nonce) if self.pid else None

    def emptied(self) -> Slot:
        """The same slot without a process."""
        process = replace(self, nonce="", pid=0, start=0, boot="", socket="", gpus=(), checked=False)
        return replace(process, stopping_since=None, terminated_at=None)


@dataclass(frozen=True, kw_only=True)
class GatewayProcess:
    """The gateway's process and where it listens."""

    settings: GatewaySettings
    code: str = ""  # runtime.contract.code of its process
    nonce: str = ""
    pid: int = 0
    start: int = 0
    boot: str = ""

    @property
    def identity(self) -> Identity | None:
        return Identity(self.pid, self.start, self.boot, self.nonce) if self.pid else None


class Store:
    """The host's database."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        path.chmod(0o600)  # tokens are in it
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(SCHEMA)

    def close(self) -> None:
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside are kept together or not at all."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    # Single values -----------------------------------------------------------------------------------------------
    def get(self, key: str) -> str | None:
        row = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def put(self, key: str, value: str) -> None:
        self._database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @property
    def epoch(self) -> int:
        return int(self.get("epoch") or 0)

    @property
    def gateway(self) -> GatewayProcess | None:
        text = self.get("gateway")
        if text is None:
            return None
        data = json.loads(text)
        return GatewayProcess(**{**data, "settings": GatewaySettings.model_validate(data["settings"])})

    def put_gateway(self, gateway: GatewayProcess) -> None:
        self.put("gateway", json.dumps({**_plain(gateway), "settings": gateway.settings.to_data()}))

    # Versions ----------------------------------------------------------------------------------------------------
    def versions(self) -> list[Version]:
        rows = self._database.execute("SELECT data FROM versions ORDER BY service, hash")
        return [Version.from_json(text) for (text,) in rows]

    def version(self, service: str, digest: str) -> Version | None:
        where = (service, digest)
        row = self._database.execute("SELECT data FROM versions WHERE service = ? AND hash = ?", where).fetchone()
        return None if row is None else Version.from_json(row[0])

    def put_version(self, version: Version) -> None:
        self._database.execute("INSERT OR REPLACE INTO versions VALUES (?, ?, ?)", (*version.key, version.to_json()))

    def delete_version(self, service: str, digest: str) -> None:
        self._database.execute("DELETE FROM versions WHERE service = ? AND hash = ?", (service, digest))

    # Slots -------------------------------------------------------------------------------------------------------
    def slots(self) -> list[Slot]:
        rows = [_slot(text) for (text,) in self._database.execute("SELECT data FROM slots")]
        return sorted(rows, key=lambda slot: (slot.service, slot.hash, slot.number))

    def put_slot(self, slot: Slot) -> None:
        self._database.execute("INSERT OR REPLACE INTO slots VALUES (?, ?)", (slot.replica, json.dumps(_plain(slot))))

    def delete_slot(self, replica: str) -> None:
        self._database.execute("DELETE FROM slots WHERE replica = ?", (replica,))

    # Routes ------------------------------------------------------------------------------------------------------
    def routes(self) -> dict[str, RouteTable]:
        rows = self._database.execute("SELECT service, data FROM routes")
        return {service: RouteTable.from_json(text) for service, text in rows}

    def put_route(self, table: RouteTable) -> RouteTable:
        """Store the table under the service's next generation; generations go on after a delete."""
        with self.transaction():
            where = (table.service,)
            row = self._database.execute("SELECT generation FROM generations WHERE service = ?", where).fetchone()
            stored = table.model_copy(update={"generation": 1 if row is None else row[0] + 1})
            values = (table.service, stored.generation)
            self._database.execute("INSERT OR REPLACE INTO generations VALUES (?, ?)", values)
            self._database.execute("INSERT OR REPLACE INTO routes VALUES (?, ?)", (table.service, stored.to_json()))
        return stored

    def delete_route(self, service: str) -> None:
        self._database.execute("DELETE FROM routes WHERE service = ?", (service,))

    # Tokens ------------------------------------------------------------------------------------------------------
    def tokens(self) -> dict[str, Token]:
        rows = self._database.execute("SELECT service, data FROM tokens")
        return {service: Token.from_json(text) for service, text in rows}

    def put_token(self, service: str, token: Token) -> None:
        self._database.execute("INSERT OR REPLACE INTO tokens VALUES (?, ?)", (service, token.to_json()))

    def delete_token(self, service: str) -> None:
        self._database.execute("DELETE FROM tokens WHERE service = ?", (service,))


def _plain(row: Slot | GatewayProcess) -> dict[str, object]:
    return {entry.name: getattr(row, entry.name) for entry in fields(row)}


def _slot(text: str) -> Slot:
    data = json.loads(text)
    return Slot(**{**data, "gpus": tuple(data.get("gpus", ()))})
