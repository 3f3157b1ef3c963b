"""Every finding has a section in docs/findings.md, and a test that triggers it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
RULE = re.compile(r'(?:rule=|_error\(|_warning\(|_note\(|finding\()\s*"([a-z]+-[a-z-]+)"')


def rules_in_code() -> set[str]:
    return {rule for path in (ROOT / "infra/plan").glob("*.py") for rule in RULE.findall(path.read_text())}


def test_the_search_finds_rules() -> None:
    assert {"fit-memory", "lock-missing", "version-duplicate"} <= rules_in_code()


def test_every_rule_has_a_section_and_every_section_a_rule() -> None:
    sections = set(re.findall(r"^### ([a-z-]+)$", (ROOT / "docs/findings.md").read_text(), re.MULTILINE))
    assert sections == rules_in_code()


def test_every_rule_is_named_by_a_test() -> None:
    here = Path(__file__)
    tests = "".join(path.read_text() for path in here.parent.glob("test_*.py") if path != here)
    assert not {rule for rule in rules_in_code() if f'"{rule}"' not in tests}
