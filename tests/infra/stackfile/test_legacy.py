"""A service that begins with an EAS service.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.stackfile import StackFileErrors, load

RAW: dict[str, Any] = {
    "metadata": {"name": "legacy", "instance": 2, "cpu": 2, "memory": 4096, "shm_size": 8},
    "containers": [
        {
            "image": "r/pai-eas/chat-llm-webui:3.0",
            "command": "python webui/webui_server.py --port=8000 --model-path=Qwen/Qwen2.5-0.5B-Instruct",
        }
    ],
}


def described(folder: Path, **metadata: Any) -> Path:
    raw = {**RAW, "metadata": {**RAW["metadata"], **metadata}}
    (folder / "service.json").write_text(json.dumps(raw))
    return folder


def errors_of(config: dict[str, Any], folder: Path) -> list[str]:
    with pytest.raises(StackFileErrors) as caught:
        load(config, folder=folder)
    return [str(error) for error in caught.value.errors]


def test_a_service_is_what_its_service_json_says_and_keys_beside_it_override_it(tmp_path: Path) -> None:
    own = {"replicas": {"max": 4}, "limits": {"queue": 3}, "stopped": True}
    services = {"legacy": {"eas": "./service.json", **own}}
    stack = load({"services": services}, folder=described(tmp_path))
    service = stack.services["legacy"]
    version = service.versions["main"]
    assert (version.model, service.stopped, service.limits.queue) == ("Qwen2.5-0.5B-Instruct", True, 3)
    assert (version.replicas.min, version.replicas.max) == (2, 4)
    assert service.resources.memory_gib == 4
    assert service.extra["metadata"]["shm_size"] == 8
    assert stack.declared["legacy"]["model"] == "Qwen2.5-0.5B-Instruct"


def test_what_has_no_meaning_here_is_a_warning(tmp_path: Path) -> None:
    stack = load({"services": {"legacy": {"eas": "service.json"}}}, folder=described(tmp_path, cuda="11.2"))
    texts = [str(warning) for warning in stack.warnings]
    assert any("metadata.cuda: has no meaning outside Alibaba Cloud" in text for text in texts)
    assert any("metadata.shm_size" in text and "import-eas" in text for text in texts)


def test_another_name_in_the_file_is_a_warning_with_both_urls(tmp_path: Path) -> None:
    stack = load({"services": {"chat": {"eas": "service.json"}}}, folder=described(tmp_path))
    assert "/api/predict/chat, not /api/predict/legacy" in str(stack.warnings[0])


def test_a_refused_service_json_is_an_error_of_that_service_alone(tmp_path: Path) -> None:
    services = {"legacy": {"eas": "service.json"}, "chat": {"model": "./nowhere"}}
    found = errors_of({"services": services}, described(tmp_path, cpu="two", instance=-1))
    assert len(found) == 3
    assert found[0].startswith("services.legacy.eas: service.json: metadata.")
    assert found[2].startswith("services.chat.model")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("servce.json", "did you mean service.json?"),
        (3, "must be the path"),
        ("bad.json", "is not JSON"),
        ("x.yaml", "no object"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_error(tmp_path: Path, file: Any, text: str) -> None:
    described(tmp_path)
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "x.yaml").write_text("- 1\n")
    (found,) = errors_of({"services": {"legacy": {"eas": file}}}, tmp_path)
    assert text in found


def test_what_the_target_cannot_do_is_said_by_path(tmp_path: Path) -> None:
    (tmp_path / "service.json").write_text(json.dumps({"metadata": {"name": "old", "cpu": 1}, "processor": "pmml"}))
    found = errors_of({"services": {"old": {"eas": "service.json"}}}, tmp_path)
    assert found[0].startswith("services.old.method: is not available on target local yet")


def test_a_model_inside_a_mount_need_not_be_on_this_machine() -> None:
    mount = {"mountPath": "/model_dir", "source": "s3://bucket/m"}
    service = {"model": "/model_dir/a", "storage": [mount]}
    stack = load({"services": {"chat": service}}, folder=Path("."), built_only=False)
    assert stack.services["chat"].versions["main"].model == "/model_dir/a"
