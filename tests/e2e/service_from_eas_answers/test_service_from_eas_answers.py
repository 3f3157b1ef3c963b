"""A service that begins with an EAS service.json: the real model answers; an edit of the file is a diff."""

from __future__ import annotations

import json

import pytest

from tests.e2e.harness import Project, ask

RAW = {
    "metadata": {"name": "legacy", "instance": 1, "cpu": 1, "memory": 4096, "shm_size": 8},
    "containers": [
        {
            "image": "registry.example/pai-eas/chat-llm-webui:3.0",
            "port": 8000,
            "command": "python webui/webui_server.py --port=8000 --model-path=HuggingFaceTB/SmolLM2-135M-Instruct",
        }
    ],
}


@pytest.mark.model
def test_a_service_json_is_deployed_and_its_edit_is_the_diff(project: Project) -> None:
    file = project.folder / "service.json"
    file.write_text(json.dumps(RAW))
    project.write({"legacy": {"eas": "./service.json"}})
    assert "shm_size" in project.up()
    answer = ask(project.endpoint, "legacy", project.token("legacy"), "What is the capital of Canada?", do_sample=False)
    assert "Ottawa" in answer.text
    project.assert_no_changes()
    file.write_text(json.dumps(RAW | {"metadata": RAW["metadata"] | {"instance": 0}}))
    preview = project.preview()
    assert "+ stopped" in preview
    assert "replace" not in preview
