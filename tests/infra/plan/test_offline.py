"""What a mirror covers."""

from __future__ import annotations

import pytest

from infra.plan.offline import covered
from tests.infra.plan.stacks import plan


@pytest.mark.parametrize(
    ("source", "mirrors", "inside"),
    [
        ("/models/qwen", [], True),
        ("embedded://SmolLM2-135M-Instruct", [], True),
        ("s3://models/qwen", [], False),
        ("s3://models/qwen", ["s3://models"], True),
        ("s3://models-of-others/qwen", ["s3://models"], False),
        ("hf://Qwen/Qwen2.5-7B-Instruct@abc", ["hf://Qwen/Qwen2.5-7B-Instruct"], True),
        ("hf://Qwen/Qwen2.5-7B-Instruct", ["hf+https://hub.example"], True),
        ("modelscope://Qwen/Qwen2.5-7B-Instruct", ["hf+https://hub.example"], False),
        ("registry.example/inferform@sha256:abc", ["registry.example"], True),
        ("registry.example.org/inferform", ["registry.example"], False),
        ("git+https://host/repository@0123456", ["git+https://host"], True),
    ],
)
def test_a_mirror_covers_what_begins_with_it(source: str, mirrors: list[str], inside: bool) -> None:
    assert covered(source, mirrors) is inside


def test_offline_names_every_source_outside_the_mirrors() -> None:
    text = """
    offline: true
    mirrors: [registry.example]
    target: {kind: kubernetes, image: elsewhere.example/inferform}
    services:
      chat:
        model: hf://Qwen/Qwen2.5-7B-Instruct@0123456789abcdef0123456789abcdef01234567
        method: vllm
        storage: [{mountPath: /data, source: s3://bucket/data}, {mountPath: /own, source: empty://}]
    """
    found = {finding.path for finding in plan(text).findings if finding.rule == "offline-source"}
    assert found == {"services.chat.model", "services.chat.storage[0].source", "target.image"}


def test_the_default_model_passes_offline() -> None:
    assert not plan("{offline: true, services: {chat: {model: SmolLM2-135M-Instruct}}}").errors
