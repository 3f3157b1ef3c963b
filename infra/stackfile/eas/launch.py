"""What a container's command starts: the method, the model and the engine's arguments. Read, and written anew. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic.alias_generators import to_camel

from infra.stackfile.sources import is_path

PORT = 8000
IMAGES = {
    "standard": "<registry>/pai-eas/chat-llm-webui:3.0",
    "vllm": "<registry>/pai-eas/vllm:0.14.0-gpu",
    "bladellm": "<registry>/pai-eas/blade-llm:latest",
}
"""What an export names when it was not an import: EAS's own images, by the suffix that marks them."""
SUFFIXES = {"pai-eas/chat-llm-webui": "standard", "pai-eas/vllm": "vllm", "pai-eas/blade-llm": "bladellm"}
BLADE = {
    "tensor_parallel_size": "tensorParallelSize",
    "tp": "tensorParallelSize",
    "pipeline_parallel_size": "pipelineParallelSize",
    "max_gpu_memory_utilization": "gpuMemoryUtilization",
    "chat_template": "chatTemplate",
    "tokenizer_dir": "tokenizer",
    "dtype": "dtype",
}
"""BladeLLM's options that have a meaning for the engine behind it."""
PRECISION = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}
IGNORED = ("port", "host", "listen", "model-type")
"""Where to listen is the host's to say; the model says its own type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What is started. `model` is a stack file's source; `unknown` are options that nothing here understands."""

    method: str
    model: str | None = None
    engine: str | None = None
    context: int | None = None
    concurrency: int | None = None
    engine_args: Mapping[str, Any] = field(default_factory=dict)
    remote_code: bool = False
    unknown: tuple[str, ...] = ()

    def keys(self) -> dict[str, Any]:
        """The stack file's keys, those that are set."""
        keys: dict[str, Any] = {"method": self.method}
        for key, value in (
            ("model", self.model),
            ("engine", self.engine),
            ("context", self.context),
            ("concurrency", self.concurrency),
        ):
            if value is not None:
                keys[key] = value
        if self.engine_args:
            keys["engineArgs"] = dict(self.engine_args)
        if self.remote_code:
            keys["trust"] = {"remoteCode": True}
        return keys


def read_launch(container: Mapping[str, Any], hub: Mapping[str, str]) -> Launch:
    """What a container starts. `hub` maps a hub's `org/name` to the id of the catalog's model.

    1. A line that begins with `vllm serve`, vLLM's or BladeLLM's server or ChatLLM's scripts says all.
    2. Else the image's suffix says the method, and the model is unknown.
    3. Else it is a process.
    """
    for words in _lines(container):
        if launch := _read_line(words, hub):
            return launch
    image = str(container.get("image", ""))
    path = image.partition("@")[0]
    path = path.rpartition(":")[0] if ":" in path.rpartition("/")[2] else path
    method = next((method for suffix, method in SUFFIXES.items() if path.endswith(suffix)), "process")
    return Launch(method=method)


