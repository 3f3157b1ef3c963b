"""Exports of services that were edited after their import, or never imported."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from infra.stackfile.eas import export_service, import_service
from infra.stackfile.eas.launch import read_launch, write_command
from infra.stackfile.eas.tree import put

HUB = {"Qwen/Qwen2.5-7B-Instruct": "Qwen2.5-7B-Instruct"}
RAW: dict[str, Any] = {
    "metadata": {"name": "demo", "rolling_strategy": {"max_surge": "10%"}},
    "containers": [{"image": "r/pai-eas/vllm:1", "command": "vllm serve /m --port 8000 --swap-space 4", "port": 8000}],
    "cloud": {"computing": {"instances": [{"type": "ecs.a", "capacity": 3}, {"type": "ecs.b"}]}},
    "storage": [
        {"mount_path": "/m", "oss": {"path": "oss://bucket/m/", "endpoint": "e"}},
        {"mount_path": "/n", "nfs": {"server": "s", "path": "/"}},
        {"mount_path": "/e", "empty_dir": {"medium": "memory"}},
    ],
}


def edited(**changes: Any) -> dict[str, Any]:
    service = copy.deepcopy(import_service(RAW, hub=HUB).service)
    for path, value in changes.items():
        put(service, tuple(path.split("__")), value)
    return export_service("demo", service, hub=HUB).document


def test_the_command_is_kept_until_the_model_changes() -> None:
    assert edited()["containers"][0]["command"] == RAW["containers"][0]["command"]
    changed = edited(model="Qwen2.5-7B-Instruct")["containers"][0]
    assert changed == {
        "image": "r/pai-eas/vllm:1",
        "port": 8000,
        "command": "vllm serve Qwen/Qwen2.5-7B-Instruct --port 8000 --swap-space 4",
    }


def test_the_list_of_instance_types_is_kept_until_the_types_change() -> None:
    assert edited()["cloud"] == RAW["cloud"]
    changed = edited(resources={"instanceTypes": ["ecs.c"]})
    assert changed["cloud"]["computing"]["instances"] == [{"type": "ecs.c"}]


def test_a_percent_is_kept_until_the_surge_changes() -> None:
    assert edited()["metadata"]["rolling_strategy"] == {"max_surge": "10%"}
    assert edited(rollout={"surge": 4})["metadata"]["rolling_strategy"] == {"max_surge": 4}
    assert edited(rollout={"strategy": "recreate"})["metadata"]["rolling_strategy"] == {"max_surge": 0}


def test_mounts_that_are_taken_out_or_put_in_are_gone_or_there() -> None:
    mounts = [
        {"mountPath": "/m", "source": "s3://other", "readOnly": True},
        {"mountPath": "/new", "source": "empty://", "readOnly": False},
    ]
    assert edited(storage=mounts)["storage"] == [
        {"mount_path": "/m", "oss": {"path": "oss://other", "readOnly": True, "endpoint": "e"}},
        RAW["storage"][1],
        {"mount_path": "/new", "empty_dir": {}},
    ]


def test_replicas_become_an_autoscaler_when_they_differ() -> None:
    assert "autoscaler" not in edited(replicas={"min": 3, "max": 3})
    changed = edited(replicas={"min": 0, "max": 3, "target": {"qps": 5}})
    assert changed["metadata"]["instance"] == 1
    strategies = [{"metricName": "qps", "threshold": 5}]
    assert changed["autoscaler"] == {"min": 0, "max": 3, "scaleStrategies": strategies}
    assert edited(stopped=True)["metadata"]["instance"] == 0


def test_windows_and_cron_become_eas_behavior_and_jobs_with_seconds() -> None:
    cron = [{"name": "day", "schedule": "0 8 * * 1-5", "replicas": 4}, {"schedule": "0 20 * * *", "replicas": 1}]
    replicas = {"min": 0, "scaleUpSeconds": 5, "scaleDownSeconds": 60, "idleSeconds": 90, "activation": 2, "cron": cron}
    assert edited(replicas=replicas)["autoscaler"] == {
        "min": 0,
        "max": 4,
        "behavior": {
            "scaleUp": {"stabilizationWindowSeconds": 5},
            "scaleDown": {"stabilizationWindowSeconds": 60},
            "onZero": {"scaleDownGracePeriodSeconds": 90, "scaleUpActivationReplicas": 2},
        },
        "scaleJobs": [
            {"name": "day", "schedule": "0 0 8 * * 1-5", "targetSize": 4},
            {"schedule": "0 0 20 * * *", "targetSize": 1},
        ],
    }


def test_a_native_service_is_exported_with_eas_images_and_says_what_is_lost() -> None:
    service = {
        "model": "Qwen2.5-7B-Instruct",
        "method": "vllm",
        "auth": "none",
        "limits": {"queue": 3, "holdSeconds": 1},
    }
    exported = export_service("chat", service, hub=HUB)
    assert exported.document == {
        "metadata": {"name": "chat", "instance": 1, "rpc": {"max_queue_size": 3}},
        "containers": [
            {
                "image": "<registry>/pai-eas/vllm:0.14.0-gpu",
                "port": 8000,
                "command": "vllm serve Qwen/Qwen2.5-7B-Instruct --port 8000",
            }
        ],
    }
    assert {item.path for item in exported.report} == {"auth", "limits.holdSeconds", "containers[0].image"}


def test_of_several_versions_the_one_with_most_traffic_is_exported() -> None:
    versions = {"v1": {"model": "/a"}, "v2": {"model": "/b"}}
    service = {"method": "vllm", "versions": versions, "traffic": {"v1": 10, "v2": 90}}
    exported = export_service("chat", service)
    assert exported.document["containers"][0]["command"].startswith("vllm serve /b")
    assert exported.report[0].path == "versions.v1"
    chosen = export_service("chat", service, version="v1").document
    assert chosen["containers"][0]["command"].startswith("vllm serve /a")
    with pytest.raises(KeyError):
        export_service("chat", service, version="v3")


@pytest.mark.parametrize(
    ("container", "keys"),
    [
        (
            {"command": "vllm serve /m --port 8000 --tensor-parallel-size 2 --trust-remote-code --max-num-seqs=8"},
            {
                "method": "vllm",
                "model": "/m",
                "concurrency": 8,
                "engineArgs": {"tensorParallelSize": 2},
                "trust": {"remoteCode": True},
            },
        ),
        (
            {
                "script": "export A=1\nexec python3 -m vllm.entrypoints.openai.api_server "
                "--model Qwen/Qwen2.5-7B-Instruct"
            },
            {"method": "vllm", "model": "Qwen2.5-7B-Instruct"},
        ),
        (
            {"command": "blade_llm_server --model /m -tp 2 --dtype half --gamma 3 --port 8081"},
            {"method": "bladellm", "model": "/m", "engineArgs": {"tensorParallelSize": 2, "dtype": "half"}},
        ),
        (
            {"command": "python webui/webui_server.py --port=8000 --model-path=a/b --precision=fp16 --backend=vllm"},
            {"method": "standard", "model": "hf://a/b", "engine": "vllm", "engineArgs": {"dtype": "float16"}},
        ),
        (
            {"command": "python api/api_server.py --precision=bf16 --model-path=/data --model-type=qwen"},
            {"method": "standard", "model": "/data", "engineArgs": {"dtype": "bfloat16"}},
        ),
        ({"image": "h:5000/pai-eas/chat-llm-webui:3.0@sha256:1"}, {"method": "standard"}),
        ({"image": "h/pai-eas/blade-llm:0.9", "command": "run.sh"}, {"method": "bladellm"}),
        ({"image": "h/own:1", "command": "python app.py"}, {"method": "process"}),
        ({"image": "h/own:1", "command": "python 'unclosed"}, {"method": "process"}),
    ],
)
def test_launch_commands_say_method_model_and_arguments(container: dict[str, Any], keys: dict[str, Any]) -> None:
    assert read_launch(container, HUB).keys() == keys


@pytest.mark.parametrize(
    "service",
    [
        {
            "method": "vllm",
            "model": "/m",
            "context": 4096,
            "concurrency": 8,
            "engineArgs": {"enablePrefixCaching": True},
        },
        {
            "method": "vllm",
            "model": "hf://a/b",
            "engineArgs": {"gpuMemoryUtilization": 0.8},
            "trust": {"remoteCode": True},
        },
        {"method": "bladellm", "model": "/m", "engineArgs": {"tensorParallelSize": 2}},
        {"method": "standard", "model": "Qwen2.5-7B-Instruct", "engine": "vllm"},
    ],
)
def test_a_command_that_we_write_says_what_the_service_says(service: dict[str, Any]) -> None:
    command = write_command(service, {ours: theirs for theirs, ours in HUB.items()})
    assert read_launch({"command": command}, HUB).keys() == service
