"""What changed, by property path."""

from __future__ import annotations

from typing import Any

import pytest

from infra.provider.diff import changes
from infra.provider.values import UNKNOWN, Secret


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1}, {"a": True}, [("a", "UPDATE")]),
        ({"a": 1}, {"a": 2}, [("a", "UPDATE")]),
        ({}, {"a": 2}, [("a", "ADD")]),
        ({"a": 2}, {}, [("a", "DELETE")]),
        ({"a": "s"}, {"a": Secret("s")}, []),
        ({"a": Secret("s")}, {"a": Secret("t")}, [("a", "UPDATE")]),
        ({"a": "x"}, {"a": UNKNOWN}, [("a", "UPDATE")]),
        ({"a": {"min": 1, "max": 2}}, {"a": {"min": 1, "max": 4}}, [("a.max", "UPDATE")]),
        ({"a": {"v1": {"w": 90}}}, {"a": {"v1": {"w": 50}, "v2": {"w": 50}}}, [("a.v1.w", "UPDATE"), ("a.v2", "ADD")]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, [("a[1]", "UPDATE"), ("a[2]", "ADD")]),
        ({"a": [1, 2]}, {"a": [1]}, [("a[1]", "DELETE")]),
        ({"a": {"b-c": 1}}, {"a": {"b-c": 2}}, [('a["b-c"]', "UPDATE")]),
        ({"a": {"b": 1}}, {"a": [1]}, [("a", "UPDATE")]),
    ],
)
def test_changes_have_the_path_of_the_edited_line(old: Any, new: Any, found: list[tuple[str, str]]) -> None:
    assert [(change.path, change.kind) for change in changes(old, new)] == found
    assert all(change.top == "a" for change in changes(old, new))


def test_ignored_inputs_are_no_change() -> None:
    assert changes({"share": 1, "b": 1}, {"share": 2, "b": 1}, ignored={"share"}) == []