def write_command(service: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """The command that starts a service's one version under EAS. `names`: a catalog id to its hub's `org/name`."""
    model = _hub_name(str(service.get("model", "")), names)
    arguments = dict(service.get("engineArgs", {}))
    method = service.get("method", "standard")
    if method == "standard":
        words = ["python", "webui/webui_server.py", f"--port={PORT}", f"--model-path={model}"]
        words += ["--backend=vllm"] if service.get("engine") == "vllm" else []
        return shlex.join(words)
    if method == "bladellm":
        words = ["blade_llm_server", "--model", model, "--port", str(PORT)]
        known = {name: option for option, name in BLADE.items() if option != "tp"}
        options = [(known[name], value) for name, value in arguments.items() if name in known]
        return shlex.join(words + [word for option, value in options for word in (f"--{option}", _as_word(value))])
    words = ["vllm", "serve", model, "--port", str(PORT)]
    words += ["--max-model-len", str(service["context"])] if "context" in service else []
    words += ["--max-num-seqs", str(service["concurrency"])] if "concurrency" in service else []
    words += ["--trust-remote-code"] if service.get("trust", {}).get("remoteCode") else []
    for name, value in arguments.items():
        option = "--" + re.sub(r"([A-Z])", lambda match: f"-{match[1].lower()}", name)
        words += [] if value is False else [option] if value is True else [option, _as_word(value)]
    return shlex.join(words)


def _lines(container: Mapping[str, Any]) -> Iterator[list[str]]:
    command = container.get("command")
    extra = [str(each) for each in container.get("args", [])] if isinstance(container.get("args"), list) else []
    if isinstance(command, list):
        yield [str(each) for each in command] + extra
    elif isinstance(command, str):
        yield from ([*words, *extra] for words in _split(command))
    script = container.get("script")
    if isinstance(script, str):
        for line in re.split(r"[\n;]|&&", script.replace("\\\n", " ")):
            yield from _split(line)


def _split(line: str) -> list[list[str]]:
    try:
        words = shlex.split(line)
    except ValueError:
        return []
    return [words] if words else []


def _read_line(words: list[str], hub: Mapping[str, str]) -> Launch | None:
    while words and (words[0] in ("exec", "nohup") or re.fullmatch(r"[A-Za-z_]\w*=.*", words[0])):
        words = words[1:]
    if not words:
        return None
    program, text = words[0].rpartition("/")[2], " ".join(words)
    if program == "vllm" and words[1:2] == ["serve"]:
        return _vllm(words[2:], hub)
    if re.match(r"\S*python3? -m vllm\.entrypoints\.openai\.api_server\b", text):
        return _vllm(words[3:], hub)
    if program == "blade_llm_server":
        return _blade(words[1:], hub)
    if re.match(r"\S*python3? (\S*/)?(webui_server|api_server)\.py\b", text):
        return _chatllm(words[2:], hub)
    return None


def _options(words: list[str]) -> tuple[list[str], list[tuple[str, Any]]]:
    """Words that are no options, and options in order; one without a value is true."""
    plain: list[str] = []
    options: list[tuple[str, Any]] = []
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if not re.match(r"--?[A-Za-z]", word):
            plain.append(word)
            continue
        name, mark, value = word.lstrip("-").partition("=")
        if mark:
            options.append((name, _value(value)))
        elif index < len(words) and not re.match(r"--?[A-Za-z]", words[index]):
            options.append((name, _value(words[index])))
            index += 1
        else:
            options.append((name, True))
    return plain, options


def _value(word: str) -> Any:
    if re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", word):
        return json.loads(word) if not re.match(r"-?0\d", word) else word
    return word


def _vllm(words: list[str], hub: Mapping[str, str]) -> Launch:
    # `vllm serve --flag MODEL`: a flag in front would take the model for its value, so the model is looked for first.
    plain, options = _options(words)
    arguments: dict[str, Any] = {}
    found: dict[str, Any] = {}
    model = plain[0] if plain else None
    for name, value in options:
        name = name.replace("_", "-")
        if name == "model":
            model = str(value)
        elif name == "max-model-len" and isinstance(value, int) and value > 0:
            found["context"] = value
        elif name == "max-num-seqs" and isinstance(value, int) and value > 0:
            found["concurrency"] = value
        elif name == "trust-remote-code":
            found["remote_code"] = True
        elif name not in IGNORED:
            arguments[to_camel(name.replace("-", "_"))] = value
    return Launch(method="vllm", model=_source(model, hub), engine_args=arguments, unknown=tuple(plain[1:]), **found)


def _blade(words: list[str], hub: Mapping[str, str]) -> Launch:
    plain, options = _options(words)
    model: str | None = None
    arguments: dict[str, Any] = {}
    unknown = list(plain)
    for name, value in options:
        if name == "model":
            model = str(value)
        elif name in BLADE:
            arguments[BLADE[name]] = value
        elif name not in IGNORED:
            unknown.append(f"--{name}")
    return Launch(method="bladellm", model=_source(model, hub), engine_args=arguments, unknown=tuple(unknown))


def _chatllm(words: list[str], hub: Mapping[str, str]) -> Launch:
    plain, options = _options(words)
    found: dict[str, Any] = {}
    unknown = list(plain)
    for name, value in options:
        if name == "model-path":
            found["model"] = _source(str(value), hub)
        elif name == "precision":
            found["engine_args"] = {"dtype": PRECISION.get(str(value), str(value))}
        elif name == "backend" and value == "vllm":
            found["engine"] = "vllm"
        elif name not in IGNORED:
            unknown.append(f"--{name}")
    return Launch(method="standard", unknown=tuple(unknown), **found)


def _source(model: str | None, hub: Mapping[str, str]) -> str | None:
    """A model as the stack file writes it: a catalog id where a hub's name has one, else the hub's."""
    if model is None or is_path(model) or "://" in model:
        return model
    if model in hub:
        return hub[model]
    return f"hf://{model}" if "/" in model else model


def _hub_name(model: str, names: Mapping[str, str]) -> str:
    for scheme in ("hf://", "modelscope://"):
        if model.startswith(scheme):
            return model.removeprefix(scheme).partition("@")[0]
    return names.get(model, model)


def _as_word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
