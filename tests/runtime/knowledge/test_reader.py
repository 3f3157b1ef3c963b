"""Documents become text, or a sentence that says why not."""

from __future__ import annotations

import pytest

from runtime.knowledge import extract
from runtime.knowledge.errors import DocumentError
from runtime.knowledge.reader import checked_name, read_text
from tests.runtime.knowledge.documents import docx, pdf


@pytest.mark.parametrize(
    ("name", "data", "wanted"),
    [
        ("a.txt", b"\xef\xbb\xbfplain text", "plain text"),
        ("a.txt", "汉字".encode("gb18030"), "汉字"),
        ("a.md", "Überschrift".encode("utf-16"), "Überschrift"),
        (
            "A.DOCX",
            docx("first line", "second", table=[["a", "b"], ["c", "d"]]),
            "first line\n\nsecond\n\na | b\n\nc | d",
        ),
        ("a.pdf", pdf("the page says hello"), "the page says hello"),
    ],
)
async def test_each_supported_type_is_read(name: str, data: bytes, wanted: str) -> None:
    assert (await read_text(name, data)).strip() == wanted


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.docx", b"no zip at all", "broken"),
        ("a.pdf", b"%PDF-1.4 nothing else", "broken"),
        ("a.txt", b" \n\t", "holds no text"),
        ("a.pdf", pdf(""), "holds no text"),
        ("a.txt", b"\xff\xff\xff", "neither UTF-8"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_a_reason(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        await read_text(name, data)


def test_a_document_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "UNPACKED_BYTES", 1000)
    with pytest.raises(DocumentError, match="unpacks"):
        extract.extract(".docx", docx("word " * 2000))


@pytest.mark.parametrize(
    ("given", "kept"),
    [("C:\\docs\\Report.PDF", "Report.PDF"), ("../../etc/notes.txt", "notes.txt"), (" a b.md ", "a b.md")],
)
def test_a_name_loses_its_folders(given: str, kept: str) -> None:
    assert checked_name(given) == kept


@pytest.mark.parametrize(
    "given", ["", "   ", ".txt", "a.exe", "noend", "x" * 300 + ".txt", "a\x00b.txt", "a\nb.txt", "dir/"]
)
def test_a_name_that_cannot_be_kept_is_refused(given: str) -> None:
    with pytest.raises(DocumentError):
        checked_name(given)
