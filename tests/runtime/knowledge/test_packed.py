"""Packed documents: what is inside comes out, what would leave the folder does not."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from runtime.knowledge.packed import unpack


def packed(folder: Path, *entries: tarfile.TarInfo) -> Path:
    """An archive of entries of four bytes each."""
    archive = folder / "documents.tar.gz"
    with tarfile.open(archive, "w:gz") as made:
        for entry in entries:
            entry.size = 4 if entry.isreg() else 0
            made.addfile(entry, io.BytesIO(b"text"))
    return archive


def entry(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, to
    return made


def test_files_and_folders_come_out_and_replace_what_was_there(tmp_path: Path) -> None:
    into = tmp_path / "out"
    unpack(packed(tmp_path, entry("old.md")), into)
    unpack(packed(tmp_path, entry("a", tarfile.DIRTYPE), entry("a/one.md"), entry("two.md")), into)
    assert sorted(str(path.relative_to(into)) for path in into.rglob("*.md")) == ["a/one.md", "two.md"]
    assert (into / "a" / "one.md").read_bytes() == b"text"


@pytest.mark.parametrize(
    "bad",
    [
        entry("../out.md"),
        entry("/tmp/out.md"),
        entry("link", tarfile.SYMTYPE, "/etc/passwd"),
        entry("p", tarfile.FIFOTYPE),
    ],
    ids=lambda bad: bad.name,
)
def test_what_leaves_the_folder_is_refused_by_its_name(tmp_path: Path, bad: tarfile.TarInfo) -> None:
    with pytest.raises(ValueError, match=f"documents.tar.gz: '{bad.name}' is no file or folder inside"):
        unpack(packed(tmp_path, entry("fine.md"), bad), tmp_path / "into")
    assert not list((tmp_path / "into").iterdir())


def test_what_is_no_archive_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "documents.tar.gz").write_bytes(b"\x1f\x8b\x08\x00 no archive")
    with pytest.raises((ValueError, OSError)):
        unpack(tmp_path / "documents.tar.gz", tmp_path / "into")
