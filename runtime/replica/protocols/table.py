"""Which protocols a method speaks, and on which paths."""

from __future__ import annotations

from aiohttp import web

from runtime.contract.version import EngineKind, Method
from runtime.replica import answers
from runtime.replica.call import UPGRADE, Call, Handler, Routes
from runtime.replica.protocols import bladellm, chatllm, knowledge, openai, passthrough, websocket
from runtime.web.page import build_page


def routes_of(method: Method, engine: EngineKind | None) -> Routes:
    """Path -> method -> handler. ChatLLM is at the root of every method; `/v1` speaks one dialect."""
    routes: dict[str, dict[str, Handler]] = {
        "/": {"POST": chatllm.answer, UPGRADE: websocket.converse},
        **knowledge.routes(),
    }
    if method is Method.VLLM and engine is EngineKind.VLLM:
        return {**routes, **passthrough.routes()}
    if method in (Method.STANDARD, Method.VLLM):
        routes |= {
            "/v1/models": {"GET": openai.models},
            "/v1/chat/completions": {"POST": openai.chat},
            "/v1/completions": {"POST": openai.completions},
            "/health": {"GET": openai.health},
        }
    if method is Method.BLADELLM:
        routes |= bladellm.routes()
    return routes


async def root(call: Call) -> web.StreamResponse:
    """GET on the root of a ready replica: never one of the shapes that mean "wait" (3.1)."""
    if not call.settings.webui:
        return await chatllm.status(call.replica)
    call.protocol = "page"
    replica = call.replica
    page = build_page(
        service=replica.spec.service,
        model=replica.engine.card.name,
        method=replica.spec.template.method.value,
        context=replica.engine.card.context,
        knowledge=True,
        uploads=replica.spec.uploads,
    )
    return web.Response(body=page.body, headers=page.headers)


def unknown_path(method: Method) -> web.Response:
    """404 always has a body here; BladeLLM has its own (3.2)."""
    if method is Method.BLADELLM:
        return web.Response(status=404, text="404: Not Found")
    return answers.not_found()
