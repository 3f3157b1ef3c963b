"""Parameter counts of the catalog against what Transformers builds from the same config, on the meta device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from catalog import Model, load

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

WIDTH = {"float32": 4, "bfloat16": 2, "float16": 2}


def distinct() -> Iterator[Model]:
    """One model of each distinct size: layers and experts repeat, so many entries share a shape."""
    known = transformers.CONFIG_MAPPING.keys()
    seen = set()
    for model in load().models.values():
        shape = {key: value for key, value in model.config.items() if key not in ("quantization_config", "dtype")}
        shape.pop("max_position_embeddings", None)
        mark = json.dumps(shape, sort_keys=True)
        if shape.get("model_type") in known and mark not in seen:
            seen.add(mark)
            yield model


def build(model: Model) -> Any:
    config = {key: value for key, value in model.config.items() if key not in ("quantization_config", "model_type")}
    made = transformers.AutoConfig.for_model(model.config["model_type"], **config)
    maker = transformers.AutoModelForCausalLM
    if model.kind == "embedding":
        maker = transformers.AutoModel
    elif "image" in model.modalities:
        maker = transformers.AutoModelForImageTextToText
    with torch.device("meta"):
        built = maker.from_config(made)
    built.tie_weights()
    return built


@pytest.mark.parametrize("model", list(distinct()), ids=lambda model: model.id)
def test_parameters_and_weight_bytes_are_what_the_architecture_gives(model: Model) -> None:
    sizes = {id(parameter): (name, parameter.numel()) for name, parameter in build(model).named_parameters()}
    assert sum(size for _, size in sizes.values()) == model.parameters
    assert sum(size for name, size in sizes.values() if "visual" in name) == model.vision_parameters
    if "quantization_config" not in model.config:
        assert model.weight_bytes == model.parameters * WIDTH[model.config["dtype"]]
