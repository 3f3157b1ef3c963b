"""Records of starts: kept by version and place, read by whoever plans, never needed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra import measured
from infra.measured import Measured, file, read_measured, record


def start(hash: str = "a", place: str = "2 cores, 16 GiB", **changes: object) -> Measured:
    facts = {"service": "chat", "version": "main", "date": "2026-11-25", "seconds": {"engine": 2.0, "firstToken": 0.5}}
    return Measured.model_validate({"hash": hash, "place": place, **facts, **changes})


def test_a_record_is_found_by_version_and_place(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "measured.json"
    record(start("a"), path)
    record(start("a", "g5.xlarge"), path)
    assert read_measured(path).keys() == {"a@2 cores, 16 GiB", "a@g5.xlarge"}
    assert read_measured(path)["a@g5.xlarge"].total == 2.5


def test_a_later_start_replaces_the_times_and_keeps_the_most_memory(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    record(start(memory_bytes=9, seconds={"engine": 4.0}), path)
    record(start(memory_bytes=5, gpu_memory_bytes=7), path)
    [kept] = read_measured(path).values()
    assert (kept.memory_bytes, kept.gpu_memory_bytes, kept.total) == (9, 7, 2.5)


def test_many_at_once_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: record(start(f"h{number}"), path), range(40)))
    assert len(read_measured(path)) == 40


def test_the_oldest_go_first(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    for number in range(3):
        record(start(f"h{number}"), path)
    most, measured.MOST = measured.MOST, 3
    try:
        record(start("h0"), path)
        record(start("h3"), path)
    finally:
        measured.MOST = most
    assert {each.hash for each in read_measured(path).values()} == {"h0", "h2", "h3"}


def test_a_file_that_nobody_can_read_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    assert read_measured(path) == {}
    for text in ("", "[]", "{}", '{"a@b": {"hash": "a"}}', "\x00"):
        path.write_text(text)
        assert read_measured(path) == {}
    record(start(), path)
    assert len(read_measured(path)) == 1


def test_records_are_the_users_on_this_machine() -> None:
    assert file({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/inferform/measured.json")
    assert file({"HOME": "/h"}) == Path("/h/.local/state/inferform/measured.json")
