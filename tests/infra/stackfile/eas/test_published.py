"""Files of the shapes that EAS's own pages publish, imported, loaded as a stack file, and exported again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from infra.stackfile import load
from infra.stackfile.eas import Outcome, export_service, import_service, normalise

HEALTH = {"http_get": {"path": "/health", "port": 8000}, "initial_delay_seconds": 120, "period_seconds": 10}
SGLANG = "python -m sglang.launch_server --model-path /model_dir --host 0.0.0.0 --port 8000"

FILES: dict[str, dict[str, Any]] = {
    "smallest": {
        "metadata": {"name": "demo", "instance": 1, "cpu": 2, "memory": 4000},
        "containers": [{"image": "registry.example/demo:latest", "port": 8000, "script": "python app.py"}],
        "cloud": {"computing": {"instances": [{"type": "ecs.c7a.large"}]}},
    },
    "vllm with a mount, a probe and an autoscaler": {
        "metadata": {"name": "qwen_autoscaling", "instance": 1, "workspace_id": "1405"},
        "containers": [
            {
                "image": "<registry>/pai-eas/vllm:0.14.0-gpu",
                "port": 8000,
                "command": "vllm serve /model_dir --port 8000 --trust-remote-code",
                "startup_check": {**HEALTH, "failure_threshold": 30},
                "liveness_check": {**HEALTH, "timeout_seconds": 10},
                "readiness_check": {"http_get": {"path": "/v1/models", "port": 8000}, "initial_delay_seconds": 150},
            }
        ],
        "storage": [{"mount_path": "/model_dir", "oss": {"path": "oss://bucket/qwen2.5-0.5b/", "readOnly": True}}],
        "cloud": {"computing": {"instance_type": "ecs.gn7i-c16g1.4xlarge"}},
        "autoscaler": {"min": 1, "max": 4, "scaleStrategies": [{"metricName": "qps", "threshold": 20}]},
    },
    "mixed resources, spot, GPU slicing and policies": {
        "metadata": {
            "name": "test_eascmd",
            "resource": "eas-r-9lkbl2jvdm0puv",
            "instance": 1,
            "gpu": 0,
            "cpu": 1,
            "memory": 2000,
            "gpu_memory": 10,
            "gpu_core_percentage": 10,
            "rdma": 1,
            "shm_size": 100,
            "rpc": {"keepalive": 5000, "io_threads": 4, "max_queue_size": 64, "worker_threads": 5, "rate_limit": 0},
            "rolling_strategy": {"max_surge": 1, "max_unavailable": 1},
            "eas.termination_grace_period": 30,
            "scheduling": {"spread": {"policy": "host"}},
        },
        "containers": [{"image": "r/x:1", "command": "python app.py"}],
        "cloud": {
            "computing": {
                "instances": [
                    {"type": "dedicated_resource", "capacity": 800},
                    {"type": "ecs.c7.4xlarge", "capacity": 200, "spot_price_limit": 3.6},
                ],
                "disable_spot_protection_period": True,
            },
            "networking": {"vpc_id": "v", "vswitch_id": "s", "security_group_id": "g"},
        },
        "networking": {"gateway": "gw-m2vkzbpixm7mo"},
        "features": {"eas.aliyun.com/extra-ephemeral-storage": "100Gi"},
    },
    "network load balancer": {
        "metadata": {"name": "balanced", "instance": 2},
        "containers": [{"image": "r/x:1", "command": "python app.py"}],
        "cloud": {"computing": {"instance_type": "ecs.c7.large"}, "networking": {"vswitch_id": "vsw-1, vsw-2"}},
        "networking": {"nlb": [{"id": "default", "listener_port": 8000, "netType": "intranet"}]},
    },
    "SGLang": {
        "metadata": {"name": "sglang_demo", "instance": 1},
        "containers": [{"image": "r/pai-eas/sglang:0.5", "command": SGLANG, "startup_check": HEALTH}],
        "storage": [{"mount_path": "/model_dir", "oss": {"path": "oss://bucket/m/"}}],
        "cloud": {"computing": {"instance_type": "ecs.gn7i-c16g1.4xlarge"}},
    },
    "two small GPUs": {
        "metadata": {"name": "small_gpu", "instance": 2, "enable_webservice": "true"},
        "containers": [
            {
                "image": "r/pai-eas/chat-llm-webui:2.1",
                "command": "python webui/webui_server.py --port=8000 --model-path=Qwen/Qwen-7B-Chat",
            }
        ],
        "cloud": {"computing": {"instances": [{"type": "ecs.gn6i-c4g1.xlarge"}]}},
    },
    "a resource group, no cloud": {
        "metadata": {"name": "dedicated", "instance": 1, "resource": "eas-r-1", "gpu": 1, "cpu": 4, "memory": 8000},
        "containers": [{"image": "r/pai-eas/vllm:1", "command": "vllm serve Qwen/Qwen2.5-7B-Instruct"}],
    },
    "BladeLLM": {
        "metadata": {"name": "blade", "instance": 1, "gpu": 1, "cpu": 8, "memory": 30000},
        "containers": [
            {"image": "r/pai-eas/blade-llm:0.9", "port": 8081, "command": "blade_llm_server --model org/name"}
        ],
        "cloud": {"computing": {"instances": [{"type": "ecs.gn7i-c16g1.4xlarge"}]}},
    },
    "as a catalogue gives it, without a name": {
        "metadata": {"cpu": 248, "disk": 850, "gpu": 8, "instance": 1, "memory": 2744000, "shm_size": 512},
        "containers": [{"image": "r/sglang:1", "command": SGLANG, "port": 8000}],
    },
    "as EAS describes a running service": {
        "metadata": {
            "name": "described",
            "instances": None,
            "instance": 1,
            "cpu": 1,
            "region": "cn",
            "caller_uid": "1",
        },
        "containers": [{"image": "r/x:1", "command": "python app.py"}],
        "credential": {"generate_token": "true", "token": "hush", "docker_auth": "hush", "private_token": "hush"},
        "rpc": {"enable_sigterm": False, "keepalive": 600000},
        "networking": {"traffic_state": "Standalone"},
        "runtime": {"termination_grace_period": 30, "enable_crash_block": False},
        "options": {"priority": 9},
        "unit": {"size": 1},
    },
}


@pytest.mark.parametrize("raw", FILES.values(), ids=FILES)
def test_a_published_file_is_imported_and_comes_back(raw: dict[str, Any], tmp_path: Path) -> None:
    imported = import_service(raw, name="given")
    wanted = normalise(raw)[0]
    wanted["metadata"].setdefault("name", "given")
    wanted.pop("credential", None)  # private_token: a secret without a documented place
    assert export_service(imported.name, imported.service, secrets=imported.secrets).document == wanted
    groups = {"eas-r-9lkbl2jvdm0puv", "eas-r-1"}
    pools = {name: {"instanceTypes": ["ecs.gn7i-c16g1.4xlarge"], "nodes": {"max": 1}} for name in groups}
    config = {"resourceGroups": pools, "services": {imported.name: imported.service}}
    stack = load(config, folder=tmp_path, built_only=False)
    assert list(stack.services) == [imported.name]


def test_every_leaf_of_every_published_file_is_in_the_report() -> None:
    for raw in FILES.values():
        imported = import_service(raw, name="given")
        told = {item.path for item in imported.report}
        assert "metadata.instance" in told
        assert not any(item.outcome is Outcome.WARNING and "unknown" in item.text for item in imported.report), told
