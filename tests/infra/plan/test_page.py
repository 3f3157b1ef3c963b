"""The plan as a page with a picture."""

from __future__ import annotations

from html.parser import HTMLParser

from infra.plan import Finding, Level, Plan
from infra.plan.page import page, pools
from tests.infra.plan.stacks import pinned, plan

TEXT = """
target: {kind: kubernetes}
resourceGroups: {pool: {instanceTypes: [ecs.gn7i-4x.16xlarge], nodes: {max: NODES}}}
services:
  small: {model: Qwen2.5-0.5B-Instruct, method: vllm, replicas: {min: 1, max: 6}, resources: {group: pool, gpus: 1}}
  large: {model: Qwen2.5-7B-Instruct, method: vllm, resources: {group: pool, gpus: 4}}
  alone: {model: Qwen2.5-7B-Instruct, method: vllm}
"""
LOCK = pinned("Qwen2.5-0.5B-Instruct", "Qwen2.5-7B-Instruct")


class Balanced(HTMLParser):
    """Fails on a tag that is not closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open, self.nodes, self.missing = list[str](), 0, 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br"):
            self.open.append(tag)
        kind = dict(attrs).get("class") or ""
        self.nodes += kind.startswith("node")
        self.missing += kind == "node missing"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(nodes: int) -> Balanced:
    reader = Balanced()
    reader.feed(page(plan(TEXT.replace("NODES", str(nodes)), lock=LOCK)))
    assert not reader.open
    return reader


def test_every_node_of_a_group_is_drawn_and_those_that_are_not_allowed_are_marked() -> None:
    assert (parsed(5).nodes, parsed(5).missing) == (5 + 1, 0)  # three used, two free, one public
    assert (parsed(2).nodes, parsed(2).missing) == (3 + 1, 1)


def test_the_picture_holds_every_replica_once_and_no_node_more_than_it_has() -> None:
    drawn = {pool.name: pool for pool in pools(plan(TEXT.replace("NODES", "5"), lock=LOCK))}
    group = drawn["group pool"]
    assert sorted(name for node in group.nodes for name, _ in node) == ["large/main"] + ["small/main"] * 6
    assert all(sum(share for _, share in node) <= 1 for node in group.nodes)
    assert len(drawn) == 2


def test_the_page_asks_nobody_for_anything() -> None:
    made = page(plan(TEXT.replace("NODES", "5"), lock=LOCK))
    assert "http" not in made.replace("https://docs", "")
    assert "<script" not in made


def test_names_cannot_become_markup() -> None:
    said = Finding(level=Level.NOTE, rule="not-enforced", path="quotas.<i>", text="<script>alert(1)</script>")
    made = page(Plan(target="local", services=(), findings=(said,)))
    assert "quotas.&lt;i&gt;" in made
    assert "<script>" not in made
