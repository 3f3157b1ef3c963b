"""The cache term against vLLM's own code. Needs vLLM's virtual environment (`scripts/setup --vllm`)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from infra.plan.architecture import read
from infra.plan.fit import Split, kv_bytes_per_token
from runtime.contract.paths import vllm_python
from tests.infra.plan.stacks import CATALOG
from tests.needs import needs

MODELS = {  # few architectures: vLLM looks into each in a process of its own
    "SmolLM2-135M-Instruct": "LlamaForCausalLM",
    "Llama-2-7b-chat": "LlamaForCausalLM",
    "Llama-3.1-70B-Instruct": "LlamaForCausalLM",
    "Qwen2.5-0.5B-Instruct": "Qwen2ForCausalLM",
    "Qwen2.5-7B-Instruct": "Qwen2ForCausalLM",
    "DeepSeek-R1": "DeepseekV3ForCausalLM",
}
TENSOR = (1, 2, 4, 8)


@needs("vLLM", vllm_python().exists())
@pytest.mark.timeout(300)
def test_the_cache_of_a_token_is_as_large_as_vllm_says(tmp_path: Path) -> None:
    wanted = {}
    for name, architecture in MODELS.items():
        config = {key: value for key, value in CATALOG.models[name].config.items() if key != "quantization_config"}
        shape = read(config)
        tensors = [tensor for tensor in TENSOR if shape.heads % tensor == 0]
        wanted[name] = ({**config, "architectures": [architecture], "torch_dtype": "bfloat16"}, tensors)
    answer = tmp_path / "answer.json"
    script = Path(__file__).with_name("vllm_cache_bytes.py")
    done = subprocess.run(
        [vllm_python(), script, answer],
        input=json.dumps(wanted),
        text=True,
        capture_output=True,
        timeout=280,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "VLLM_LOGGING_LEVEL": "ERROR"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(answer.read_text())
    for name, (config, tensors) in wanted.items():
        ours = [kv_bytes_per_token(read(config), Split(tensor=tensor), width=2) for tensor in tensors]
        assert ours == said[name], name
