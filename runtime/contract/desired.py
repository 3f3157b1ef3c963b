"""What is wanted of a version and of a token, as it is kept: a row of the local host, a ConfigMap's or Secret's entry.

The rules that change it are in `runtime.contract.wanted`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Self

from runtime.contract.host import TokenRecord, VersionFailure, VersionRecord


@dataclass(frozen=True, kw_only=True)
class Version:
    """What is wanted of one version. Times are Unix seconds."""

    record: VersionRecord
    live: int = 0  # replicas by scale: autoscaled or by hand
    because: str = ""  # why: the last scale's reason
    lease_until: float = 0
    lease_epoch: str = ""  # which run of the plugin took the lease
    temporary: int | None = None  # replaces `live` while the lease lasts
    hold_until: float = 0  # after a lease ended: a stopped route does not count yet, it is about to move
    orphan_since: float | None = None
    swept: bool = False
    deleting: bool = False
    failure: VersionFailure | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.record.service, self.record.hash

    def to_json(self) -> str:
        """As it is kept."""
        failure = None if self.failure is None else self.failure.to_data()
        return json.dumps({**_plain(self), "record": self.record.to_data(), "failure": failure})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote. Raises ValueError and TypeError for anything else."""
        data = json.loads(text)
        failure = None if data["failure"] is None else VersionFailure.model_validate(data["failure"])
        return cls(**{**data, "record": VersionRecord.model_validate(data["record"]), "failure": failure})


@dataclass(frozen=True, kw_only=True)
class Token:
    """A service's token and, for a while, the one before it."""

    record: TokenRecord
    before: str = field(default="", repr=False)
    before_until: float = 0

    def valid(self, now: float) -> tuple[str, ...]:
        """All tokens that open the service now, the newest first."""
        return (self.record.token, self.before) if self.before and now < self.before_until else (self.record.token,)

    def to_json(self) -> str:
        """As it is kept. It holds the token."""
        return json.dumps({**_plain(self), "record": self.record.to_data()})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote. Raises ValueError and TypeError for anything else."""
        data = json.loads(text)
        return cls(**{**data, "record": TokenRecord.model_validate(data["record"])})


def _plain(row: Version | Token) -> dict[str, object]:
    return {entry.name: getattr(row, entry.name) for entry in fields(row)}
