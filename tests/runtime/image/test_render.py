"""The Containerfile: who runs, what is in the last stage, in which order."""

from __future__ import annotations

import re

import pytest

from runtime.contract.version import Method
from runtime.image.recipe import Accelerator, Recipe, recipe
from runtime.image.render import containerfile

ALL = [recipe(method, accelerator=each) for method in (Method.STANDARD, Method.VLLM) for each in Accelerator]


def last_stage(text: str) -> str:
    return text[text.rindex("\nFROM ") :]


@pytest.mark.parametrize("made", ALL, ids=lambda made: f"{made.method.value}-{made.accelerator.value}")
def test_the_last_stage_installs_nothing_and_runs_as_a_number(made: Recipe) -> None:
    parts, image = containerfile(made), containerfile(made, "localhost/parts:1")
    assert "\nRUN " not in last_stage(parts)
    assert re.findall(r"\nRUN .*", image) == [image[image.index("\nRUN ") : image.index("\nWORKDIR")]]
    assert "compileall" in image and "install" not in image
    assert image.index("\nRUN ") < image.index("\nUSER 65532:65532\n")
    assert "ENTRYPOINT" not in parts + image


@pytest.mark.parametrize("made", ALL, ids=lambda made: f"{made.method.value}-{made.accelerator.value}")
def test_whatever_is_installed_is_compiled_for_files_of_any_date(made: Recipe) -> None:
    steps = [step for step in containerfile(made).split("\nRUN ") if "install " in step and "python3-pip;" not in step]
    last = [step.rpartition("install ")[2] for step in steps if "/model " not in step]  # weights are no modules
    assert len(last) >= 2
    assert all("compileall -q -f --invalidation-mode unchecked-hash" in step for step in last)


def test_what_changes_most_comes_last() -> None:
    copies = re.findall(r"COPY --from=(\w+)", last_stage(containerfile(recipe(Method.VLLM))))
    assert copies == ["engine", "packages", "model"]
    assert "source/" not in containerfile(recipe(Method.STANDARD))
    assert "\nFROM localhost/parts:1\nCOPY source/ " in containerfile(recipe(Method.STANDARD), "localhost/parts:1")


def test_a_read_only_root_is_written_nowhere_but_in_tmp() -> None:
    last = last_stage(containerfile(recipe(Method.STANDARD)))
    assert "HOME=/tmp " in last and "PYTHONDONTWRITEBYTECODE=1 " in last
    assert "INFERFORM_EMBEDDED_MODEL=/opt/inferform/models/" in last


def test_no_compiler_is_installed_where_none_is_called() -> None:
    assert not re.search(r"\bg(cc|\+\+)|build-essential|-dev\b", containerfile(recipe(Method.STANDARD)))


def test_the_index_and_its_certificates_are_secrets_of_the_steps_that_need_them() -> None:
    text = containerfile(recipe(Method.STANDARD))
    assert not re.search(r"https?://", text)
    installs = [step for step in text.split("\nRUN ") if "pip --python" in step]
    assert len(installs) == 2
    assert all("type=secret,id=pip" in step and "type=secret,id=ca" in step for step in installs)
    assert "--only-binary :all:" in installs[0] and "-c /pins/constraints.txt" in installs[0]


def test_the_base_is_the_only_image_that_is_named() -> None:
    text = containerfile(recipe(Method.STANDARD, base="registry.example/debian@sha256:1"))
    outer = set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) - {"system", "pip", "packages"}
    assert outer == {"registry.example/debian@sha256:1"}
