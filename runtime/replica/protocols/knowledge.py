"""The documents of a service over HTTP: eas-protocols.md section 6 (upload, list, remove)."""

from __future__ import annotations

from urllib.parse import unquote

from aiohttp import web

from runtime.knowledge.base import Declared
from runtime.knowledge.embedding import EmbeddingMissing
from runtime.knowledge.errors import DocumentError
from runtime.replica import answers
from runtime.replica.call import Call, Handler
from runtime.replica.protocols.multipart import file_field

NO_UPLOADS = (
    "documents cannot be uploaded here: the replicas of this service share no volume, so one replica's documents would "
    "be unknown to the others; declare them with knowledge.documents in the stack file"
)


def routes() -> dict[str, dict[str, Handler]]:
    """Our own paths: no public upload endpoint of EAS's ChatLLM is known."""
    return {"/uploadfile": {"POST": upload}, "/documents": {"GET": documents}, "/documents/*": {"DELETE": remove}}


async def upload(call: Call) -> web.StreamResponse:
    """POST /uploadfile: multipart, field `file`. Answered when the document is indexed and kept."""
    call.protocol = "knowledge"
    if not call.replica.spec.uploads:
        return answers.error(501, "NotImplemented", NO_UPLOADS)
    try:
        name, data = file_field(call.body, call.content_type, "file")
        await call.replica.knowledge.upload(name, data)
    except (answers.BadRequest, DocumentError) as problem:
        return answers.bad_request(str(problem))
    except EmbeddingMissing as problem:
        return answers.error(501, "NotImplemented", str(problem))
    return answers.json_answer({"response": "success"})


async def documents(call: Call) -> web.StreamResponse:
    """GET /documents: both collections."""
    call.protocol = "knowledge"
    await call.replica.follow_documents()
    listed = await call.replica.knowledge.documents()
    return answers.json_answer(
        [{"name": one.name, "bytes": one.bytes, "passages": one.passages, "origin": one.origin} for one in listed]
    )


async def remove(call: Call) -> web.StreamResponse:
    """DELETE /documents/<name>: an uploaded one."""
    call.protocol = "knowledge"
    name = unquote(call.path.removeprefix("/documents/"))
    try:
        found = await call.replica.knowledge.remove(name)
    except Declared as problem:
        return answers.error(409, "Declared", str(problem))
    if not found:
        return answers.error(404, "NotFound", f"there is no document {name[:80]!r}")
    return answers.json_answer({"response": "success"})
