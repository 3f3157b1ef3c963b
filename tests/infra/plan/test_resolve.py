"""Where weights come from, and what is asked before they may be used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from infra.plan import Lock, make, read_lock
from infra.plan.folder import read_folder
from infra.plan.lock import LockedModel, LockError
from tests.infra.plan.stacks import CATALOG, model_folder, plan, rules, stack

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERFORM_CACHE", str(tmp_path / "cache"))


def locked(source: str) -> Lock:
    config = dict(CATALOG.models["Qwen2.5-0.5B-Instruct"].config)
    return Lock(models={source: LockedModel(revision=COMMIT, weight_bytes=988_097_824, config=config)})


def test_the_embedded_default_is_pinned_by_its_digest() -> None:
    reference = plan("services: {chat: {model: SmolLM2-135M-Instruct}}").services[0].versions[0].template.model
    assert reference is not None
    assert reference.source == "embedded://SmolLM2-135M-Instruct"
    assert reference.digest.startswith("sha256:")


@pytest.mark.parametrize("text", ["Qwen2.5-0.5B-Instruct", "hf://Qwen/Qwen2.5-0.5B-Instruct"])
def test_a_hub_without_a_lock_entry_names_the_command(text: str) -> None:
    [error] = plan(f"services: {{chat: {{model: '{text}'}}}}").errors
    assert (error.rule, error.path) == ("lock-missing", "services.chat.model")
    assert "inferform lock" in error.fix


@pytest.mark.parametrize("text", ["Qwen2.5-0.5B-Instruct", "hf://Qwen/Qwen2.5-0.5B-Instruct"])
def test_the_lock_pins_a_hub_at_a_commit(text: str) -> None:
    planned = plan(f"services: {{chat: {{model: '{text}'}}}}", lock=locked("hf://Qwen/Qwen2.5-0.5B-Instruct"))
    assert not planned.errors
    reference = planned.services[0].versions[0].template.model
    assert reference is not None
    assert reference.source == f"hf://Qwen/Qwen2.5-0.5B-Instruct@{COMMIT}"
    assert (reference.name, reference.digest) == ("Qwen2.5-0.5B-Instruct", COMMIT)


def test_a_commit_of_a_catalog_model_needs_no_lock() -> None:
    planned = plan(f"services: {{chat: {{model: 'hf://Qwen/Qwen2.5-0.5B-Instruct@{COMMIT}'}}}}")
    assert not planned.errors


def test_a_lock_entry_that_cannot_be_sized_is_stale() -> None:
    lock = Lock(models={"hf://org/model": LockedModel(revision=COMMIT, weight_bytes=1, config={"model_type": "x"})})
    [error] = plan("services: {chat: {model: 'hf://org/model'}}", lock=lock).errors
    assert error.rule == "lock-stale"


@pytest.mark.parametrize(
    ("name", "near"), [("SmolLM2-135M-Instrukt", "SmolLM2-135M-Instruct"), ("qwen2.5-7b", "Qwen2.5-7B-Instruct")]
)
def test_an_unknown_model_names_the_nearest(name: str, near: str) -> None:
    [error] = plan(f"services: {{chat: {{model: {name}}}}}").errors
    assert error.rule == "model-unknown"
    assert near in error.fix


def test_a_folder_is_known_by_its_content(tmp_path: Path) -> None:
    model_folder(tmp_path / "one")
    model_folder(tmp_path / "two")
    text = "services: {chat: {versions: {a: {model: ./one}, b: {model: ./two}}, traffic: {a: 50, b: 50}}}"
    planned = plan(text, folder=tmp_path)
    assert not planned.errors  # two folders are two sources
    first, second = (version.template.model for version in planned.services[0].versions)
    assert first is not None
    assert second is not None
    assert first.digest == second.digest
    (tmp_path / "two" / "config.json").write_text(
        json.dumps({**json.loads((tmp_path / "one/config.json").read_text()), "x": 1})
    )
    assert read_folder(tmp_path / "two").digest != first.digest


def test_weights_are_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = model_folder(tmp_path / "model")
    first = read_folder(folder)
    monkeypatch.setattr("infra.plan.folder.content_digest", lambda file: pytest.fail(f"{file} was read again"))
    assert read_folder(folder) == first


def test_a_folder_that_is_no_model_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    [error] = plan("services: {chat: {model: ./empty}}", folder=tmp_path).errors
    assert error.rule == "model-folder"
    assert "config.json" in error.text
    (tmp_path / "empty" / "config.json").write_text("{}")
    [error] = plan("services: {chat: {model: ./empty}}", folder=tmp_path).errors
    assert "safetensors" in error.text


def test_a_config_that_cannot_be_sized_names_the_key(tmp_path: Path) -> None:
    model_folder(tmp_path / "model", config={"model_type": "llama", "num_hidden_layers": 2})
    [error] = plan("services: {chat: {model: ./model}}", folder=tmp_path).errors
    assert (error.rule, "hidden_size" in error.text) == ("model-folder", True)


def test_pickled_weights_are_refused_unless_trusted(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    text = "services: {chat: {model: ./model}}"
    assert rules(plan(text, folder=tmp_path)) == {"model-pickle"}
    assert not plan(text.replace("./model}", "./model, trust: {pickle: true}}"), folder=tmp_path).findings


def test_code_of_a_models_own_is_refused_unless_trusted(tmp_path: Path) -> None:
    config = json.loads((model_folder(tmp_path / "model") / "config.json").read_text())
    model_folder(tmp_path / "model", config={**config, "auto_map": {"AutoModel": "modeling.Own"}})
    text = "services: {chat: {model: ./model}}"
    assert rules(plan(text, folder=tmp_path)) == {"model-remote-code"}
    assert not plan(text.replace("./model}", "./model, trust: {remoteCode: true}}"), folder=tmp_path).findings


def test_a_context_beyond_the_models_own_is_refused() -> None:
    [error] = plan("services: {chat: {model: SmolLM2-135M-Instruct, context: 16384}}").errors
    assert (error.rule, error.path, error.fix) == ("fit-context", "services.chat.context", "context: 8192")


def test_a_lock_file_round_trips_and_a_broken_one_names_the_field(tmp_path: Path) -> None:
    assert read_lock(tmp_path) is None
    lock = locked("hf://org/name")
    (tmp_path / "inferform.lock").write_text(lock.text())
    assert read_lock(tmp_path) == lock
    (tmp_path / "inferform.lock").write_text('{"models": {"hf://a/b": {"revision": 1}}}')
    with pytest.raises(LockError, match=r"models\.hf://a/b"):
        read_lock(tmp_path)
    (tmp_path / "inferform.lock").write_text('{"version": 9}')
    with pytest.raises(LockError, match="newer"):
        read_lock(tmp_path)


def test_a_method_that_cannot_serve_the_model_names_those_that_can() -> None:
    catalog = replace(
        CATALOG, models={"only-vllm": CATALOG.models["SmolLM2-135M-Instruct"].model_copy(update={"methods": ("vllm",)})}
    )
    [error] = make(stack("services: {chat: {model: only-vllm}}"), catalog).errors
    assert (error.rule, error.path, error.fix) == ("model-method", "services.chat", "methods that can: vllm")


def test_a_model_without_public_weights_is_said_to_be_unavailable() -> None:
    facts = {"embedded": None, "huggingface": None, "modelscope": None}
    catalog = replace(CATALOG, models={"private": CATALOG.models["SmolLM2-135M-Instruct"].model_copy(update=facts)})
    [error] = make(stack("services: {chat: {model: private}}"), catalog).errors
    assert error.rule == "model-unavailable"


def test_a_catalog_model_that_nothing_pins_is_an_error_and_sized_all_the_same() -> None:
    planned = plan("{target: {kind: eks}, services: {chat: {model: Qwen2.5-7B-Instruct, method: vllm}}}")
    assert rules(planned) == {"lock-missing", "lock-unpinned"}
    placement = planned.services[0].versions[0].placement
    assert placement is not None
    assert placement.instance_type == "g6.xlarge"
