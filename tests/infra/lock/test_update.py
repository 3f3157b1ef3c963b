"""Entries are made once, stay until they are asked to move, and go when nothing needs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.lock import InspectFailed, inspect_source, needed, pin_image, update, write_lock
from infra.plan import Lock, make, read_lock
from infra.plan.lock import LockedModel
from tests.infra.plan.stacks import CATALOG, stack
from tests.runtime.replica.sources.test_git import git

TEXT = """
target: {kind: eks}
services:
  chat: {model: Qwen2.5-7B-Instruct, method: vllm, adapters: {legal: "s3://bucket/legal"}}
  own: {model: SmolLM2-135M-Instruct, resources: {instanceTypes: [m7i.2xlarge]}}
  hub: {model: "hf://org/name@v1", method: vllm, resources: {instanceTypes: [g5.2xlarge]}}
"""
QWEN, LEGAL, HUB = "hf://Qwen/Qwen2.5-7B-Instruct", "s3://bucket/legal", "hf://org/name@v1"


class Hubs:
    """Hubs that answer from memory; `commit` is what they all say now."""

    def __init__(self, commit: str = "1") -> None:
        self.commit, self.asked = commit, list[str]()

    def inspect(self, source: str) -> LockedModel:
        self.asked.append(source)
        config = dict(CATALOG.models["Qwen2.5-7B-Instruct"].config)
        return LockedModel(revision=self.commit * 40, weight_bytes=15_231_233_024, config=config)


def test_what_needs_an_entry_is_what_can_change() -> None:
    assert list(needed(stack(TEXT), CATALOG)) == [("chat/main", QWEN), ("chat/main", LEGAL), ("hub/main", HUB)]


def test_a_first_lock_pins_revisions_and_the_type_that_was_chosen() -> None:
    hubs = Hubs()
    change = update([stack(TEXT)], CATALOG, None, inspect=hubs.inspect)
    assert hubs.asked == [QWEN, LEGAL, HUB]
    assert set(change.lock.models) == {QWEN, LEGAL, HUB}
    assert set(change.lock.instances) == {"eks:chat/main"}  # own and hub list their types
    assert change.lines[0] == f"+ eks:chat/main {change.lock.instances['eks:chat/main'].instance_type}"
    planned = make(stack(TEXT), CATALOG, lock=change.lock)
    assert not [finding for finding in planned.findings if finding.rule.startswith("lock-")]


def test_a_second_lock_asks_nothing_and_changes_nothing() -> None:
    first = update([stack(TEXT)], CATALOG, None, inspect=Hubs().inspect).lock
    hubs = Hubs("2")
    change = update([stack(TEXT)], CATALOG, first, inspect=hubs.inspect)
    assert (hubs.asked, change.lines, change.lock) == ([], (), first)


@pytest.mark.parametrize(
    ("upgrade", "asked"),
    [("hub", [HUB]), ("chat/main", [QWEN, LEGAL]), (LEGAL, [LEGAL]), ("*", [QWEN, LEGAL, HUB]), ("nobody", [])],
)
def test_upgrade_moves_what_it_names_and_nothing_else(upgrade: str, asked: list[str]) -> None:
    first = update([stack(TEXT)], CATALOG, None, inspect=Hubs().inspect).lock
    hubs = Hubs("2")
    change = update([stack(TEXT)], CATALOG, first, inspect=hubs.inspect, upgrade=(upgrade,))
    assert hubs.asked == asked
    assert {line.split()[1] for line in change.lines if line.startswith("~")} == set(asked)


def test_entries_that_nothing_needs_any_more_go() -> None:
    first = update([stack(TEXT)], CATALOG, None, inspect=Hubs().inspect).lock
    change = update([stack("services: {own: {model: SmolLM2-135M-Instruct}}")], CATALOG, first, inspect=Hubs().inspect)
    assert (change.lock.models, change.lock.instances) == ({}, {})
    assert len(change.lines) == 4


def test_a_price_update_alone_moves_no_type() -> None:
    lock = update([stack(TEXT)], CATALOG, None, inspect=Hubs().inspect).lock
    other = lock.instances["eks:chat/main"].model_copy(update={"instance_type": "g6e.2xlarge"})
    pinned = lock.model_copy(update={"instances": {"eks:chat/main": other}})
    assert update([stack(TEXT)], CATALOG, pinned, inspect=Hubs().inspect).lines == ()


def test_a_hub_that_does_not_answer_stops_the_command() -> None:
    def silent(source: str) -> LockedModel:
        raise InspectFailed(f"{source}: no answer")

    with pytest.raises(InspectFailed, match="no answer"):
        update([stack(TEXT)], CATALOG, None, inspect=silent)


def test_the_file_is_written_whole_and_read_back(tmp_path: Path) -> None:
    lock = update([stack(TEXT)], CATALOG, None, inspect=Hubs().inspect).lock
    path = write_lock(tmp_path, lock)
    assert read_lock(tmp_path) == lock
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert write_lock(tmp_path, Lock()).read_text() == Lock().text()


def test_stacks_of_one_project_share_the_file() -> None:
    other = stack("{target: {kind: kubernetes}, services: {chat: {model: Qwen2.5-0.5B-Instruct, method: vllm}}}")
    lock = update([stack(TEXT), other], CATALOG, None, inspect=Hubs().inspect).lock
    assert set(lock.instances) == {"eks:chat/main", "kubernetes:chat/main"}
    assert len(lock.models) == 4
    alone = update([other], CATALOG, lock, inspect=Hubs().inspect, prune=False)
    assert alone.lines == ()


def test_an_image_is_pinned_by_its_method_and_stays_when_models_are_locked(tmp_path: Path) -> None:
    first = update([stack(TEXT)], CATALOG, None, inspect=Hubs().inspect).lock
    change = pin_image(first, "standard", "registry.example/inferform@sha256:" + "1" * 64)
    assert change.lines == ("+ image:standard registry.example/inferform@sha256:" + "1" * 64,)
    write_lock(tmp_path, change.lock)
    again = update([stack(TEXT)], CATALOG, read_lock(tmp_path), inspect=Hubs().inspect)
    assert (again.lines, again.lock.images) == ((), change.lock.images)


def test_a_method_without_an_image_before_starts_a_lock_file() -> None:
    assert pin_image(None, "vllm", "a@sha256:2").lock.images == {"vllm": "a@sha256:2"}


def test_an_adapter_in_a_mounted_repository_is_locked_and_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFERFORM_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "adapters"
    (repository / "legal").mkdir(parents=True)
    (repository / "legal" / "adapter_config.json").write_text('{"r": 8}')
    (repository / "legal" / "adapter_model.safetensors").write_bytes(b"1234")
    git(repository, "init", "--quiet")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "first")
    source = f"git+file://{repository}@{git(repository, 'rev-parse', 'HEAD')}"
    text = f"""
services:
  chat:
    model: SmolLM2-135M-Instruct
    method: vllm
    storage: [{{mountPath: /repo, source: "{source}"}}]
    adapters: {{legal: /repo/legal}}
"""
    unlocked = make(stack(text), CATALOG, lock=None)
    assert [finding.fix for finding in unlocked.findings if finding.rule == "lock-missing"] == ["run `inferform lock`"]
    lock = update([stack(text)], CATALOG, None, inspect=inspect_source).lock
    assert list(lock.models) == [f"{source}#legal"]
    planned = make(stack(text), CATALOG, lock=lock)
    assert not [finding for finding in planned.findings if finding.rule in ("lock-missing", "adapter-folder")]
