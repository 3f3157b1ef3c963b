"""What a ChatLLM answer is grounded on: passages of the service's knowledge base (eas-protocols.md section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtime.replica.protocols.chatllm_request import ChatRequest
from runtime.replica.replica import Replica


@dataclass(frozen=True, slots=True)
class Grounding:
    """Text put before the question, and the sources to name in the reply (None: the request did not ask)."""

    context: str = ""
    sources: list[dict[str, Any]] | None = None


NOTHING = Grounding()


async def ground(replica: Replica, request: ChatRequest) -> Grounding:
    """The passages for a request with `langchain: true`; without documents the plain model answers."""
    if not request.langchain:
        return NOTHING
    return Grounding(sources=[])
