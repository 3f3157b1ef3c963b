"""Errors, impatient clients and a view that never rests: afterwards nothing is left over, and no answer is mixed up."""

from __future__ import annotations

import asyncio
import random

from tests.runtime.gateway.conftest import MakeReplica
from tests.runtime.gateway.harness import Connection, ask, fronting, post, until, view_of

CLIENTS, REQUESTS = 12, 40


async def moody(connection: Connection) -> None:
    """Echoes the body, unless it is in a bad mood."""
    chance = random.Random(f"{connection.replica.name}{connection.replica.connections}")
    while True:
        await connection.head()
        body = await connection.body()
        match chance.randrange(8):
            case 0:
                return
            case 1:
                await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + body)
                return
            case 2:
                await connection.answer(body, status=b"450 Queue Full", headers=b"Connection: close\r\n")
                return
            case 3:
                await connection.answer(body, status=b"500 Internal Server Error")
            case 4:
                await asyncio.sleep(0.005)
                await connection.answer(body)
            case _:
                await connection.answer(body)


async def test_after_errors_churn_and_impatient_clients_nothing_is_left_over(replica: MakeReplica) -> None:
    replicas = [await replica(f"r{number}", moody) for number in range(4)]
    answered = 0
    done = asyncio.Event()
    async with fronting(view_of({"v1": [each.endpoint() for each in replicas]})) as front:

        async def client(number: int) -> None:
            nonlocal answered
            chance = random.Random(number)
            for turn in range(REQUESTS):
                reader, writer = await front.connect()
                body = f"{number}-{turn}".encode()
                try:
                    if chance.randrange(5):
                        answer = await ask(reader, writer, post(body))
                        if b'"code"' not in answer:  # not an error of the gateway's own
                            assert answer.endswith(b"\r\n\r\n" + body)
                            answered += 1
                    else:
                        writer.write(post(body))
                        await asyncio.sleep(chance.random() * 0.004)
                except (asyncio.IncompleteReadError, ConnectionResetError):
                    pass
                writer.close()

        async def churn() -> None:
            chance = random.Random(0)
            revision = 1
            while not done.is_set():
                revision += 1
                rest = [each.endpoint(draining=not chance.randrange(3)) for each in replicas[1:] if chance.randrange(3)]
                front.gateway.apply(view_of({"v1": [replicas[0].endpoint(), *rest]}, revision=revision))
                await asyncio.sleep(0.003)

        churning = asyncio.create_task(churn())
        await asyncio.gather(*(client(number) for number in range(CLIENTS)))
        done.set()
        await churning
        await until(lambda: not front.in_flight())
        report = front.gateway.report()
        assert report is not None
        assert set(report.in_flight.values()) == {0}
    assert answered > CLIENTS * REQUESTS / 3
