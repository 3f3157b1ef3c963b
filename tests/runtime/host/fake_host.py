"""The real host with fake replicas and a fake gateway."""

from __future__ import annotations

import sys
from pathlib import Path

from runtime.host.__main__ import main
from runtime.host.commands import Commands

HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def replica(spec: Path, nonce: str) -> list[str]:
    return [sys.executable, "-S", "-E", str(HERE / "fake_replica.py"), "--spec", str(spec), "--nonce", nonce]


def gateway(socket: Path, descriptor: int, nonce: str) -> list[str]:
    given = ["--host-socket", str(socket), "--fd", str(descriptor), "--nonce", nonce]
    return [sys.executable, str(HERE / "fake_gateway.py"), *given]


COMMANDS = Commands(replica=replica, gateway=gateway)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], COMMANDS))
