"""Reading a stack file from disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.stackfile import StackFileErrors, load_file

GOOD = """\
encryptionsalt: v1:abc
config:
  inferform:target: {kind: local}
  inferform:services:
    chat:   # the demo
      model: SmolLM2-135M-Instruct
      env: {ON: yes}
  aws:region: eu-west-1
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "Pulumi.local.yaml"
    path.write_text(text)
    return path


def test_a_stack_file_is_read_with_yaml_1_2_words(tmp_path: Path) -> None:
    stack = load_file(written(tmp_path, GOOD))
    assert stack.services["chat"].versions["main"].env == {"ON": "yes"}
    assert stack.folder == tmp_path


def test_errors_carry_the_lines_of_their_keys_in_order(tmp_path: Path) -> None:
    text = GOOD.replace("model: Smol", "modle: Smol").replace("kind: local", "kind: locla")
    with pytest.raises(StackFileErrors) as caught:
        load_file(written(tmp_path, text))
    assert [(error.path, error.line) for error in caught.value.errors] == [
        ("target.kind", 3),
        ("services.chat.model", 5),
        ("services.chat.modle", 6),
    ]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("config:\n  a: [1\n", 3, "is not YAML"),
        ("config:\n  inferform:services: {}\n  inferform:services: {}\n", 3, "duplicate key"),
        ("config: 3\n", None, "must be a mapping"),
        ("- 1\n", None, "must be a mapping"),
    ],
)
def test_what_is_no_stack_file_is_one_error(tmp_path: Path, text: str, line: int | None, reason: str) -> None:
    with pytest.raises(StackFileErrors) as caught:
        load_file(written(tmp_path, text))
    (error,) = caught.value.errors
    assert error.line == line
    assert reason in error.reason


def test_a_stack_without_config_has_no_services(tmp_path: Path) -> None:
    assert load_file(written(tmp_path, "encryptionsalt: v1:abc\n")).services == {}
