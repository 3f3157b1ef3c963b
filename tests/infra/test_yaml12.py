"""YAML as Pulumi reads it."""

from __future__ import annotations

from typing import Any

import pytest

from infra.yaml12 import Lines, YAMLError, load


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("no", "no"),
        ("on", "on"),
        ("True", True),
        ("false", False),
        ("~", None),
        ("", None),
        ("a:", {"a": None}),
        ("010", 10),
        ("0x10", 16),
        ("0o10", 8),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("'1'", "1"),
        ("-3", -3),
        ("1.", 1.0),
        ("{a: [1, b]}", {"a": [1, "b"]}),
        ("b: &x {a: 1}\nc: {<<: *x, d: 2}", {"b": {"a": 1}, "c": {"a": 1, "d": 2}}),
    ],
)
def test_words_mean_what_yaml_1_2_says(text: str, data: Any) -> None:
    assert load(text) == data


def test_a_key_twice_is_an_error_with_its_line() -> None:
    with pytest.raises(YAMLError) as twice:
        load("a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert twice.value.problem_mark.line == 3  # type: ignore[attr-defined]


def test_lines_are_those_of_keys_and_items_or_of_the_nearest_above() -> None:
    lines = Lines("a:\n  b:\n    - 1\n    - c: 2\n")
    assert [lines.of("a"), lines.of("a", "b", 1), lines.of("a", "b", 1, "c"), lines.of("a", "x", "y")] == [1, 4, 4, 1]
    assert lines.of("z") is None
