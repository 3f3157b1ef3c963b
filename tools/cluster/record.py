"""What identifies a cluster that was brought up, kept in its state folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.cluster.layout import Layout
from tools.cluster.process import Process


@dataclass(frozen=True)
class Record:
    """`first` is the first process of the cluster, as seen from outside; absent while it is being made."""

    number: int
    state: str
    bins: str
    pause: str
    first: Process | None = None

    @classmethod
    def read(cls, state: Path) -> Record:
        """Raises FileNotFoundError."""
        document = json.loads((state / "cluster.json").read_text())
        first = document.pop("first")
        return cls(**document, first=Process(**first) if first else None)

    def write(self) -> None:
        """Whole or not at all."""
        path = self.layout().record
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self)))
        fresh.replace(path)

    def layout(self) -> Layout:
        """Where its things lie."""
        return Layout(state=Path(self.state), number=self.number, bins=Path(self.bins), pause=Path(self.pause))

    def alive(self) -> bool:
        """Whether its first process runs."""
        return self.first is not None and self.first.alive()
