"""The files of a folder and their digest."""

from __future__ import annotations

from pathlib import Path

from runtime.contract.tree import content_digest, files_below, tree_digest


def test_links_are_followed_but_never_in_circles(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("x")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b" / "file")
    (tmp_path / "nowhere").symlink_to(tmp_path / "missing")
    (tmp_path / "twice").symlink_to(tmp_path / "a" / "b")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_text("changes all the time")
    assert list(files_below(tmp_path)) == ["a/b/file", "link", "twice/file"]


def test_a_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    file = tmp_path / "f"
    file.write_bytes(b"one")
    one = tree_digest([("f", content_digest(file))])
    assert one == tree_digest([("f", content_digest(file))])
    assert one != tree_digest([("g", content_digest(file))])
    file.write_bytes(b"two")
    assert one != tree_digest([("f", content_digest(file))])
