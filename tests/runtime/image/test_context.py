"""What an image is made of decides its hash, and nothing else does."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.contract.version import Method
from runtime.image.context import REPACKS, context_hash, image_files, parts_files, write_context
from runtime.image.recipe import ROOT, recipe

STANDARD = recipe(Method.STANDARD)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A few sources with everything that repacks the model."""
    for name in (*REPACKS, "runtime/auth.py", "runtime/image/build.py", "catalog/rates.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_context_holds_runtime_and_catalog_with_their_data_and_no_leftovers() -> None:
    assert {"Containerfile", "pins/constraints.txt", "pins/requirements.txt"} <= set(parts_files(STANDARD))
    names = set(image_files(STANDARD, "parts"))
    assert {"Containerfile", "source/runtime/replica/__main__.py", "source/catalog/rates.yaml"} <= names
    assert not [name for name in names if "__pycache__" in name or "/infra/" in name]


def test_a_changed_source_or_pin_is_another_image(tree: Path) -> None:
    parts, image = context_hash(parts_files(STANDARD, tree)), context_hash(image_files(STANDARD, "parts:1", tree))
    assert parts == context_hash(parts_files(STANDARD, tree))
    assert parts != context_hash(parts_files(replace(STANDARD, constraints="a==1\n"), tree))
    assert image != context_hash(image_files(STANDARD, "parts:2", tree))
    (tree / "runtime/auth.py").write_text("changed")
    assert image != context_hash(image_files(STANDARD, "parts:1", tree))


def test_a_changed_build_or_bytecode_is_the_same_image(tree: Path) -> None:
    before = context_hash(image_files(STANDARD, "parts", tree))
    (tree / "runtime/image/build.py").write_text("changed")
    (tree / "runtime/__pycache__").mkdir()
    (tree / "runtime/__pycache__/auth.pyc").write_bytes(b"1")
    assert before == context_hash(image_files(STANDARD, "parts", tree))


def test_a_source_that_does_not_repack_the_model_leaves_the_parts_alone(tree: Path) -> None:
    before = parts_files(STANDARD, tree)
    (tree / "runtime/auth.py").write_text("changed")
    assert parts_files(STANDARD, tree) == before
    (tree / "runtime/contract/paths.py").write_text("changed")
    assert parts_files(STANDARD, tree) != before


def test_a_context_is_written_with_the_same_times_and_modes_everywhere(tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "context"
    write_context(image_files(STANDARD, "parts", tree), folder)
    stats = {(path.stat().st_mtime, path.stat().st_mode & 0o777) for path in folder.rglob("*")}
    assert stats == {(0.0, 0o644), (0.0, 0o755)}
