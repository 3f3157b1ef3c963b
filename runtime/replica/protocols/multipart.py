"""The one thing we need of multipart/form-data: the file of a named field. Pure."""

from __future__ import annotations

from email.message import Message
from email.parser import HeaderParser

from runtime.replica.answers import BadRequest


def file_field(body: bytes, content_type: str, field: str) -> tuple[str, bytes]:
    """The file's name and content. Raises BadRequest when the body is no form or has no such file."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not boundary:
        raise BadRequest(f"send multipart/form-data with the file in the field `{field}`")
    # Parts stand between CRLF--boundary; the first may lack the CRLF.
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1", "replace"))
    for part in parts[1:]:
        head, separator, content = part.partition(b"\r\n\r\n")
        if part.startswith(b"--") or not separator:
            break
        headers = HeaderParser().parsestr(head.lstrip(b" \t\r\n").decode("latin-1"))
        name = headers.get_param("name", header="Content-Disposition")
        file = headers.get_filename()
        if name == field and file:
            return _utf8(file), content
    raise BadRequest(f"the form has no file in the field `{field}`")


def _utf8(name: str) -> str:
    """Browsers send UTF-8 in the plain parameter; what came as `filename*` is decoded already."""
    try:
        return name.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return name
