"""Does a request carry a token of the service? The three forms of eas-protocols.md section 2, and a browser's socket.

Pure: headers, method, path and body in, yes or no out. The gateway and every replica call the same function.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from typing import Protocol, overload

from runtime.contract.names import PREDICT_PREFIX

SOCKET_PROTOCOL = "inferform.chat"
"""The sub-protocol that a server answers to a browser (section 5, extension)."""
SOCKET_TOKEN_PROTOCOL = "inferform.token."
"""A browser cannot set headers on a socket: it offers this prefix and base64url(token) as a second sub-protocol."""
DEFAULT_CONTENT_TYPE = "application/octet-stream"
_SIGNED = "EAS "


class Headers(Protocol):
    """A request's headers, looked up in any case; of several the first."""

    @overload
    def get(self, name: str, /) -> str | None: ...

    @overload
    def get(self, name: str, default: str, /) -> str: ...


def needs_body(headers: Headers) -> bool:
    """Whether `check` needs the whole body: only the signed form signs it."""
    return headers.get("Authorization", "").startswith(_SIGNED)


def check(headers: Headers, method: str, path: str, body: bytes | None, tokens: Iterable[str], service: str) -> bool:
    """Whether the request is authorized by one of `tokens`. Constant time in the secrets; every token is tried.

    1. `Authorization` names a token as it is, or after `Bearer ` (any case).
    2. `Authorization: EAS <signature>` signs method, body, Content-Type, Date and `path`.
    3. No `Authorization`, a GET, and the offered sub-protocols hold `inferform.token.<base64url(token)>`.

    Args:
        path: the original path with the prefix and without the query, as it was sent.
        body: the whole body as received; only read when `needs_body(headers)`.
        service: the name in the path, possibly `<group>.<service>`; some clients sign only what follows it.
    """
    value = headers.get("Authorization")
    if value is None:
        offered = _socket_token(headers) if method == "GET" else None
        return offered is not None and _any_equal(offered, tokens)
    value = value.strip()
    if value.startswith(_SIGNED):
        return _signed(value[len(_SIGNED) :].strip(), headers, method, path, body or b"", tokens, service)
    scheme, separator, rest = value.partition(" ")
    if separator and scheme.lower() == "bearer":
        value = rest.strip()
    return _any_equal(_bytes(value), tokens)


def sign(token: str, *, method: str, body: bytes, content_type: str, date: str, resource: str) -> str:
    """The base64 signature of the signed form (section 2)."""
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    text = f"{method}\n{digest}\n{content_type}\n{date}\n{resource}"
    return base64.b64encode(hmac.digest(token.encode(), _bytes(text), "sha1")).decode()


def _signed(
    signature: str,
    headers: Headers,
    method: str,
    path: str,
    body: bytes,
    tokens: Iterable[str],
    service: str,
) -> bool:
    date = headers.get("Date")
    if not date:
        return False
    claimed = headers.get("Content-MD5")
    if claimed is not None and claimed.lower() != hashlib.md5(body, usedforsecurity=False).hexdigest():
        return False
    content_type = headers.get("Content-Type", DEFAULT_CONTENT_TYPE)
    resources = [path]
    prefix = PREDICT_PREFIX + service
    if path == prefix or path.startswith(prefix + "/"):
        resources.append(path[len(prefix) :])
    found = False
    for token in tokens:
        for resource in resources:
            expected = sign(token, method=method, body=body, content_type=content_type, date=date, resource=resource)
            found |= hmac.compare_digest(_bytes(signature), expected.encode())
    return found


def _any_equal(offered: bytes, tokens: Iterable[str]) -> bool:
    found = False
    for token in tokens:
        found |= hmac.compare_digest(offered, token.encode())
    return found and offered != b""


def _socket_token(headers: Headers) -> bytes | None:
    for offered in headers.get("Sec-WebSocket-Protocol", "").split(","):
        offered = offered.strip()
        if offered.startswith(SOCKET_TOKEN_PROTOCOL):
            encoded = offered[len(SOCKET_TOKEN_PROTOCOL) :]
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            except (binascii.Error, ValueError):
                return None
    return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
