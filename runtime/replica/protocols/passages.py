"""Grounds a ChatLLM request on the service's knowledge base when it asks for it (eas-protocols.md section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from runtime.knowledge.base import context_of
from runtime.knowledge.embedding import EmbeddingMissing
from runtime.replica.engines.base import Encoded, NotSupported, PromptTooLong
from runtime.replica.protocols.chatllm_request import ChatRequest, prompt_of
from runtime.replica.replica import Replica


@dataclass(frozen=True, slots=True)
class Grounded:
    """A prompt for the engine, and the sources to name in the reply (None: the request did not ask for any)."""

    encoded: Encoded
    sources: list[dict[str, Any]] | None = None


async def encode(replica: Replica, request: ChatRequest) -> Grounded:
    """Template and tokenize, with the nearest passages when asked; raises PromptTooLong.

    Passages that do not fit into the context are left out, the farthest first: the question itself always counts.
    """
    engine = replica.engine
    if not request.langchain:
        return Grounded(await engine.encode(prompt_of(request)))
    try:
        await replica.follow_documents()
        hits = await replica.knowledge.search(request.prompt)
    except EmbeddingMissing as problem:
        raise NotSupported(str(problem)) from None
    while True:
        try:
            encoded = await engine.encode(prompt_of(request, context=context_of(hits)))
        except PromptTooLong:
            if not hits:
                raise
            hits = hits[:-1]
            continue
        sources = [{"document": hit.document, "passage": hit.passage, "score": hit.score} for hit in hits]
        return Grounded(encoded, sources)
