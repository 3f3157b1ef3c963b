"""A version that cannot start fails the update, says in which phase and why, and the old version keeps serving."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.harness import Project, SteadyLoad, ask, scripted

BROKEN: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "weights": ({"failStart": {"phase": "weights", "reason": "tensor lm_head is truncated"}}, ("weights", "truncated")),
    "engine": ({"failStart": {"phase": "engine", "reason": "out of memory"}}, ("engine", "out of memory")),
    "argument": ({"tokensPerSecnd": 5}, ("tokensPerSecnd", "tokensPerSecond")),
}


@pytest.mark.parametrize("more", [(), ("--continue-on-error",)], ids=["plain", "continue-on-error"])
def test_the_update_fails_with_its_reason_and_the_old_version_serves(project: Project, more: tuple[str, ...]) -> None:
    project.write({"chat": scripted("good")})
    project.up()
    token = project.token()
    with SteadyLoad(project.endpoint, "chat", token) as load:
        for arguments, words in BROKEN.values():
            project.write({"chat": scripted("bad", engineArgs=arguments)})
            output = project.up(*more, code=1)
            assert all(word in output for word in words), output
            assert "Traceback" not in output
            load.wait_for(10)
            assert set(load.verdict.texts) == {"good"}
        project.write({"chat": scripted("good")})
        project.up()
    assert ask(project.endpoint, "chat", token).text == "good"
    assert [state.record.name for state in project.host.versions()] == ["main"]
    project.assert_no_changes()


def test_a_broken_service_does_not_hold_up_another(project: Project) -> None:
    broken = scripted("bad", engineArgs={"failStart": {"phase": "engine", "reason": "no"}})
    project.write({"broken": broken, "fine": scripted("fine")})
    project.up("--continue-on-error", code=1)
    assert ask(project.endpoint, "fine", project.token("fine")).text == "fine"
    project.write({"fine": scripted("fine")})
    project.up()
