"""Token: the secret that a service's clients send. It outlives everything but its service."""

from __future__ import annotations

import base64
import secrets
from typing import ClassVar

from pydantic import Field

from infra.hostclient import Absent
from infra.place import Place
from infra.provider.diff import Change
from infra.provider.handlers.base import Handler, Values
from infra.provider.identity import Identity
from infra.provider.operation import Operation
from infra.provider.values import UNKNOWN, Secret, plain
from runtime.contract.document import Document
from runtime.contract.host import TokenRecord


class TokenInputs(Document):
    """What is declared."""

    state: str
    service: str
    rotation: int = Field(default=1, ge=1)
    overlap_seconds: float = Field(default=600, ge=0)


def new_token() -> str:
    """160 random bits in the shape of EAS's tokens: base64 over hex digits, 56 characters."""
    return base64.b64encode(secrets.token_hex(20).encode()).decode()


class TokenHandler(Handler[TokenInputs]):
    """A higher rotation makes a new token; a host that lost it gets back the one of the state."""

    name = "Token"
    form = "STATE|SERVICE"
    description = "A service's token. A higher rotation makes a new one; the old one works for overlapSeconds more."
    inputs = TokenInputs
    outputs: ClassVar = {
        "token": {"type": "string", "secret": True, "description": "What clients send in the Authorization header."},
        "present": {"type": "boolean", "description": "Whether it was there when it was last looked at."},
    }
    secrets = frozenset({"token"})
    replace_on = frozenset({"state", "service"})
    observed = "present"
    missing = "it was lost; the token of the state is put back"

    def planned(self, inputs: Values, outputs: Values | None) -> Values:
        """An update keeps the token unless the rotation is higher."""
        planned = {**super().planned(inputs, outputs), "token": Secret(UNKNOWN)}
        if outputs and not _rotates(outputs, inputs):
            planned["token"] = outputs["token"]
        return planned

    def altered(self, host: Place, args: TokenInputs, outputs: Values) -> str:
        """Another token than the state's."""
        return "" if host.token(args.service).token == outputs.get("token") else "the host has another one"

    def seen(self, args: TokenInputs, outputs: Values) -> str:
        """A refresh found no token."""
        return self.missing if outputs.get("present") is False else ""

    def explain(self, changes: list[Change]) -> str:
        """Rotation in words."""
        if any(change.top == "rotation" for change in changes):
            return "a higher rotation makes a new token, the old one works for overlapSeconds more; no replica restarts"
        return ""

    def create(self, inputs: Values, args: TokenInputs, operation: Operation) -> tuple[str, Values]:
        """The first of a rotation wins: after a killed create, the token that was made then."""
        record = TokenRecord(token=new_token(), rotation=args.rotation, overlap_seconds=args.overlap_seconds)
        kept = self.hosts.writer(args.state, operation).put_token(args.service, record)
        return str(self.identity(args)), _outputs(inputs, kept.token)

    def update(
        self, id: str, old: Values, outputs: Values, inputs: Values, args: TokenInputs, operation: Operation
    ) -> Values:
        """Rotate, or give the state's token back to a host that has none."""
        host = self.hosts.writer(args.state, operation)
        mine = str(plain(outputs["token"]))
        try:
            present: TokenRecord | None = host.token(args.service)
        except Absent:
            present = None
        if present is None:
            before = int(old.get("rotation", args.rotation))
            overlap = float(old.get("overlapSeconds", args.overlap_seconds))
            present = host.put_token(args.service, TokenRecord(token=mine, rotation=before, overlap_seconds=overlap))
        if args.rotation > present.rotation:
            record = TokenRecord(token=new_token(), rotation=args.rotation, overlap_seconds=args.overlap_seconds)
            present = host.put_token(args.service, record)
        return _outputs(inputs, present.token)

    def delete(self, id: str, outputs: Values, args: TokenInputs, operation: Operation) -> None:
        """Only the service's removal comes here."""
        if host := self.hosts.remover(args.state, operation):
            host.delete_token(args.service)

    def found(self, where: Identity, host: Place, inputs: Values, outputs: Values) -> tuple[Values, Values] | None:
        """The host's token. One that the host lost stays in the state: the next `up` gives it back."""
        try:
            record = host.token(where.service)
        except Absent:
            if not inputs:
                raise
            return inputs, {**outputs, "present": False}
        if not inputs:
            inputs = {
                "state": where.state,
                "service": where.service,
                "rotation": record.rotation,
                "overlapSeconds": record.overlap_seconds,
            }
        return inputs, _outputs(inputs, record.token)


def _outputs(inputs: Values, token: str) -> Values:
    return {**inputs, "token": Secret(token), "present": True}


def _rotates(outputs: Values, inputs: Values) -> bool:
    before, after = outputs.get("rotation", 1), inputs.get("rotation", 1)
    return not (isinstance(before, int) and isinstance(after, int) and after <= before)
