"""The catalog loads, says where every fact comes from, and takes files of the user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog import CatalogError, Verified, load
from infra.plan.architecture import read

CATALOG = load()
NAMED_BY_EAS = (
    "DeepSeek-R1", "DeepSeek-V3", "DeepSeek-R1-Distill-Qwen-7B", "DeepSeek-R1-Distill-Llama-70B", "QVQ-72B-Preview",
    "QwQ-32B-Preview", "Llama-2-7b-chat", "Meta-Llama-3-8B-Instruct", "Llama-3.3-70B-Instruct", "Qwen1.5-7B-Chat",
    "Qwen2-7B-Instruct", "Qwen2.5-7B-Instruct", "Qwen3-30B-A3B", "Qwen2.5-7B-Instruct-AWQ",
    "Qwen2.5-7B-Instruct-GPTQ-Int4", "Qwen3-32B-FP8", "Marco-o1", "internlm3-8b-instruct", "Qwen2-VL-7B-Instruct",
    "chatglm3-6b", "glm-4-9b-chat", "Baichuan2-7B-Chat", "Yi-1.5-9B-Chat", "Mistral-7B-Instruct-v0.3",
    "Mixtral-8x7B-Instruct-v0.1", "gemma-2-9b-it", "phi-4", "bge-m3", "gte-Qwen2-7B-instruct", "AlphaFold2",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMED_BY_EAS)
def test_every_model_of_eas_deployment_page_is_there(name: str) -> None:
    assert name in CATALOG.models


def test_every_entry_says_where_it_comes_from_and_how_far_it_was_verified() -> None:
    for section in (CATALOG.models, CATALOG.gpus, CATALOG.instances, CATALOG.engines, CATALOG.rates):
        assert section
        for entry in section.values():
            assert len(entry.source) > 10, entry
            assert entry.verified in Verified


def test_every_language_models_config_can_be_sized() -> None:
    for model in CATALOG.models.values():
        if model.kind != "other":
            shape = read(model.config)
            assert shape.layers > 0
            assert shape.context >= 512


def test_instance_types_name_gpus_of_the_catalog() -> None:
    for instance in CATALOG.instances.values():
        assert (instance.gpu is None) == (instance.gpus == 0), instance.id
        assert instance.gpu is None or instance.gpu in CATALOG.gpus, instance.id


def test_prices_have_a_known_currency_a_region_and_a_date() -> None:
    for instance in CATALOG.instances.values():
        for price in instance.prices:
            assert price.currency == "USD" or price.currency in CATALOG.rates
            assert price.region
            assert price.amount > 0


def test_a_file_of_the_users_own_adds_and_replaces(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "defaults: {verified: documented, source: our data sheet, date: 2026-11-01}\n"
        "instances: {rack-1: {cloud: own, family: rack, vcpus: 64, memoryGib: 512, gpu: nvidia-l20, gpus: 8,\n"
        "                     prices: [{amount: 3.5, currency: USD, region: cellar}]}}\n"
    )
    catalog = load([own])
    assert catalog.instances["rack-1"].prices[0].source == "our data sheet"
    assert "rack-1" not in load().instances


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {x: {family: y}}", r"models\.x\.\w+: Field required"),
        ("machines: {}", "machines is not a section"),
        ("gpus: {g: {verified: hearsay}}", r"gpus\.g\.verified"),
        ("[]", "a mapping of sections"),
        ("a: [", "own.yaml"),
    ],
)
def test_a_broken_file_is_named_with_entry_and_field(tmp_path: Path, text: str, said: str) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(text)
    with pytest.raises(CatalogError, match=said):
        load([own])


def test_the_example_of_the_documentation_loads(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/catalog.md").read_text()
    own = tmp_path / "own.yaml"
    own.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    catalog = load([own])
    assert catalog.instances["g5.xlarge"].vcpus == 4
    assert catalog.instances["g5.xlarge"].prices[0].amount == 0.7
    assert catalog.engines["vllm"].process_bytes == load().engines["vllm"].process_bytes
