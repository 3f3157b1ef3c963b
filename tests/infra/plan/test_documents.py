"""A changed document is a diff; what a knowledge base does not read is none."""

from __future__ import annotations

from pathlib import Path

from infra.plan.documents import documents_digest


def test_names_and_contents_of_documents_count_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.txt").write_text("one")
    first = documents_digest(tmp_path)
    (tmp_path / "picture.png").write_bytes(b"x")
    (tmp_path / ".hidden.md").write_text("x")
    assert documents_digest(tmp_path) == first
    (tmp_path / "a.txt").write_text("two")
    second = documents_digest(tmp_path)
    (tmp_path / "sub" / "b.md").write_text("three")
    third = documents_digest(tmp_path)
    (tmp_path / "sub" / "b.md").rename(tmp_path / "b.md")
    assert len({first, second, third, documents_digest(tmp_path)}) == 4
