"""A replica in thirty lines: answers its status on its socket, and misbehaves as `template.engineArgs` says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


async def main(spec: dict[str, Any]) -> None:
    wishes, since = spec["template"]["engineArgs"], time.time()
    stop, asked = asyncio.Event(), asyncio.Event()
    print("replica speaks", flush=True)
    if code := wishes.get("exit"):
        print("cannot go on", flush=True)
        sys.exit(code)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET /-/check/"):
            code = Path(wishes["check"]).read_bytes()
            if code == b"hang":
                await stop.wait()
            writer.write(b"HTTP/1.1 " + code + b" x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        failed = wishes.get("fails", "")
        phase, ready = ("failed", False) if failed else ("ready", not wishes.get("never_ready"))
        if not ready and not failed:
            phase = "weights"
        names = {key: spec[key] for key in ("service", "replica", "hash")}
        status = {**names, "phase": phase, "since": since, "detail": "engine" if failed else "", "ready": ready}
        body = json.dumps({**status, "error": failed}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()
        asked.set()

    if wishes.get("ignores_sigterm"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    if wishes.get("has_child"):
        await asyncio.create_subprocess_exec("sleep", "1000")
    server = await asyncio.start_unix_server(answer, spec["listen"]["socket"])
    if wishes.get("fails"):
        await asked.wait()
        os._exit(7)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[sys.argv.index("--spec") + 1]).read_text())))
