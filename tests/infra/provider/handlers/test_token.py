"""Token: the first of a rotation wins, the state's token comes back, a removal alone deletes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.provider.handlers.token import TokenHandler, TokenInputs, new_token
from infra.provider.hosts import Hosts
from infra.provider.operation import Operation
from infra.provider.values import UNKNOWN, Secret
from runtime.contract.host import TokenRecord
from tests.infra.provider.fake_host import FakeHost


def inputs(state: Path, rotation: int = 1) -> tuple[dict[str, Any], TokenInputs]:
    values = {"state": str(state), "service": "chat", "rotation": rotation, "overlapSeconds": 600}
    return values, TokenInputs.model_validate(values)


@pytest.fixture
def handler() -> TokenHandler:
    return TokenHandler(Hosts())


def test_tokens_have_the_shape_of_eas_and_differ() -> None:
    assert len(new_token()) == 56
    assert new_token() != new_token()


def test_a_killed_create_keeps_its_token(handler: TokenHandler, host: FakeHost, operation: Operation) -> None:
    _, first = handler.create(*inputs(host.state), operation)
    _, again = handler.create(*inputs(host.state), operation)
    assert first["token"] == again["token"] == Secret(host.tokens["chat"].token)


def test_a_higher_rotation_makes_a_new_token(handler: TokenHandler, host: FakeHost, operation: Operation) -> None:
    id, outputs = handler.create(*inputs(host.state), operation)
    values, args = inputs(host.state, 2)
    rotated = handler.update(id, inputs(host.state)[0], outputs, values, args, operation)
    assert rotated["token"] != outputs["token"]
    assert host.tokens["chat"].rotation == 2


def test_a_reverted_rotation_keeps_the_token(handler: TokenHandler, host: FakeHost, operation: Operation) -> None:
    id, outputs = handler.create(*inputs(host.state, 2), operation)
    values, args = inputs(host.state, 1)
    assert handler.update(id, inputs(host.state, 2)[0], outputs, values, args, operation)["token"] == outputs["token"]


@pytest.mark.parametrize("rotation", [1, 2])
def test_a_host_that_lost_it_gets_the_one_of_the_state(
    handler: TokenHandler, host: FakeHost, operation: Operation, rotation: int
) -> None:
    id, outputs = handler.create(*inputs(host.state), operation)
    host.tokens.clear()
    values, args = inputs(host.state, rotation)
    assert "put back" in handler.drift(id, values, outputs)
    restored = handler.update(id, inputs(host.state)[0], outputs, values, args, operation)
    assert (restored["token"] == outputs["token"]) is (rotation == 1)


def test_a_refresh_keeps_a_token_that_the_host_lost(
    handler: TokenHandler, host: FakeHost, operation: Operation
) -> None:
    id, outputs = handler.create(*inputs(host.state), operation)
    host.tokens.clear()
    found = handler.read(id, inputs(host.state)[0], outputs, operation)
    assert found is not None
    assert found[1] == {**outputs, "present": False}


def test_an_import_finds_token_and_rotation(handler: TokenHandler, host: FakeHost, operation: Operation) -> None:
    host.tokens["chat"] = TokenRecord(token="t", rotation=3)
    found = handler.read(f"{host.state}|chat", {}, {}, operation)
    assert found is not None
    assert (found[0]["rotation"], found[1]["token"]) == (3, Secret("t"))
    assert handler.read(f"{host.state}|nobody", {}, {}, operation) is None


def test_a_preview_knows_whether_the_token_changes(handler: TokenHandler) -> None:
    outputs = {"rotation": 1, "token": Secret("t")}
    assert handler.planned({"rotation": 1}, outputs)["token"] == Secret("t")
    assert handler.planned({"rotation": 2}, outputs)["token"] == Secret(UNKNOWN)
    assert handler.planned({"rotation": 1}, None)["token"] == Secret(UNKNOWN)
