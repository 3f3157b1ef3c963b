"""What a plan says on a cluster: any node, images by digest, and what no pod could have."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.plan import Lock, Plan
from infra.plan.document import VersionPlan
from tests.infra.plan.stacks import IMAGES, model_folder, pinned, plan, rules, stack


def cluster(services: str, *, top: str = "", target: str = "", lock: Lock | None = None, **more: object) -> Plan:
    text = f"{{target: {{kind: kubernetes{target}}}, {top} services: {services}}}"
    return plan(text, lock=lock, **more)  # type: ignore[arg-type]


def only(planned: Plan) -> VersionPlan:
    [service] = planned.services
    [version] = service.versions
    return version


def test_the_smallest_stack_file_runs_on_any_node_of_a_plain_cluster() -> None:
    planned = cluster("{chat: {model: SmolLM2-135M-Instruct, method: standard, replicas: {min: 1, max: 2}}}")
    version = only(planned)
    assert planned.findings == ()
    assert version.template.instance_types == ()
    assert (version.template.cpus, version.template.memory_gib, version.template.gpus) == (0.5, 4.25, 0)
    assert version.template.image == IMAGES["standard"]
    assert version.placed == "any node"


def test_what_a_replica_asks_for_can_be_declared() -> None:
    resources = "resources: {cpus: 1.5, memoryGiB: 3}"
    version = only(cluster(f"{{chat: {{model: SmolLM2-135M-Instruct, method: standard, {resources}}}}}"))
    assert (version.template.cpus, version.template.memory_gib) == (1.5, 3)
    assert version.template.context == 4096, "the longest that 3 GiB hold"


def test_an_engine_without_a_model_asks_for_little() -> None:
    version = only(cluster("{echo: {engine: scripted}}"))
    assert (version.template.cpus, version.template.memory_gib, version.template.instance_types) == (0.25, 0.25, ())


def test_a_model_that_needs_gpus_is_held_to_the_type_that_was_chosen() -> None:
    version = only(cluster("{chat: {model: Qwen2.5-7B-Instruct, method: vllm}}", lock=pinned("Qwen2.5-7B-Instruct")))
    assert len(version.template.instance_types) == 1
    assert version.template.gpus >= 1


def test_a_quota_is_part_of_what_a_version_is() -> None:
    services = "{echo: {engine: scripted, resources: {quota: nlp}}}"
    planned = cluster(services, top="quotas: {nlp: {cpus: 8, usdPerHour: 3}},")
    assert only(planned).template.quota == "nlp"
    assert only(planned).hash != only(cluster("{echo: {engine: scripted}}")).hash
    [note] = [finding for finding in planned.findings if finding.rule == "not-enforced"]
    assert (note.path, note.text) == (
        "quotas.nlp",
        "usdPerHour is planned but not enforced; the cluster enforces cpus",
    )


def test_an_image_is_named_by_the_target_or_by_the_lock_file() -> None:
    own = f"registry.example/own@sha256:{'b' * 64}"
    assert only(cluster("{echo: {engine: scripted}}", target=f", image: '{own}'")).template.image == own
    [missing] = cluster("{echo: {engine: scripted}}", images=False).errors
    assert (missing.rule, missing.path) == ("image-missing", "target.image")
    assert "inferform image build --method standard" in missing.fix


def test_a_tag_is_no_image_unless_the_lock_file_pins_it() -> None:
    target = ", image: 'registry.example:5000/own:1.2'"
    [tag] = cluster("{echo: {engine: scripted}}", target=target).errors
    assert (tag.rule, tag.path) == ("image-tag", "target.image")
    assert "registry.example:5000/own@sha256:" in tag.fix
    pins = Lock(images={"registry.example:5000/own:1.2": f"registry.example:5000/own@sha256:{'c' * 64}"})
    assert only(cluster("{echo: {engine: scripted}}", target=target, lock=pins)).template.image.endswith("c" * 64)


def test_folders_of_this_machine_are_errors_by_path(tmp_path: Path) -> None:
    model_folder(tmp_path / "model")
    (tmp_path / "data").mkdir()
    service = "{model: ./model, storage: [{mountPath: /data, source: ./data}, {mountPath: /x, source: 'empty://'}]}"
    planned = cluster(f"{{chat: {service}}}", folder=tmp_path)
    found = {finding.path for finding in planned.errors if finding.rule == "cluster-folder"}
    assert found == {"services.chat.model", "services.chat.storage[0].source"}


def test_a_volume_claim_is_a_mount_of_a_cluster_alone() -> None:
    service = "{engine: scripted, storage: [{mountPath: /data, source: 'pvc://books/part'}]}"
    assert cluster(f"{{chat: {service}}}").errors == ()
    [finding] = plan(f"{{services: {{chat: {service}}}}}").errors
    assert (finding.rule, finding.path) == ("mount-claim", "services.chat.storage[0].source")


def test_a_model_on_a_volume_claim_cannot_be_sized() -> None:
    service = "{model: /m/qwen, storage: [{mountPath: /m, source: 'pvc://models'}]}"
    [finding] = cluster(f"{{chat: {service}}}").errors
    assert (finding.rule, finding.path) == ("mount-claim", "services.chat.model")


def test_documents_travel_in_a_config_map_which_holds_no_more(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    service = "{chat: {engine: scripted, knowledge: {documents: ./docs}}}"
    assert cluster(service, folder=tmp_path).errors == ()
    (tmp_path / "docs" / "noise.txt").write_bytes(bytes(range(256)) * 4 + __import__("os").urandom(2**20))
    [finding] = cluster(service, folder=tmp_path).errors
    assert (finding.rule, finding.path) == ("knowledge-size", "services.chat.knowledge.documents")


@pytest.mark.parametrize(("name", "refused"), [("inferform_gateway", True), ("inferform_gatewa", False)])
def test_the_gateways_name_is_taken(name: str, refused: bool) -> None:
    assert ("service-name" in rules(cluster(f"{{{name}: {{engine: scripted}}}}"))) is refused


def probes(declared: str) -> list[tuple[str, str]]:
    found = cluster(f"{{echo: {{engine: scripted, probes: {declared}}}}}").errors
    return [(finding.rule, finding.path) for finding in found]


def test_one_of_startup_and_readiness_has_to_ask_for_the_engine() -> None:
    assert probes("{startup: {tcpPort: 8000}, readiness: {httpPath: /x}}") == []
    both = probes("{startup: {tcpPort: 8000}, readiness: {command: [./warm]}}")
    assert both == [("probe-both", "services.echo.probes.startup")]


def test_startup_and_liveness_pass_at_their_first_success() -> None:
    found = probes("{startup: {tcpPort: 8000, successThreshold: 2}, readiness: {httpPath: /x, successThreshold: 2}}")
    assert found == [("probe-threshold", "services.echo.probes.startup.successThreshold")]
    found = probes("{liveness: {tcpPort: 8000, successThreshold: 3}}")
    assert found == [("probe-threshold", "services.echo.probes.liveness.successThreshold")]
    assert probes("{startup: {tcpPort: 8000, successThreshold: 1}, liveness: {tcpPort: 8000}}") == []


def test_a_model_must_fit_the_volumes_of_the_model_cache() -> None:
    service = "{chat: {model: Qwen2.5-7B-Instruct, method: vllm}}"
    lock = pinned("Qwen2.5-7B-Instruct")
    planned = cluster(service, target=", modelCache: {sizeGiB: 10}", lock=lock)
    [finding] = planned.errors
    assert (finding.rule, finding.path) == ("cache-size", "target.modelCache.sizeGiB")
    larger = cluster(service, target=f", modelCache: {{{finding.fix}}}", lock=lock)
    assert larger.errors == ()
    assert str(only(larger).template.model_cache).startswith("model-")


def test_a_model_in_the_image_needs_no_volume() -> None:
    service = "{chat: {model: SmolLM2-135M-Instruct}}"
    assert only(cluster(service, target=", modelCache: {sizeGiB: 10}")).template.model_cache is None


def test_later_keys_of_a_template_leave_older_hashes_alone() -> None:
    template = only(plan("{services: {echo: {engine: scripted, engineArgs: {text: one}}}}")).template
    assert '"quota"' not in template.canonical()
    assert '"quota":"nlp"' in template.model_copy(update={"quota": "nlp"}).canonical()


def test_a_cluster_needs_no_facts_of_this_machine() -> None:
    text = "{target: {kind: kubernetes}, services: {chat: {model: SmolLM2-135M-Instruct}}}"
    assert stack(text).target.kind == "kubernetes"
    assert plan(text, gib=None) == plan(text, gib=24)
