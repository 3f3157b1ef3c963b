"""From config to a normalised stack, or all errors at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.stackfile import LocalTarget, StackFileErrors, load
from runtime.contract.scaling import CronJob, ScaleMetric, ScaleTarget, Scaling
from runtime.contract.version import Bounds, Method

MODEL = "SmolLM2-135M-Instruct"
NAMES = "begins with a-z and has at most 31 of a-z, 0-9 and -"


def errors_of(config: dict[str, Any], folder: Path = Path(".")) -> dict[str, str]:
    """Path to reason and hint."""
    with pytest.raises(StackFileErrors) as caught:
        load(config, folder=folder)
    return {error.path: f"{error.reason}; {error.nearest}" for error in caught.value.errors}


def service_errors(service: Any, **config: Any) -> dict[str, str]:
    return errors_of({**config, "services": {"chat": service}})


def test_the_smallest_file_has_one_version_named_main_with_all_traffic() -> None:
    file = {
        "inferform:target": {"kind": "local"},
        "inferform:services": {"chat": {"model": MODEL, "replicas": {"max": 2}}},
    }
    stack = load(file, folder=Path("."))
    chat = stack.services["chat"]
    assert stack.target == LocalTarget()
    assert (chat.method, dict(chat.traffic), list(chat.versions)) == (Method.STANDARD, {"main": 100}, ["main"])
    assert chat.versions["main"].replicas.bounds() == Bounds(min=1, max=2)
    assert stack.declared["chat"] == {"model": MODEL, "replicas": {"max": 2}}


def test_keys_with_and_without_the_namespace_and_values_as_json_text_mean_the_same(tmp_path: Path) -> None:
    services = {"chat": {"model": MODEL}}
    plain = load({"services": services}, folder=tmp_path)
    assert load({"inferform:services": json.dumps(services), "pulumi:tags": {"a": "b"}}, folder=tmp_path) == plain


def test_all_errors_of_a_file_are_reported_at_once() -> None:
    found = errors_of(
        {
            "servces": {},
            "target": {"kind": "local", "gateway": {"port": "8070"}},
            "resourceGroups": {"A10": {"instanceTypes": [], "nodes": {"max": 1}}},
            "quotas": {"nlp": {"resourceGroup": "b10", "gpu": 1}},
            "services": {
                "Chat-1": {
                    "model": 3,
                    "modle": "x",
                    "replicas": {"min": 3, "max": 2, "tarket": {}},
                    "resources": {"quota": "nlq"},
                },
                "two": {
                    "versions": {
                        "v1": {"model": "a"},
                        "v2": {"model": "org/name", "engine": "vlm"},
                        "V3": {"model": "a"},
                    },
                    "traffic": {"v1": 50, "v4": 30},
                    "limits": {"qps": -1, "bodyMib": 3},
                },
                "fine": {"model": MODEL},
            },
        }
    )
    assert found == {
        "servces": "is not a key of a stack file; did you mean services?",
        "target.gateway.port": "must be a whole number; without quotes: 8070",
        "resourceGroups.A10": f"a resource group's name {NAMES}; did you mean a10?",
        "resourceGroups.A10.instanceTypes": "must have at least one entry; ",
        "quotas.nlp.gpu": "is not a key here; did you mean gpus?",
        "quotas.nlp.resourceGroup": "is not a resource group of this file; did you mean A10?",
        "services.Chat-1": "a service's name has 3 to 63 of a-z, 0-9 and _; did you mean chat_1?",
        "services.Chat-1.model": 'must be text; quote it: "3"',
        "services.Chat-1.modle": "is not a key here; did you mean model?",
        "services.Chat-1.replicas": "min 3 is above max 2; ",
        "services.Chat-1.replicas.tarket": "is not a key here; did you mean target?",
        "services.Chat-1.resources.quota": "is not a quota of this file; did you mean nlp?",
        "services.two.versions.v2.model": "is neither a catalog id nor a path; "
        "did you mean hf://org/name or ./org/name?",
        "services.two.versions.v2.engine": "must be one of transformers, vllm, scripted; did you mean vllm?",
        "services.two.versions.V3": f"a version's name {NAMES}; did you mean v3?",
        "services.two.traffic.v4": "is not a version of this service; known: V3, v1, v2",
        "services.two.traffic": "must sum to 100, sums to 80; v4: 50 would",
        "services.two.limits.qps": "must be at least 0; the nearest is 0",
        "services.two.limits.bodyMib": "is not a key here; did you mean bodyMiB?",
    }


@pytest.mark.parametrize(
    ("service", "path", "text"),
    [
        ({}, "services.chat.model", "is missing; a catalog id"),
        (None, "services.chat.model", "is missing"),
        ("x", "services.chat", "must be a mapping"),
        ({"model": "nope://x"}, "services.chat.model", "nope:// is not a source of models"),
        ({"model": "hf://justname"}, "services.chat.model", "hf://org/name[@revision]"),
        ({"model": "./nowhere"}, "services.chat.model", "there is no folder"),
        ({"model": MODEL, "method": "standart"}, "services.chat.method", "did you mean standard?"),
        ({"model": MODEL, "context": 0}, "services.chat.context", "must be at least 1; the nearest is 1"),
        ({"model": MODEL, "context": 2.5}, "services.chat.context", "must be a whole number"),
        ({"model": MODEL, "webui": "true"}, "services.chat.webui", "must be true or false; without quotes: true"),
        ({"model": MODEL, "env": {"DEBUG": 1}}, "services.chat.env.DEBUG", 'must be text; quote it: "1"'),
        ({"model": MODEL, "env": {"MY-NAME": "x"}}, "services.chat.env.MY-NAME", "did you mean MY_NAME?"),
        (
            {"model": MODEL, "resources": "pubic"},
            "services.chat.resources",
            "is not a kind of resources; public, {group",
        ),
        ({"model": MODEL, "resources": {"group": "a", "quota": "b"}}, "services.chat.resources", "has group and quota"),
        ({"model": MODEL, "replicas": {"max": 0}}, "services.chat.replicas.max", "must be at least 1"),
        (
            {"model": MODEL, "replicas": {"target": {"qps": 1, "queue": 2}}},
            "services.chat.replicas.target",
            "takes one of qps",
        ),
        (
            {"model": MODEL, "replicas": {"cron": [{"schedule": "0 0 8 * * *", "replicas": 1}]}},
            "services.chat.replicas.cron[0].schedule",
            "has 6 fields, not 5: minute, hour, day of month, month, day of week; did you mean 0 8 * * *?",
        ),
        (
            {"model": MODEL, "replicas": {"cron": [{"schedule": "0 25 * * *", "replicas": 1}]}},
            "services.chat.replicas.cron[0].schedule",
            "is no cron schedule: its hour '25': it goes from 0 to 23; for example 0 8",
        ),
        (
            {"model": MODEL, "replicas": {"max": 2, "cron": [{"schedule": "0 8 * * *", "replicas": 5}]}},
            "services.chat.replicas.cron[0].replicas",
            "is above max 2; the nearest is 2",
        ),
        ({"model": MODEL, "replicas": {"target": {"qps": 0}}}, "services.chat.replicas.target.qps", "more than 0"),
        ({"model": MODEL, "replicas": {"idleSecond": 3}}, "services.chat.replicas.idleSecond", "did you mean idleSeco"),
        ({"model": MODEL, "replicas": {"scaleDownSeconds": -1}}, "services.chat.replicas.scaleDownSeconds", "least 0"),
        ({"model": MODEL, "autoscaler": "hpa"}, "services.chat.autoscaler", "needs a cluster, this is target local"),
        ({"model": MODEL, "autoscaler": "kida"}, "services.chat.autoscaler", "did you mean keda?"),
        ({"model": MODEL, "traffic": {"main": 101}}, "services.chat.traffic.main", "must be at most 100"),
        ({"model": MODEL, "traffic": {"v1": 100}}, "services.chat.traffic.v1", "only main"),
        (
            {"model": MODEL, "versions": {"v1": {"model": MODEL}}},
            "services.chat.model",
            "move it to services.chat.versions.v1.model",
        ),
        ({"versions": {}}, "services.chat.versions", "a service needs a version"),
        (
            {"versions": {"v1": {"model": MODEL}, "v2": {"model": MODEL}}},
            "services.chat.traffic",
            "for example {v1: 100, v2: 0}",
        ),
        (
            {"model": MODEL, "method": "vllm", "engine": "transformers"},
            "services.chat.engine",
            "vllm takes vllm or scripted",
        ),
        (
            {"model": MODEL, "storage": [{"mountPath": "/etc/x", "source": "empty://"}]},
            "services.chat.storage[0].mountPath",
            "system folder",
        ),
        (
            {
                "model": MODEL,
                "storage": [{"mountPath": "/a", "source": "empty://"}, {"mountPath": "/a/b", "source": "empty://"}],
            },
            "services.chat.storage[1].mountPath",
            "overlaps the mount /a",
        ),
        ({"model": MODEL, "storage": [{"source": "empty://"}]}, "services.chat.storage[0].mountPath", "is missing"),
        (
            {"model": MODEL, "storage": [{"mountPath": "a", "source": "./x"}]},
            "services.chat.storage[0].mountPath",
            "did you mean /a?",
        ),
        (
            {"model": MODEL, "storage": [{"mountPath": "/a", "source": "git+https://h/r"}]},
            "services.chat.storage[0].source",
            "ends in @ and a commit",
        ),
        ({"model": MODEL, "probes": {"startup": {}}}, "services.chat.probes.startup", "this probe has none"),
        ({"model": MODEL, "limits": {"queue": -1}}, "services.chat.limits.queue", "must be at least 0"),
        ({"model": MODEL, "tokenRotation": 0}, "services.chat.tokenRotation", "must be at least 1"),
    ],
)
def test_a_bad_value_is_named_with_its_path_and_what_would_be_valid(service: Any, path: str, text: str) -> None:
    found = service_errors(service)
    assert path in found
    assert text in found[path]


def test_a_broken_service_does_not_hide_the_errors_of_another() -> None:
    found = errors_of({"services": {"one": 5, "two": {"model": MODEL, "traffic": {"main": 99}}}})
    assert set(found) == {"services.one", "services.two.traffic"}


@pytest.mark.parametrize(
    ("target", "path", "text"),
    [
        ("local", "target", "did you mean {kind: local}?"),
        ({}, "target.kind", "is missing"),
        ({"kind": "kubernets"}, "target.kind", "did you mean kubernetes?"),
        (
            {"kind": "local", "namespace": "x"},
            "target.namespace",
            "is not a key of target local, it is one of kubernetes and eks",
        ),
        ({"kind": "local", "gateway": {"port": 70000}}, "target.gateway.port", "the nearest is 65535"),
    ],
)
def test_a_bad_target_says_which_targets_there_are(target: Any, path: str, text: str) -> None:
    assert text in errors_of({"target": target})[path]


def test_traffic_lists_every_version_and_gives_zero_to_the_unnamed() -> None:
    versions = {"v1": {"model": MODEL}, "v2": {"model": MODEL}}
    stack = load({"services": {"chat": {"versions": versions, "traffic": {"v2": 100}}}}, folder=Path("."))
    assert dict(stack.services["chat"].traffic) == {"v1": 0, "v2": 100}


def test_a_min_alone_raises_the_max_with_it() -> None:
    stack = load({"services": {"chat": {"model": MODEL, "replicas": {"min": 3}}}}, folder=Path("."))
    assert stack.services["chat"].versions["main"].replicas.bounds() == Bounds(min=3, max=3)


def test_without_a_max_the_largest_cron_job_sets_it() -> None:
    replicas = {"cron": [{"schedule": "0 8 * * *", "replicas": 5}, {"schedule": "0 20 * * *", "replicas": 0}]}
    stack = load({"services": {"chat": {"model": MODEL, "replicas": replicas}}}, folder=Path("."))
    assert stack.services["chat"].versions["main"].replicas.bounds() == Bounds(min=1, max=5)


def test_how_a_version_scales_is_said_beside_its_bounds() -> None:
    replicas = {
        "min": 0,
        "max": 4,
        "target": {"ttftMs": 800},
        "idleSeconds": 60,
        "activation": 2,
        "scaleUpSeconds": 5,
        "scaleDownSeconds": 30,
        "cron": [{"name": "morning", "schedule": "0 8 * * 1-5", "replicas": 3}],
    }
    stack = load({"services": {"chat": {"model": MODEL, "replicas": replicas}}}, folder=Path("."))
    chat = stack.services["chat"]
    assert chat.versions["main"].replicas.scaling(chat.autoscaler) == Scaling(
        target=ScaleTarget(metric=ScaleMetric.TTFT_MS, value=800),
        up_seconds=5,
        down_seconds=30,
        idle_seconds=60,
        activation=2,
        cron=(CronJob(name="morning", schedule="0 8 * * 1-5", replicas=3),),
        by="gateway",
    )
    plain = load({"services": {"chat": {"model": MODEL}}}, folder=Path(".")).services["chat"].versions["main"]
    assert plain.replicas.scaling() == Scaling(), "the defaults of both are the same"


def test_groups_and_quotas_are_accepted_on_local() -> None:
    stack = load(
        {
            "resourceGroups": {"a10": {"instanceTypes": ["ecs.gn7i-c16g1.4xlarge"], "nodes": {"min": 0, "max": 12}}},
            "quotas": {"nlp": {"resourceGroup": "a10", "gpus": 12, "gpuMemoryGiB": 288, "usdPerHour": 24}},
            "services": {"chat": {"model": MODEL, "resources": {"quota": "nlp", "gpus": 1, "memoryGiB": 4}}},
        },
        folder=Path("."),
    )
    assert stack.quotas["nlp"].gpu_memory_gib == 288
    assert (stack.services["chat"].resources.kind, stack.services["chat"].resources.memory_gib) == ("quota", 4)


def test_a_scripted_version_needs_no_model() -> None:
    assert (
        load({"services": {"chat": {"engine": "scripted"}}}, folder=Path(".")).services["chat"].versions["main"].model
        is None
    )


def test_paths_are_relative_to_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    stack = load({"services": {"chat": {"model": "./models/mine"}}}, folder=tmp_path)
    assert stack.path("./models/mine") == tmp_path / "models" / "mine"
    assert (
        "did you mean mine?"
        in errors_of({"services": {"chat": {"model": "./models/min"}}}, tmp_path)["services.chat.model"]
    )


def test_an_encrypted_section_is_refused() -> None:
    assert "is encrypted" in errors_of({"services": {"secure": "v1:abc"}})["services"]


@pytest.mark.parametrize(
    ("probe", "delay", "failures"),
    [
        ({"httpPath": "/health"}, 60, 30),
        ({"httpPath": "/health", "periodSeconds": 5}, 15, 1),
        ({"tcpPort": 8000, "failureThreshold": 4}, 15, 4),
    ],
)
def test_a_startup_check_without_numbers_leaves_time_to_load_a_model(
    probe: dict[str, Any], delay: int, failures: int
) -> None:
    services = {"chat": {"model": MODEL, "probes": {"startup": probe, "liveness": probe}}}
    stack = load({"services": services}, folder=Path("."))
    probes = stack.services["chat"].versions["main"].probes
    assert probes.startup is not None and probes.liveness is not None
    assert (probes.startup.initial_delay_seconds, probes.startup.failure_threshold) == (delay, failures)
    assert probes.liveness.initial_delay_seconds == 15
