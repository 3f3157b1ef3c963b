"""The real vLLM on the default model: OpenAI's SDK, ChatLLM, BladeLLM's dialect and a LoRA adapter."""

from __future__ import annotations

import json
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import torch
from safetensors.torch import save_file

from runtime.replica.sources.embedded import embedded_model_folder
from tests.e2e.harness import Project, ask, ask_stream

QUESTION = "What is the capital of Canada?"
MODEL = "SmolLM2-135M-Instruct"


def make_adapter(folder: Path) -> Path:
    """A LoRA adapter that changes nothing much: rank 8 on one projection, B is zero."""
    config = json.loads((embedded_model_folder() / "config.json").read_text())
    hidden, name = config["hidden_size"], "base_model.model.model.layers.0.self_attn.q_proj"
    folder.mkdir()
    weights = {f"{name}.lora_A.weight": torch.ones(8, hidden), f"{name}.lora_B.weight": torch.zeros(hidden, 8)}
    save_file(weights, folder / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA", "r": 8, "lora_alpha": 8, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM",
        "base_model_name_or_path": MODEL, "bias": "none",
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    """Both methods side by side; eager, since compiling would take most of the time."""
    with tempfile.TemporaryDirectory(prefix="ife-") as folder, Project(Path(folder)) as made:
        common: dict[str, Any] = {"model": MODEL, "context": 1024, "concurrency": 8}
        common |= {"engine": "vllm", "engineArgs": {"enforceEager": True}}
        tools = {**common["engineArgs"], "enableAutoToolChoice": True, "toolCallParser": "hermes"}
        adapter = make_adapter(Path(folder) / "legal")
        made.write(
            {
                "open": {**common, "method": "vllm", "adapters": {"legal": str(adapter)}, "engineArgs": tools},
                "blade": {**common, "method": "bladellm"},
            }
        )
        made.up()
        yield made


def client(project: Project) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{project.endpoint}/api/predict/open/v1", api_key=project.token("open"))


@pytest.mark.timeout(600)
def test_the_openai_sdk_reaches_vllm_itself(project: Project) -> None:
    sdk = client(project)
    assert sdk.models.list().data[0].id == MODEL
    asked: Any = [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]
    whole = sdk.chat.completions.create(model="default", messages=asked, temperature=0, max_tokens=12)
    assert "Ottawa" in str(whole.choices[0].message.content)
    pieces = sdk.chat.completions.create(model=MODEL, messages=asked, temperature=0, max_tokens=12, stream=True)
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == whole.choices[0].message.content
    with pytest.raises(openai.NotFoundError):
        sdk.chat.completions.create(model="nobody", messages=asked)


def test_an_adapter_is_listed_and_answers(project: Project) -> None:
    sdk = client(project)
    assert "legal" in [model.id for model in sdk.models.list().data]
    asked: Any = [{"role": "user", "content": QUESTION}]
    told = sdk.chat.completions.create(model="legal", messages=asked, temperature=0, max_tokens=12)
    assert "Ottawa" in str(told.choices[0].message.content)


def test_chatllm_is_at_the_root(project: Project) -> None:
    answer = ask(project.endpoint, "open", project.token("open"), QUESTION, do_sample=False, max_new_tokens=12)
    assert "Ottawa" in answer.text
    records = ask_stream(project.endpoint, "open", project.token("open"), QUESTION, do_sample=False, max_new_tokens=12)
    assert len(records) > 2
    assert records[-1] == answer.text


def test_bladellm_guides_a_choice_and_counts_while_it_streams(project: Project) -> None:
    def post(path: str, body: dict[str, Any]) -> bytes:
        url = f"{project.endpoint}/api/predict/blade{path}"
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Authorization": project.token("blade")}, method="POST"
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            return bytes(reply.read())

    asked = {"messages": [{"role": "user", "content": "Yes or no?"}], "guided_choice": ["yes", "no"], "temperature": 0}
    told = json.loads(post("/v1/chat/completions", asked))
    assert told["choices"][0]["message"]["content"] in ("yes", "no")
    stream = post("/v1/completions", {"prompt": "The capital of Canada is", "stream": "true", "max_tokens": 5})
    chunks = [json.loads(line[6:]) for line in stream.split(b"\n") if line.startswith(b"data: {")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert chunks[-1]["usage"]["completion_tokens"] == 5


def test_tools_of_the_sdk_reach_vllms_own_parser(project: Project) -> None:
    """So small a model names the function, and may not manage its arguments: then vLLM gives its words as content."""
    cities = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"]}
    tool: Any = {"type": "function", "function": {"name": "weather", "parameters": cities}}
    choice: Any = {"type": "function", "function": {"name": "weather"}}
    asked: Any = [{"role": "user", "content": "How is the weather in Ottawa?"}]
    told = client(project).chat.completions.create(
        model="default", messages=asked, tools=[tool], tool_choice=choice, temperature=0, max_tokens=40
    )
    message = told.choices[0].message
    called = [call.function.name for call in message.tool_calls or [] if call.type == "function"]
    assert "weather" in (*called, *(message.content or "").split('"'))
