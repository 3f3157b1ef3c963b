"""Memory of one device as a sum of named terms."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.plan.architecture import Architecture, UnknownArchitecture, read
from infra.plan.fit import Need, Split, device_terms, kv_bytes, kv_bytes_per_token, split_problem, total
from tests.infra.plan.stacks import CATALOG


def shape(name: str) -> Architecture:
    return read(CATALOG.models[name].config)


@pytest.mark.parametrize(
    ("model", "attention", "bytes_per_token"),
    [
        ("Llama-2-7b-chat", "MHA", 2 * 32 * 32 * 128 * 2),
        ("Qwen2.5-7B-Instruct", "GQA", 2 * 28 * 4 * 128 * 2),
        ("Llama-3.1-70B-Instruct", "GQA", 2 * 80 * 8 * 128 * 2),
        ("gemma-2b-it", "MQA", 2 * 18 * 1 * 256 * 2),
        ("chatglm3-6b", "GQA", 2 * 28 * 2 * 128 * 2),
        ("Qwen3-32B", "GQA", 2 * 64 * 8 * 128 * 2),  # head size 128, not hidden / heads = 80
        ("DeepSeek-R1", "MLA", 61 * (512 + 64) * 2),
        ("DeepSeek-V2-Lite-Chat", "MLA", 27 * (512 + 64) * 2),
        ("Mixtral-8x7B-Instruct-v0.1", "GQA", 2 * 32 * 8 * 128 * 2),
    ],
)
def test_the_cache_is_counted_from_layers_and_heads(model: str, attention: str, bytes_per_token: int) -> None:
    assert shape(model).attention == attention
    assert kv_bytes_per_token(shape(model)) == bytes_per_token


@pytest.mark.parametrize(
    ("model", "split", "share"),
    [
        ("Qwen2.5-7B-Instruct", Split(tensor=2), 1 / 2),
        ("Qwen2.5-7B-Instruct", Split(tensor=4), 1 / 4),
        ("Qwen2.5-0.5B-Instruct", Split(tensor=7), 1 / 2),  # two KV heads: seven devices hold one each
        ("DeepSeek-R1", Split(tensor=8), 1),  # MLA's latent is on every device
        ("DeepSeek-R1", Split(tensor=4, pipeline=2), 31 / 61),
        ("Llama-3.1-70B-Instruct", Split(pipeline=4), 1 / 4),
    ],
)
def test_a_split_shares_the_cache_as_far_as_heads_and_layers_go(model: str, split: Split, share: float) -> None:
    assert kv_bytes_per_token(shape(model), split) == pytest.approx(kv_bytes_per_token(shape(model)) * share)


def test_sliding_windows_stop_growing() -> None:
    gemma = shape("gemma-2-9b-it")
    assert (gemma.window_layers, gemma.window) == (21, 4096)
    each = 2 * 8 * 256 * 2
    assert kv_bytes(gemma, tokens=4096) == 42 * each * 4096
    assert kv_bytes(gemma, tokens=8192) == 21 * each * 8192 + 21 * each * 4096


def test_an_fp8_cache_takes_half() -> None:
    qwen = shape("Qwen2.5-7B-Instruct")
    assert kv_bytes(qwen, tokens=1000, width=1) * 2 == kv_bytes(qwen, tokens=1000)


@pytest.mark.parametrize(
    ("model", "split", "why"),
    [
        ("Qwen2.5-7B-Instruct", Split(tensor=4), ""),
        ("Qwen2.5-7B-Instruct", Split(tensor=8), "28 attention heads"),
        ("Qwen2.5-0.5B-Instruct", Split(tensor=2), ""),
        ("Qwen2.5-0.5B-Instruct", Split(tensor=4), "14 attention heads"),
        ("Qwen2.5-7B-Instruct-AWQ", Split(tensor=4), ""),
        ("Phi-3-medium-4k-instruct", Split(tensor=8), "10 KV heads"),
        ("Llama-3.2-1B-Instruct", Split(pipeline=16), ""),
        ("Llama-3.2-1B-Instruct", Split(pipeline=32), "16 layers"),
    ],
)
def test_splits_that_cannot_work_say_why(model: str, split: Split, why: str) -> None:
    problem = split_problem(shape(model), split)
    assert (why in problem) if why else problem == ""


def need(model: str, *, context: int = 4096, concurrency: int = 16, adapters: int = 0) -> Need:
    entry = CATALOG.models[model]
    return Need(
        architecture=read(entry.config),
        weight_bytes=entry.weight_bytes,
        vision_bytes=2 * entry.vision_parameters,
        adapter_bytes=adapters,
        context=context,
        concurrency=concurrency,
        engine=CATALOG.engines["vllm"],
    )


def test_terms_are_named_and_the_vision_tower_is_on_every_device() -> None:
    wanted = need("Qwen2-VL-7B-Instruct", adapters=1_000_000)
    one, two = (device_terms(wanted, split, gpu=True) for split in (Split(), Split(tensor=2)))
    names = ["weights", "vision tower", "KV cache", "adapters", "activations", "CUDA context", "graphs"]
    assert [term.name for term in one] == names
    tower = {term.name: term.bytes for term in one}["vision tower"]
    assert tower == {term.name: term.bytes for term in two}["vision tower"] > 10**9
    assert {term.name: term.bytes for term in two}["weights"] == math.ceil((wanted.weight_bytes - tower) / 2)


def test_without_a_gpu_the_process_counts_and_no_cuda() -> None:
    names = {term.name for term in device_terms(need("Qwen2.5-0.5B-Instruct"), gpu=False)}
    assert "engine" in names
    assert not names & {"CUDA context", "graphs"}


def slow_device_bytes(wanted: Need, split: Split) -> float:
    """Independent and slow: walk every device, layer and head, and take the fullest. Weights without embeddings are
    spread evenly over layers; nothing is rounded in the checker's favour."""
    arch = wanted.architecture
    fullest = 0.0
    for stage in range(split.pipeline):
        layers = [layer for layer in range(arch.layers) if layer * split.pipeline // arch.layers == stage]
        for rank in range(split.tensor):
            cache = 0.0
            for _ in layers:
                if arch.latent:
                    cache += arch.latent * arch.width
                    continue
                first = {
                    head * arch.kv_heads // arch.heads
                    for head in range(arch.heads)
                    if head * split.tensor // arch.heads == rank
                }
                cache += len(first) * 2 * arch.head_size * arch.width
            text = wanted.weight_bytes - wanted.vision_bytes
            table = arch.vocabulary * arch.hidden * min(arch.width, 2.0)
            tables = table if arch.tied else 2 * table
            weights = max(0.0, text - tables) * len(layers) / arch.layers
            weights += table * ((stage == 0) + (stage == split.pipeline - 1 and not arch.tied))
            if arch.tied and stage == split.pipeline - 1 and split.pipeline > 1:
                weights += table
            used = weights / split.tensor + wanted.vision_bytes + cache * wanted.context * wanted.concurrency
            fullest = max(fullest, used)
    return fullest


GROUPED = sorted(
    name
    for name, model in CATALOG.models.items()
    if model.kind == "chat" and not read(model.config).window_layers and "quantization_config" not in model.config
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(GROUPED),
    st.sampled_from([Split(tensor=t, pipeline=p) for t in (1, 2, 4, 8) for p in (1, 2, 3)]),
    st.integers(1, 64),
    st.integers(1, 32),
)
def test_a_device_never_holds_less_than_a_slow_walk_over_layers_and_heads_says(
    model: str, split: Split, kilotokens: int, concurrency: int
) -> None:
    wanted = need(model, context=1024 * kilotokens, concurrency=concurrency)
    if split_problem(wanted.architecture, split):
        return
    assert total(device_terms(wanted, split, gpu=True)) >= slow_device_bytes(wanted, split)


@pytest.mark.parametrize("missing", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
def test_a_config_without_a_needed_key_names_it(missing: str) -> None:
    config = {key: value for key, value in CATALOG.models["Qwen2.5-7B-Instruct"].config.items() if key != missing}
    with pytest.raises(UnknownArchitecture, match=missing):
        read(config)


def test_a_multimodal_config_is_read_from_its_text_part() -> None:
    text = dict(CATALOG.models["Qwen2.5-7B-Instruct"].config)
    nested = {"model_type": "qwen2_5_vl", "text_config": text, "vision_config": {}, "torch_dtype": "bfloat16"}
    assert read(nested).layers == 28
    assert read(nested).vision


def test_hybrid_layers_cache_nothing_that_grows() -> None:
    config = {**CATALOG.models["Qwen3-8B"].config, "layer_types": ["linear_attention"] * 27 + ["full_attention"] * 9}
    assert read(config).stateless_layers == 27
    assert kv_bytes_per_token(read(config)) * 4 == kv_bytes_per_token(shape("Qwen3-8B"))
    assert not read(config).plain_cache
