"""Parameter counts and weight bytes of the catalog against what Transformers builds, on the meta device."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest

from catalog import Model, load

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
no_init_weights = pytest.importorskip("transformers.initialization").no_init_weights

WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}
OWN_CODE = ("Baichuan2-13B-Chat", "Baichuan2-7B-Chat", "chatglm3-6b", "glm-4-9b-chat", "internlm2_5-7b-chat")
"""Models whose architecture Transformers does not know: their code is their own."""
SHAPELESS = ("quantization_config", "dtype", "torch_dtype")


def known(model: Model) -> bool:
    return model.config.get("model_type") in transformers.CONFIG_MAPPING


def every() -> Iterator[Model]:
    return (model for model in load().models.values() if known(model))


@functools.cache
def shapes(shape: str, kind: str, sees: bool) -> dict[str, tuple[int, ...]]:
    """Name to shape of every parameter, a shared one once. Models of the same config share the answer."""
    config: dict[str, Any] = json.loads(shape)
    made = transformers.AutoConfig.for_model(config.pop("model_type"), **config)
    maker = transformers.AutoModelForCausalLM
    if kind == "embedding":
        maker = transformers.AutoModel
    elif sees:
        maker = transformers.AutoModelForImageTextToText
    # No initial values: there is nothing to hold them, and working them out is most of the time.
    with torch.device("meta"), no_init_weights():
        built = maker.from_config(made)
    built.tie_weights()
    once = {id(parameter): (name, parameter) for name, parameter in built.named_parameters()}
    return {name: tuple(each.shape) for name, each in once.values()}


def parameters(model: Model) -> dict[str, tuple[int, ...]]:
    without = (
        SHAPELESS if model.kind == "embedding" else (*SHAPELESS, "max_position_embeddings")
    )  # a table of positions
    shape = {key: value for key, value in model.config.items() if key not in without}
    return shapes(json.dumps(shape, sort_keys=True), model.kind, "image" in model.modalities)


def test_only_these_have_code_of_their_own() -> None:
    assert {model.id for model in load().models.values() if not known(model)} == {*OWN_CODE, "AlphaFold2"}


@pytest.mark.parametrize("name", OWN_CODE)
def test_parameters_of_models_with_their_own_code_add_up(name: str) -> None:
    """Two tables, and per layer attention, a gated feed-forward and two norms; ChatGLM has biases at q, k and v."""
    model = load().models[name]
    config = model.config
    glm = config["model_type"] == "chatglm"
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    layers = config["num_layers" if glm else "num_hidden_layers"]
    wide = config["ffn_hidden_size" if glm else "intermediate_size"]
    groups = config["multi_query_group_num"] if glm else config.get("num_key_value_heads", heads)
    keys = groups * hidden // heads
    table = config["padded_vocab_size" if glm else "vocab_size"] * hidden
    biases = hidden + 2 * keys if glm else 0
    layer = 2 * hidden * hidden + 2 * hidden * keys + biases + 3 * hidden * wide + 2 * hidden
    assert model.parameters == 2 * table + layers * layer + hidden
    assert model.weight_bytes == 2 * model.parameters


@pytest.mark.parametrize("model", list(every()), ids=lambda model: model.id)
def test_parameters_are_what_the_architecture_gives(model: Model) -> None:
    sizes = {name: math.prod(shape) for name, shape in parameters(model).items()}
    assert sum(sizes.values()) == model.parameters
    assert sum(size for name, size in sizes.items() if "visual" in name) == model.vision_parameters


@pytest.mark.parametrize("model", list(every()), ids=lambda model: model.id)
def test_weight_bytes_are_what_the_architecture_and_the_quantization_give(model: Model) -> None:
    """Quantized linear layers have their bits, and per group a scale (and a zero); all else has the model's dtype."""
    quantization = model.config.get("quantization_config")
    if quantization is None:
        assert model.weight_bytes == model.parameters * WIDTH[model.config["dtype"]]
        return
    total = sum(held(name, shape, quantization) for name, shape in parameters(model).items())
    total += 14e9 if "multi-token prediction" in model.note else 0
    assert model.weight_bytes == pytest.approx(total, rel=0.01)


def held(name: str, shape: tuple[int, ...], quantization: dict[str, Any]) -> float:
    size = math.prod(shape)
    inside = ".layers." in name and name.endswith(("proj.weight", "gate_up_proj", "down_proj"))
    if not inside or "router" in name:
        return size * 2
    if quantization["quant_method"] == "fp8":
        return size * (1 + 4 / 128**2)
    group, bits = quantization["group_size"], quantization["bits"]
    order = 4 * size / shape[-2] if quantization["quant_method"] == "gptq" else 0  # GPTQ's index of groups, per input
    return size * bits / 8 + size / group * (2 + bits / 8) + order
