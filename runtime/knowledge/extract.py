"""`python -m runtime.knowledge.extract SUFFIX < FILE`: a document's text on stdout. A process of its own, with limits.

Documents come from anyone with the token. A parser that loops, or that unpacks gigabytes, ends here and not in the
replica that serves everybody.
"""

from __future__ import annotations

import io
import logging
import resource
import sys
import zipfile

from runtime.knowledge.errors import DocumentError

MEMORY_BYTES = 2 * 1024**3
CPU_SECONDS = 60
UNPACKED_BYTES = 512 * 1024**2
REFUSED = 3
"""Exit code: the reason is on stderr, one line for the user."""


def extract(suffix: str, data: bytes) -> str:
    """The text of one document. Raises DocumentError; a parser's own errors mean that the file is broken."""
    match suffix:
        case ".txt" | ".md":
            return _plain(data)
        case ".docx":
            return _docx(data)
        case ".pdf":
            return _pdf(data)
    raise DocumentError(f"documents of type {suffix} cannot be read")


def _plain(data: bytes) -> str:
    # UTF-16 is only recognised by its mark; GB18030 is what Chinese Windows writes.
    encodings = ("utf-16",) if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DocumentError("the text is neither UTF-8, UTF-16 nor GB18030")


def _docx(data: bytes) -> str:
    from docx import Document
    from docx.table import Table
    from docx.text.paragraph import Paragraph

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > UNPACKED_BYTES:
            raise DocumentError("the document unpacks to more than 512 MiB")
    lines: list[str] = []
    for block in Document(io.BytesIO(data)).iter_inner_content():
        if isinstance(block, Paragraph):
            lines.append(block.text)
        elif isinstance(block, Table):
            lines += [" | ".join(cell.text.strip() for cell in row.cells) for row in block.rows]
    return "\n\n".join(line for line in lines if line.strip())


def _pdf(data: bytes) -> str:
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise DocumentError("the document is protected by a password")
    return "\n\n".join(page.extract_text() for page in reader.pages)


def main() -> int:
    """Limit ourselves, read, write."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    logging.disable(logging.CRITICAL)  # parsers log what they think of a file; stderr carries our reason
    try:
        text = extract(sys.argv[1], sys.stdin.buffer.read())
    except DocumentError as error:
        print(error, file=sys.stderr)
        return REFUSED
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
