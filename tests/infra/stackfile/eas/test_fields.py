"""One case per row of the service specification's section 1: what it becomes, that it comes back, what refuses it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from infra.stackfile import StackFileErrors
from infra.stackfile.eas import Outcome, export_service, import_service, normalise
from infra.stackfile.eas.tree import get, put
from infra.stackfile.errors import ABSENT

BASE: dict[str, Any] = {
    "metadata": {"name": "demo", "instance": 1, "cpu": 2, "memory": 4096},
    "containers": [{"image": "registry.example/demo:1", "script": "vllm serve /model --port 8000", "port": 8000}],
    "cloud": {"computing": {"instances": [{"type": "ecs.c7a.large"}]}},
}
GRACE = "eas.termination_grace_period"
VPC = {"vpc_id": "v", "vswitch_id": "a,b", "security_group_id": "s"}


def document(changes: dict[str, Any]) -> dict[str, Any]:
    """The base with values set by dotted path; None takes one away."""
    changed = copy.deepcopy(BASE)
    for path, value in changes.items():
        words = tuple(int(word) if word.isdigit() else word for word in path.split("/"))
        put(changed, words, value)
    return changed


def round_trip(raw: dict[str, Any]) -> None:
    imported = import_service(raw)
    json.dumps(imported.service)
    exported = export_service(imported.name, imported.service, secrets=imported.secrets)
    assert exported.document == normalise(raw)[0]


MAPPED: list[tuple[str, dict[str, Any], str, Any]] = [
    ("1.1 containers", {}, "method", "vllm"),
    ("1.1 autoscaler", {"autoscaler": {"min": 1, "max": 3}}, "replicas", {"min": 1, "max": 3}),
    ("1.2 instance", {"metadata/instance": 3}, "replicas", {"min": 3, "max": 3}),
    ("1.2 instance 0", {"metadata/instance": 0}, "stopped", True),
    ("1.2 instance absent (C7)", {"metadata/instance": None}, "replicas", {"min": 1, "max": 1}),
    ("1.2 cpu", {"metadata/cpu": "4"}, "resources/cpus", 4),
    ("1.2 memory", {"metadata/memory": 2000}, "resources/memoryGiB", 1.953125),
    ("1.2 gpu", {"metadata/gpu": 1}, "resources/gpus", 1),
    ("1.2 gpu_core_percentage", {"metadata/gpu": 0, "metadata/gpu_core_percentage": 10}, "resources/gpuFraction", 0.1),
    ("1.2 resource", {"metadata/resource": "eas-r-9lk", "cloud": None}, "resources/group", "eas-r-9lk"),
    ("1.2 quota_id (C12)", {"metadata/quota_id": "quota1", "cloud": None}, "resources/quota", "quota1"),
    ("1.2 enable_webservice", {"metadata/enable_webservice": "true"}, "webui", True),
    ("1.3 keepalive", {"metadata/rpc/keepalive": 60000}, "limits/requestSeconds", 60),
    ("1.3 max_queue_size", {"metadata/rpc/max_queue_size": 32}, "limits/queue", 32),
    ("1.3 rate_limit", {"metadata/rpc/rate_limit": 10}, "limits/qpsPerReplica", 10),
    ("1.3 max_surge", {"metadata/rolling_strategy/max_surge": 2}, "rollout", {"surge": 2}),
    ("1.3 max_surge 0", {"metadata/rolling_strategy/max_surge": 0}, "rollout", {"strategy": "recreate"}),
    ("1.3 max_surge % (C5)", {"metadata/rolling_strategy/max_surge": "2%"}, "rollout", {"surge": 1}),
    (
        "1.4 instances in order",
        {"cloud/computing/instances": [{"type": "ecs.b"}, {"type": "ecs.a"}]},
        "resources/instanceTypes",
        ["ecs.b", "ecs.a"],
    ),
    (
        "1.4 spot_price_limit",
        {"cloud/computing/instances": [{"type": "ecs.a", "spot_price_limit": 3.6}]},
        "resources/spot",
        {"maxPerHour": 3.6},
    ),
    ("1.4 instance_type", {"cloud/computing": {"instance_type": "ecs.a"}}, "resources/instanceTypes", ["ecs.a"]),
    (
        "1.4 capacity",
        {"cloud/computing/instances": [{"type": "ecs.a", "capacity": "20%"}, {"type": "ecs.b"}]},
        "resources/instanceTypes",
        ["ecs.a", "ecs.b"],
    ),
    ("1.5 env", {"containers/0/env": [{"name": "A", "value": "b"}]}, "env", {"A": "b"}),
    ("1.5 command", {"containers/0/script": None, "containers/0/command": "vllm serve q/m"}, "model", "hf://q/m"),
    ("1.5 script", {"containers/0/script": "cd /x && vllm serve /m --max-model-len 4096"}, "context", 4096),
    (
        "1.5 args",
        {
            "containers/0/script": None,
            "containers/0/command": "vllm serve",
            "containers/0/args": ["/m", "--dtype", "half"],
        },
        "engineArgs",
        {"dtype": "half"},
    ),
    (
        "1.5 startup_check",
        {"containers/0/startup_check": {"http_get": {"path": "/health", "port": 8000}, "period_seconds": 10}},
        "probes/startup",
        {"httpPath": "/health", "periodSeconds": 10},
    ),
    (
        "1.5 startup_check without timings (C4)",
        {"containers/0/startup_check": {"tcp_socket": {"port": 8000}}},
        "probes/startup",
        {"tcpPort": 8000, "initialDelaySeconds": 60, "failureThreshold": 30},
    ),
    (
        "1.5 liveness_check",
        {"containers/0/liveness_check": {"exec": {"command": ["cat", "/x"]}}},
        "probes/liveness",
        {"command": ["cat", "/x"]},
    ),
    (
        "1.5 readiness_check",
        {"containers/0/readiness_check": {"http_get": {"path": "/r", "scheme": "HTTP"}}},
        "probes/readiness",
        {"httpPath": "/r"},
    ),
    (
        "1.5 health_check",
        {"containers/0/health_check": {"tcp_socket": {"port": 8000}}},
        "probes",
        {"liveness": {"tcpPort": 8000}, "readiness": {"tcpPort": 8000}},
    ),
    (
        "1.6 rate_limit",
        {"networking": {"gateway_policy": {"rate_limit": {"enable": True, "limit": 9}}}},
        "limits/qps",
        9,
    ),
    (
        "1.6 concurrency_limit",
        {"networking": {"gateway_policy": {"concurrency_limit": {"enable": "true", "limit": "7"}}}},
        "limits/concurrency",
        7,
    ),
    (
        "1.7 oss",
        {"storage": [{"mount_path": "/d", "oss": {"path": "oss://b12/p/", "readOnly": "true", "endpoint": "e"}}]},
        "storage",
        [{"mountPath": "/d", "source": "s3://b12/p/", "readOnly": True}],
    ),
    (
        "1.7 oss, the other spelling (C18)",
        {"storage": [{"mount_path": "/d", "oss": {"path": "oss://b12/p/", "read_only": False}}]},
        "storage",
        [{"mountPath": "/d", "source": "s3://b12/p/", "readOnly": False}],
    ),
    (
        "1.7 git with a commit",
        {"storage": [{"mount_path": "/d", "git": {"repo": "https://h/r.git", "branch": "b", "commit": "a" * 40}}]},
        "storage",
        [{"mountPath": "/d", "source": f"git+https://h/r.git@{'a' * 40}", "readOnly": True}],
    ),
    (
        "1.7 empty_dir",
        {"storage": [{"mount_path": "/d", "empty_dir": {}}]},
        "storage",
        [{"mountPath": "/d", "source": "empty://", "readOnly": False}],
    ),
    (
        "1.7 empty_dir in memory, properties",
        {
            "storage": [
                {"mount_path": "/dev/shm", "empty_dir": {"medium": "memory", "size_limit": 8}},
                {"mount_path": "/m", "oss": {"path": "oss://b12"}, "properties": {"resource_type": "model"}},
            ]
        },
        "storage",
        [
            {"mountPath": "/dev/shm", "source": "empty://", "readOnly": False},
            {"mountPath": "/m", "source": "s3://b12", "readOnly": False},
        ],
    ),
    ("1.8 eascmd", {"autoscaler": {"min": 2, "max": 5, "strategies": {"qps": 10}}}, "replicas/target", {"qps": 10}),
    (
        "1.8 OpenAPI",
        {
            "autoscaler": {
                "min": 0,
                "max": 5,
                "scaleStrategies": [{"metricName": "queue[avgbacklog]", "threshold": 3}],
                "behavior": {
                    "scaleUp": {"stabilizationWindowSeconds": 0},
                    "scaleDown": {"stabilizationWindowSeconds": 120},
                    "onZero": {"scaleDownGracePeriodSeconds": 300, "scaleUpActivationReplicas": 2},
                },
            }
        },
        "replicas",
        {
            "min": 0,
            "max": 5,
            "target": {"queue": 3},
            "scaleUpSeconds": 0,
            "scaleDownSeconds": 120,
            "idleSeconds": 300,
            "activation": 2,
        },
    ),
    (
        "1.8 cron",
        {"autoscaler": {"scaleJobs": [{"name": "n", "schedule": "0 0 9 * * *", "targetSize": 3}]}},
        "replicas/cron",
        [{"name": "n", "schedule": "0 9 * * *", "replicas": 3}],
    ),
    (
        "1.8 cron as the API writes it",
        {"autoscaler": {"ScaleJobs": [{"Name": "n", "Schedule": "@daily", "TargetSize": "3"}], "ExcludeDates": ["x"]}},
        "replicas/cron",
        [{"name": "n", "schedule": "0 0 * * *", "replicas": 3}],
    ),
    ("1.10 rpc at the top", {"rpc": {"max_queue_size": 8}}, "limits/queue", 8),
    ("1.10 resource at the top (C13)", {"resource": "eas-r-1", "cloud": None}, "resources/group", "eas-r-1"),
]


@pytest.mark.parametrize(("changes", "path", "value"), [case[1:] for case in MAPPED], ids=[case[0] for case in MAPPED])
def test_a_field_with_a_meaning_becomes_a_key_and_comes_back(changes: dict[str, Any], path: str, value: Any) -> None:
    raw = document(changes)
    assert get(import_service(raw).service, tuple(path.split("/"))) == value
    round_trip(raw)


KEPT: list[tuple[str, Any]] = [
    ("metrics", [{"name": "qps", "retention": "day", "tags": "status"}]),
    ("labels", {"team": "nlp"}),
    ("features", {"eas.aliyun.com/extra-ephemeral-storage": "100Gi", "eas.aliyun.com/gpu-driver-version": "550"}),
    ("features", {"unheard.of/feature": 1}),
    ("unit/size", 2),
    ("aimaster", {"enable": True}),
    ("sinker", {"type": "sls", "config": {"sls": {"project": "p", "logstore": "l"}}}),
    ("confidential", {"trustee_endpoint": "https://h", "decryption_key": "kbs:///default/key/x"}),
    ("runtime/enable_crash_block", True),
    ("queue", {"sink": {"memory": 4000}}),
    ("model_path", "oss://b/m"),
    ("oss_endpoint", "oss-cn"),
    ("model_entry", "e"),
    ("model_config", {"a": [1, {"b": None}]}),
    ("processor", "tensorflow_cpu_1.12"),
    ("processor_path", "p"),
    ("processor_entry", "p"),
    ("processor_mainclass", "p"),
    ("processor_type", "python"),
    ("warm_up_data_path", "oss://b/w"),
    ("metadata/workspace_id", "1405"),
    ("metadata/gpu_memory", 10),
    ("metadata/gpu_core_percentage", 100),
    ("metadata/qos", "BestEffort"),
    ("metadata/cuda", "11.2"),
    ("metadata/rdma", 1),
    ("metadata/enable_grpc", True),
    ("metadata/type", "Standard"),
    ("metadata/group", "g"),
    ("metadata/disk", "30Gi"),
    ("metadata/shm_size", 64),
    ("metadata/rpc/io_threads", 4),
    ("metadata/rpc/worker_threads", 5),
    ("metadata/rpc/batching", False),
    ("metadata/rpc/max_batch_size", 16),
    ("metadata/rpc/max_batch_timeout", 50),
    ("metadata/rpc/enable_sigterm", True),
    ("metadata/rolling_strategy/max_unavailable", 1),
    (f"metadata/{GRACE}", 30),
    ("metadata/scheduling/spread/policy", "host"),
    ("metadata/resource_rebalancing", True),
    ("metadata/workload_type", "elasticjob"),
    ("metadata/resource_burstable", True),
    ("cloud/computing/disable_spot_protection_period", True),
    ("cloud/networking", VPC),
    ("containers/0/prepare", {"pythonRequirements": ["a==1"], "pythonRequirementsPath": "/r.txt"}),
    ("containers/0/resources", {"limits": {"cpu": 1}}),
    ("containers/1", {"image": "side:1", "command": "x"}),
    ("networking/gateway", "gw-m2v"),
    ("networking/gateway_policy/rate_limit", {"enable": False, "limit": 5}),
    ("storage", [{"mount_path": "/n", "nfs": {"server": "s", "path": "/", "resourceGroup": "g"}}]),
    ("storage", [{"mount_path": "/n", "dataset": {"id": "d-1", "version": "v1"}}]),
    ("storage", [{"mount_path": "/n", "git": {"repo": "https://h/r", "branch": "main"}}]),
    ("storage", [{"mount_path": "/n", "cache": {"capacity": "200G", "path": "/c"}}]),
    ("storage", [{"mount_path": "/n", "cloud_disk": {"capacity": "4800Gi"}}]),
    ("storage", [{"mount_path": "/n", "image_volume": {"reference": "r"}}]),
    ("autoscaler", {"min": 1, "max": 3, "scaleStrategies": [{"metricName": "gpu", "threshold": 60}]}),
    ("autoscaler", {"min": 1, "max": 3, "strategies": {"custom[qps]@status[200]": 15, "qps": 3}}),
    ("autoscaler", {"scaleJobs": [{"schedule": "@every 1h", "targetSize": 3}]}),
    ("autoscaler", {"min": 1, "max": 2, "scaleJobs": [{"schedule": "0 0 9 * * *", "targetSize": 3}]}),
    ("autoscaler", {"min": 0, "max": 2, "behavior": {"scaleUp": {"policies": []}}}),
    ("autoscaler", {"min": 0, "max": 2, "behavior": {"onZero": {"scaleDownGracePeriodSeconds": 0}}}),
    ("unheard_of", {"deep": [1, {"x": "y"}]}),
    ("metadata/unheard_of", "x"),
]


@pytest.mark.parametrize(("path", "value"), KEPT, ids=[f"{path} {index}" for index, (path, _) in enumerate(KEPT)])
def test_a_field_without_a_meaning_here_is_kept_reported_and_comes_back(path: str, value: Any) -> None:
    raw = document({path: value})
    imported = import_service(raw)
    words = tuple(int(word) if word.isdigit() else word for word in path.split("/"))
    assert get(imported.service["extra"], words) is not ABSENT
    shown = path.replace("/0", "[0]").replace("/1", "[1]").replace("/", ".")
    told = [item for item in imported.report if item.path.startswith(shown) and item.outcome is not Outcome.MAPPED]
    assert told, [str(item) for item in imported.report]
    round_trip(raw)


MOVED: list[tuple[str, dict[str, Any], str, Any]] = [
    ("1.1 legacy name", {"name": "old"}, "metadata/name", "demo"),
    ("1.10 gateway", {"metadata/gateway": "gw-1"}, "networking/gateway", "gw-1"),
    ("1.10 scheduling", {"scheduling": {"spread": {"policy": "zone"}}}, "metadata/scheduling/spread/policy", "zone"),
    ("C1 first", {f"metadata/{GRACE}": 10, GRACE: 20}, f"metadata/{GRACE}", 10),
    ("C1 second", {GRACE: "20", "runtime/termination_grace_period": 30}, f"metadata/{GRACE}", 20),
    ("C1 nested", {"metadata/eas": {"termination_grace_period": 25}}, f"metadata/{GRACE}", 25),
    ("C1 third", {"runtime/termination_grace_period": 30}, f"metadata/{GRACE}", 30),
    ("C3", {"rpc": {"enable_sigterm": "True"}}, "metadata/rpc/enable_sigterm", True),
    ("1.12 dotted", {"metadata/rpc.keepalive": 5000}, "metadata/rpc/keepalive", 5000),
    ("1.12 dotted at the top", {"unit.size": "2"}, "unit/size", 2),
    ("1.10 docker_auth", {"credential": {"docker_auth": "x", "generate_token": True}}, "dockerAuth", "x"),
]


@pytest.mark.parametrize(("changes", "path", "value"), [case[1:] for case in MOVED], ids=[case[0] for case in MOVED])
def test_old_and_internal_places_are_read_and_never_written(changes: dict[str, Any], path: str, value: Any) -> None:
    raw = document(changes)
    found, notes = normalise(raw)
    assert get(found, tuple(path.split("/"))) == value
    assert notes or "1.12" in str(changes) or "." in "".join(changes)
    assert normalise(found)[0] == found
    round_trip(raw)


def test_internal_fields_are_left_out_and_reported() -> None:
    raw = document({"options": {"a": 1}, "metadata/region": "cn", "networking/traffic_state": "Standalone"})
    report = {item.path: item.outcome for item in import_service(raw).report}
    assert {report[path] for path in ("options", "metadata.region", "networking.traffic_state")} == {Outcome.CHANGED}


def test_secrets_never_reach_the_stack_file() -> None:
    git = {"repo": "https://h/r", "commit": "a" * 40, "username": "u", "password": "hush"}
    raw = document({"token": "hush", "dockerAuth": "hush", "storage": [{"mount_path": "/d", "git": git}]})
    imported = import_service(raw)
    assert "hush" not in json.dumps(imported.service) + repr(imported) + "".join(map(str, imported.report))
    assert imported.secrets == {"token": "hush", "dockerAuth": "hush", "storage[0].git.password": "hush"}
    round_trip(raw)


REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("no name", {"metadata/name": None}, "metadata.name", "is missing"),
    ("a hyphen in the name (C6)", {"metadata/name": "my-demo"}, "metadata.name", "did you mean my_demo?"),
    ("no container", {"containers": []}, "containers", "is missing"),
    ("no image", {"containers/0/image": None}, "containers[0].image", "is missing"),
    ("a reserved port", {"containers/0/port": 8080}, "containers[0].port", "reserved"),
    ("nowhere to run", {"metadata": {"name": "demo"}, "cloud": None}, "cloud.computing", "nothing says where"),
    ("two places", {"metadata/resource": "eas-r-1"}, "metadata.resource", "exclude each other"),
    ("quota and public types", {"metadata/quota_id": "quota1"}, "metadata.quota_id", "exclude each other"),
    ("snake case", {"autoscaler": {"min_replica": 1, "max": 2}}, "autoscaler.min_replica", "did you mean min?"),
    ("min above max", {"autoscaler": {"min": 3, "max": 2}}, "autoscaler.min", "is above max 2"),
    ("too many", {"autoscaler": {"min": 3, "max": 3001}}, "autoscaler.max", "the nearest is 3000"),
    (
        "a threshold of 0",
        {"autoscaler": {"max": 2, "strategies": {"qps": 0}}},
        "autoscaler.scaleStrategies[0].threshold",
        "above 0",
    ),
    ("a system folder", {"storage": [{"mount_path": "/etc", "empty_dir": {}}]}, "storage[0].mount_path", "system"),
    (
        "mounts that overlap",
        {"storage": [{"mount_path": "/a", "empty_dir": {}}, {"mount_path": "/a/b", "empty_dir": {}}]},
        "storage[1].mount_path",
        "overlaps the mount /a",
    ),
    ("two sources", {"storage": [{"mount_path": "/a", "empty_dir": {}, "nfs": {}}]}, "storage[0]", "takes one source"),
    ("no oss", {"storage": [{"mount_path": "/a", "oss": {"path": "b/p"}}]}, "storage[0].oss.path", "oss://b/p"),
    (
        "a shell in command",
        {"containers/0/script": None, "containers/0/command": "cd /x && python a.py"},
        "containers[0].command",
        "put it under `script`",
    ),
    (
        "NLB on 8080 (C11)",
        {"networking/nlb": [{"listener_port": 8080}], "cloud/networking": VPC},
        "networking.nlb[0].listener_port",
        "taken by EAS",
    ),
    ("NLB with one vSwitch", {"networking/nlb": [{"listener_port": 9090}]}, "cloud.networking.vswitch_id", "needs 2"),
    ("two ways to ask", {"containers/0/startup_check": {}}, "containers[0].startup_check", "has none"),
    ("a router", {"metadata/type": "LLMGatewayService"}, "metadata.type", "not available yet"),
    ("text for a number", {"metadata/cpu": "two"}, "metadata.cpu", "must be a whole number"),
    ("a number below 0", {"metadata/instance": -1}, "metadata.instance", "at least 0"),
    ("a list for an object", {"metadata/rpc": [1]}, "metadata.rpc", "must be an object"),
    ("text for a truth", {"metadata/enable_webservice": "yes"}, "metadata.enable_webservice", "true or false"),
]


@pytest.mark.parametrize(("changes", "path", "text"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_eas_or_we_cannot_take_is_refused_by_path(changes: dict[str, Any], path: str, text: str) -> None:
    with pytest.raises(StackFileErrors) as refused:
        import_service(document(changes))
    found = {error.path: f"{error.reason}; {error.nearest}" for error in refused.value.errors}
    assert path in found
    assert text in found[path]


def test_all_refusals_come_at_once() -> None:
    with pytest.raises(StackFileErrors) as refused:
        import_service({"metadata": {"name": "a-b", "cpu": "x"}, "autoscaler": {"min": 2, "max": 1}})
    paths = {error.path for error in refused.value.errors}
    assert paths == {"metadata.name", "metadata.cpu", "containers", "autoscaler.min"}


WARNED: list[tuple[dict[str, Any], str]] = [
    ({"cloud": None}, "cloud.computing"),
    ({"metadata/rpc/keepalive": 600}, "metadata.rpc.keepalive"),
    ({"autoscaler": {"min": 1, "max": 1500}}, "autoscaler.max"),
    ({"autoscaler": {"min": 2, "max": 2}}, "autoscaler"),
    ({"networking/gateway": "gw-1"}, "networking.gateway"),
    ({"networking/gateway": "shared"}, "networking.gateway"),
    ({"networking/gateway": "gw-1", "autoscaler": {"min": 0, "max": 2}}, "autoscaler.min"),
    ({"containers/0/image": "r.example/pai-eas/vllm:1"}, "storage"),
    ({"containers/0/env": [{"name": "HF_TOKEN", "value": "x"}]}, "containers[0].env"),
    ({"autoscaler": {"max": 2, "strategies": {"qqs": 1}}}, "autoscaler.scaleStrategies[0].metricName"),
    ({"containers/0/script": "python -m sglang.launch_server --model-path /m"}, "containers[0]"),
    ({"metadata/cuda": "11.2"}, "metadata.cuda"),
    ({"unheard_of": 1}, "unheard_of"),
]


@pytest.mark.parametrize(("changes", "path"), WARNED)
def test_what_may_surprise_is_a_warning(changes: dict[str, Any], path: str) -> None:
    report = import_service(document(changes)).report
    assert [item for item in report if item.path == path and item.outcome in (Outcome.WARNING, Outcome.CHANGED)]


def test_nulls_are_absent() -> None:
    raw = document({"metadata/gpu": None, "containers/0/env": None, "autoscaler": None})
    assert import_service(raw).service["replicas"] == {"min": 1, "max": 1}
    round_trip(raw)


def test_a_processor_is_imported_as_a_process() -> None:
    raw = {"metadata": {"name": "demo", "cpu": 1}, "processor": "pmml", "model_path": "oss://b/m.pmml"}
    assert import_service(raw).service["method"] == "process"
    round_trip(raw)


def test_a_file_without_a_name_takes_the_callers() -> None:
    raw = document({"metadata/name": None})
    assert import_service(raw, name="given").name == "given"
