"""Log files that others write: bounded, tailed."""

from __future__ import annotations

from pathlib import Path

from runtime.host import logs


def test_a_large_log_is_cut_while_its_writer_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "replica.log"
    with path.open("a") as writer:
        for number in range(4):
            writer.write(f"{number}" * 100 + "\n")
            writer.flush()
            assert logs.rotate(path, max_bytes=50, keep=2)
        writer.write("after\n")
        writer.flush()
    assert path.read_text() == "after\n"
    assert path.with_name("replica.log.1").read_text()[0] == "3"
    assert path.with_name("replica.log.2").read_text()[0] == "2"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["replica.log", "replica.log.1", "replica.log.2"]


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "replica.log"
    path.write_text("line\n")
    assert not logs.rotate(path)
    assert not logs.rotate(tmp_path / "missing.log")


def test_a_tail_reaches_into_the_rotated_copy(tmp_path: Path) -> None:
    path = tmp_path / "replica.log"
    path.write_text("three\nfour\n")
    path.with_name("replica.log.1").write_text("one\ntwo\n")
    assert logs.tail(path, 3) == ["two", "three", "four"]
    assert logs.tail(path, 9, start=6) == ["four"]
    assert logs.tail(tmp_path / "missing.log", 9) == []
